// ONNX models as plain data: what write.ts encodes, read.ts returns and check.ts judges. Doc
// strings and the optional table of intermediate value types are not kept.
import { byteLength, type NDArray } from '../tensor/array.js';
import type { DType } from '../tensor/dtype.js';
import type { ElementType } from './element-type.js';

export type OnnxModel = {
  irVersion: number;
  /** Operator set version by domain; '' is the standard domain (`ai.onnx`). */
  opsets: Record<string, number>;
  producer: { name: string; version: string };
  metadata: Record<string, string>;
  graph: OnnxGraph;
};

export type OnnxGraph = {
  name: string;
  /** In an order in which they can run. */
  nodes: OnnxNode[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  initializers: Map<string, Initializer>;
};

export type OnnxNode = {
  op: string;
  /** '' is the standard domain. */
  domain: string;
  name: string;
  /** '' leaves an optional input out. */
  inputs: string[];
  outputs: string[];
  attributes: Record<string, OnnxAttribute>;
};

/** int64 values beyond 2^53 come as the `bigint` kinds, so no number is silently rounded. */
export type OnnxAttribute =
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'ints'; value: number[] }
  | { kind: 'floats'; value: number[] }
  | { kind: 'strings'; value: string[] }
  | { kind: 'bigint'; value: bigint }
  | { kind: 'bigints'; value: bigint[] }
  | { kind: 'tensor'; value: NDArray }
  | { kind: 'graph'; value: OnnxGraph };

/** A size, the name of a symbolic size, or '' for a size of which nothing is said. */
export type OnnxDim = number | string;

/** Inner graphs may leave out the type (`dtype`) and the rank (`shape`). */
export type ValueInfo = {
  name: string;
  dtype: ElementType | undefined;
  shape: readonly OnnxDim[] | undefined;
};

/** Weights that stay in a file beside the model: `length` bytes at `offset` of `location`. */
export type ExternalData = {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly location: string;
  readonly offset: number;
  readonly length: number;
};

export type Initializer = NDArray | ExternalData;

export const isExternal = (initializer: Initializer): initializer is ExternalData =>
  'location' in initializer;

export const initializerBytes = (initializer: Initializer): number =>
  isExternal(initializer) ? initializer.length : byteLength(initializer);

/** The graphs held by a node's attributes, with the attribute's name. */
export const subgraphs = (node: OnnxNode): [name: string, graph: OnnxGraph][] =>
  Object.entries(node.attributes).flatMap(([name, attribute]) =>
    attribute.kind === 'graph' ? [[name, attribute.value] as [string, OnnxGraph]] : [],
  );

/** The graph and every graph inside it, outer before inner. */
export function* allGraphs(graph: OnnxGraph): Generator<OnnxGraph> {
  yield graph;
  for (const node of graph.nodes) for (const [, inner] of subgraphs(node)) yield* allGraphs(inner);
}

/** The same model with every initializer replaced, the outer graph's before those of inner ones. */
export function mapInitializers(
  model: OnnxModel,
  replace: (initializer: Initializer, name: string) => Initializer,
): OnnxModel {
  const mapGraph = (graph: OnnxGraph): OnnxGraph => {
    const initializers = [...graph.initializers].map(
      ([name, one]) => [name, replace(one, name)] as const,
    );
    return { ...graph, nodes: graph.nodes.map(mapNode), initializers: new Map(initializers) };
  };
  const mapNode = (node: OnnxNode): OnnxNode => {
    if (subgraphs(node).length === 0) return node;
    const attributes = Object.entries(node.attributes).map(([name, attribute]) => [
      name,
      attribute.kind === 'graph' ? { kind: 'graph', value: mapGraph(attribute.value) } : attribute,
    ]);
    return { ...node, attributes: Object.fromEntries(attributes) };
  };
  return { ...model, graph: mapGraph(model.graph) };
}
