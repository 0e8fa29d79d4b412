// Writing a graph of tensors as an ONNX model, by the `lower` column of the op table. Inputs keep
// their names; parameters that are not frozen become inputs `param:NAME`, next values of parameters
// outputs `next:NAME`. Sizes that are symbolic are read from the inputs' shapes at run time.
import {
  AnyformerError,
  type Emitter,
  fromNumbers,
  type Graph,
  graph,
  int,
  type NDArray,
  type Node,
  type OnnxAttribute,
  type Shape,
  simplify,
  type Tensor,
  type ValueName,
} from '../tensor/index.js';
import { elementTypeNumber } from './element-type.js';
import {
  allGraphs,
  type Initializer,
  type OnnxDim,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  subgraphs,
  type ValueInfo,
} from './model.js';
import { type SizeWriter, sizeWriter } from './size-writer.js';

/** Operator sets that the lowerings are written for. */
export const OPSETS: Readonly<Record<string, number>> = { '': 21, 'com.microsoft': 1 };
const IR_VERSION = 10;

export const parameterInput = (name: string): string => `param:${name}`;
export const nextOutput = (name: string): string => `next:${name}`;

export type ToOnnxOptions = {
  /** Values of parameters that become part of the model. */
  frozen?: ReadonlyMap<string, Initializer>;
  name?: string;
  metadata?: Readonly<Record<string, string>>;
};

/** The ONNX model of a graph (see `simplify`, which callers run first). */
export function toOnnx(whole: Graph, options: ToOnnxOptions = {}): OnnxModel {
  const frozen = options.frozen ?? new Map();
  const written = new GraphWriter(whole, frozen).write(options.name ?? 'anyformer');
  const used = new Set([...allGraphs(written)].flatMap(({ nodes }) => nodes.map((n) => n.domain)));
  return {
    irVersion: IR_VERSION,
    opsets: Object.fromEntries(
      Object.entries(OPSETS).filter(([domain]) => domain === '' || used.has(domain)),
    ),
    producer: { name: 'anyformer', version: '' },
    metadata: { ...options.metadata },
    graph: written,
  };
}

const onnxShape = (shape: Shape): OnnxDim[] =>
  shape.map((d) => (typeof d === 'number' ? d : d.key));

const valueInfo = (name: string, { dtype, shape }: Tensor): ValueInfo => ({
  name,
  dtype,
  shape: onnxShape(shape),
});

class GraphWriter {
  readonly #graph: Graph;
  readonly #frozen: ReadonlyMap<string, Initializer>;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, Initializer>();
  readonly #values = new Map<Tensor, ValueName>();
  readonly #constants = new Map<string, ValueName>();
  /** Sizes do not change from step to step: those of a body are computed around it. */
  readonly #sizes: SizeWriter;
  readonly #emitter: Emitter;
  /** Every tensor that a node or a result reads. */
  readonly #read: ReadonlySet<Tensor>;
  /** The writer of the graph around, where this one is a node's body. */
  readonly #around: GraphWriter | undefined;
  #current: Node | undefined;
  #counter = 0;

  constructor(graph: Graph, frozen: ReadonlyMap<string, Initializer>, around?: GraphWriter) {
    this.#graph = graph;
    this.#frozen = frozen;
    this.#around = around;
    this.#read = new Set([
      ...graph.nodes.flatMap((node) => node.inputs),
      ...graph.outputs.values(),
      ...graph.updates.values(),
    ]);
    this.#emitter = this.#makeEmitter();
    const constant = (array: NDArray, key?: string) => this.#constant(array, key);
    this.#sizes = around ? around.#sizes : sizeWriter(this.#emitter.node, constant);
  }

  write(name: string): OnnxGraph {
    const inputs: ValueInfo[] = [];
    const addInput = (name: ValueName, tensor: Tensor) => {
      inputs.push(valueInfo(name, tensor));
      this.#values.set(tensor, name);
      this.#sizes.addInput(name, tensor.shape);
    };
    for (const [name, tensor] of this.#graph.inputs) addInput(name, tensor);
    for (const [name, tensor] of this.#graph.parameters) {
      const value = this.#frozen.get(name);
      if (!value) addInput(parameterInput(name), tensor);
      else {
        this.#initializers.set(name, value);
        this.#values.set(tensor, name);
      }
    }
    for (const node of this.#graph.nodes) this.#lower(node);
    this.#current = undefined;
    const outputs: ValueInfo[] = [];
    const taken = new Set(inputs.map((one) => one.name));
    const addOutput = (name: string, tensor: Tensor) => {
      if (taken.has(name)) {
        throw new AnyformerError('onnx/name', {
          what: `'${name}' names an input and an output`,
          expected: 'different names',
          found: name,
          hint: 'give the output another name',
        });
      }
      this.#push('Identity', [this.#valueOf(tensor)], [name], {}, '');
      outputs.push(valueInfo(name, tensor));
    };
    for (const [name, tensor] of this.#graph.outputs) addOutput(name, tensor);
    for (const [name, tensor] of this.#graph.updates) addOutput(nextOutput(name), tensor);
    const nodes = this.#withoutIdentities(outputs);
    return { name, nodes, inputs, outputs, initializers: this.#initializers };
  }

  /** This graph as a node's body: `leaves` are its inputs, the others values of the graph around. */
  writeBody(
    leaves: readonly Tensor[],
    results: readonly Tensor[],
    outer: ReadonlyMap<Tensor, ValueName>,
  ): OnnxGraph {
    const inputs = leaves.map((leaf) => {
      const name = this.#fresh('%b');
      this.#values.set(leaf, name);
      return valueInfo(name, leaf);
    });
    for (const [leaf, value] of outer) this.#values.set(leaf, value);
    for (const node of this.#graph.nodes) {
      if (!this.#values.has(node.tensors[0])) this.#lower(node);
    }
    const outputs = results.map((tensor) => {
      const name = this.#fresh('%r');
      this.#push('Identity', [this.#valueOf(tensor)], [name], {}, '');
      return valueInfo(name, tensor);
    });
    const nodes = this.#withoutIdentities(outputs);
    return { name: 'body', nodes, inputs, outputs, initializers: this.#initializers };
  }

  #fresh(kind: string): ValueName {
    return `${kind}${this.#next()}`;
  }

  /** One count for a graph and those inside: names are unique in all of them. */
  #next(): number {
    return this.#around ? this.#around.#next() : this.#counter++;
  }

  /** Leaves are values already; two leaves of one name are one value. */
  #lower(node: Node): void {
    const [out] = node.tensors;
    if (node.row.name === 'input' || node.row.name === 'parameter') {
      const { name } = node.attributes as { name: string };
      const first = (node.row.name === 'input' ? this.#graph.inputs : this.#graph.parameters).get(
        name,
      );
      if (first) this.#values.set(out, this.#valueOf(first));
      return;
    }
    this.#current = node;
    const values = node.inputs.map((x) => this.#valueOf(x));
    const { attributes, inputs, outputs } = node;
    const used = node.tensors.map((tensor) => this.#read.has(tensor));
    const names = [
      node.row.lower(this.#emitter, { attributes, inputs, outputs, values, used }),
    ].flat();
    for (const [i, tensor] of node.tensors.entries()) this.#values.set(tensor, names[i]);
  }

  #valueOf(tensor: Tensor): ValueName {
    const value = this.#values.get(tensor);
    if (value === undefined) {
      throw new AnyformerError('onnx/internal', {
        what: `${tensor} was read before it was written`,
      });
    }
    return value;
  }

  /**
   * Gives each output's name to the value itself, so that no copy is made; an Identity stays only
   * where one value is two outputs, or an input or a weight is an output.
   */
  #withoutIdentities(outputs: readonly ValueInfo[]): OnnxNode[] {
    const named = new Set(outputs.map(({ name }) => name));
    const produced = new Set(
      this.#nodes.filter(({ op }) => op !== 'Identity').flatMap((node) => node.outputs),
    );
    const rename = new Map<ValueName, ValueName>();
    const kept = this.#nodes.filter(({ op, inputs: [from], outputs: [to] }) => {
      if (op !== 'Identity' || !named.has(to) || !produced.has(from) || rename.has(from))
        return true;
      rename.set(from, to);
      return false;
    });
    return kept.map((node) => renameValues(node, rename));
  }

  #push(
    op: string,
    inputs: readonly ValueName[],
    outputs: ValueName[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    domain: string,
  ): void {
    const path = this.#current?.path || 'graph';
    this.#nodes.push({
      op,
      domain,
      name: `${path}/${op}_${this.#next()}`,
      inputs: [...inputs],
      outputs,
      attributes: { ...attributes } as OnnxNode['attributes'],
    });
  }

  #makeEmitter(): Emitter {
    const nodes: Emitter['nodes'] = (op, inputs, count, attributes = {}, domain = '') => {
      const base = this.#fresh('%v');
      const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? base : `${base}_${i}`));
      this.#push(op, inputs, outputs, attributes, domain);
      return outputs;
    };
    const node: Emitter['node'] = (op, inputs, attributes, domain) =>
      nodes(op, inputs, 1, attributes, domain)[0];
    const scalar: Emitter['scalar'] = (dtype, value) =>
      this.#constant(
        fromNumbers(dtype, [], [value]),
        `${dtype} ${Object.is(value, -0) ? '-0' : value}`,
      );
    return {
      node,
      nodes,
      scalar,
      constant: (array) => this.#constant(array),
      cast: (value, from, to) =>
        from === to ? value : node('Cast', [value], { to: int(elementTypeNumber(to)) }),
      body: (leaves, results, outer) => {
        const inner = simplify(graph(new Map(results.map((tensor, i) => [`${i}`, tensor]))));
        const simplified = results.map((tensor, i) => inner.outputs.get(`${i}`) ?? tensor);
        const writer = new GraphWriter(inner, this.#frozen, this);
        return { kind: 'graph', value: writer.writeBody(leaves, simplified, outer) };
      },
      sizes: (dims) => this.#sizes.vector(dims),
      size: (d) =>
        typeof d === 'number'
          ? scalar('i64', d)
          : node('Reshape', [this.#sizes.vector([d]), this.#sizes.vector([])]),
    };
  }

  /** Constants stand in the outermost graph, where a program's weights are told apart from it. */
  #constant(array: NDArray, key?: string): ValueName {
    if (this.#around) return this.#around.#constant(array, key);
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.#fresh('%c');
    this.#initializers.set(name, array);
    if (key !== undefined) this.#constants.set(key, name);
    return name;
  }
}

/** The node with other names for values, in the graphs that it holds too. */
function renameValues(node: OnnxNode, rename: ReadonlyMap<ValueName, ValueName>): OnnxNode {
  const renamed = (name: ValueName) => rename.get(name) ?? name;
  const attributes = { ...node.attributes };
  for (const [name, inner] of subgraphs(node)) {
    const nodes = inner.nodes.map((one) => renameValues(one, rename));
    attributes[name] = { kind: 'graph', value: { ...inner, nodes } };
  }
  const [inputs, outputs] = [node.inputs, node.outputs].map((names) => names.map(renamed));
  return { ...node, inputs, outputs, attributes };
}
