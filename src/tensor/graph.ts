// Graph: everything that a set of named outputs depends on, in an order that can be executed.
// A graph is plain data over immutable nodes; every change (patching, sharing, fusing) is a rewrite
// that makes a new graph.
import { sameShape } from './dim.js';
import { AnyformerError, nearest } from './error.js';
import { showType } from './op.js';
import type { LeafAttributes } from './ops/leaf.js';
import { schedule } from './schedule.js';
import { build, type Node, type Tensor } from './tensor.js';

export type Graph = {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Next values of parameters that the device holds: written in place after each run. */
  readonly updates: ReadonlyMap<string, Tensor>;
  /** Tagged activations by module path; a path met again gets `#1`, `#2`, ... */
  readonly tags: ReadonlyMap<string, Tensor>;
  /** Every node once, inputs before users. */
  readonly nodes: readonly Node[];
};

type Named = Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>;

const asMap = (named: Named): Map<string, Tensor> =>
  new Map(named instanceof Map ? named : Object.entries(named));

/**
 * The graph of these outputs. Leaves of one name must agree in type and shape. An update is of a
 * parameter that the graph reads, or of a leaf among `written`.
 */
export function graph(outputs: Named, updates: Named = {}, written: Iterable<Tensor> = []): Graph {
  return assemble(asMap(outputs), asMap(updates), written, new Map());
}

/** `named`: names that tags have from the graph before a rewrite, and keep. */
function assemble(
  outputs: ReadonlyMap<string, Tensor>,
  updates: ReadonlyMap<string, Tensor>,
  written: Iterable<Tensor>,
  named: ReadonlyMap<Node, string>,
): Graph {
  const nodes = schedule([...outputs.values(), ...updates.values()]);
  const leaves = new Map<string, Tensor>();
  const tags = new Map<string, Tensor>();
  const taken = new Set(named.values());
  for (const node of nodes) {
    const [out] = node.tensors;
    if (isLeaf(node)) addLeaf(leaves, out);
    else if (node.row.name === 'tag') {
      const { path } = node.attributes as { path: string };
      let name = named.get(node) ?? path;
      for (let again = 1; !named.has(node) && taken.has(name); again++) name = `${path}#${again}`;
      taken.add(name);
      tags.set(name, out);
    }
  }
  for (const leaf of written) {
    const { name } = leaf.node.attributes as LeafAttributes;
    if (isLeaf(leaf.node) && updates.has(name)) addLeaf(leaves, leaf);
  }
  const ofKind = (kind: string) =>
    new Map([...leaves].filter(([, { node }]) => node.row.name === kind));
  const [inputs, parameters] = [ofKind('input'), ofKind('parameter')];
  for (const [name, next] of updates) checkUpdate(name, next, parameters.get(name));
  return { inputs, parameters, outputs, updates, tags, nodes };
}

const isLeaf = ({ row }: Node): boolean => row.name === 'input' || row.name === 'parameter';

function addLeaf(leaves: Map<string, Tensor>, tensor: Tensor): void {
  const { name } = tensor.node.attributes as LeafAttributes;
  const known = leaves.get(name) ?? tensor;
  const same =
    known.node.row === tensor.node.row &&
    known.dtype === tensor.dtype &&
    sameShape(known.shape, tensor.shape);
  if (!same) {
    throw new AnyformerError('tensor/leaf', {
      what: `two different inputs or parameters are called '${name}'`,
      expected: `${known.node.row.name} ${known}`,
      found: `${tensor.node.row.name} ${tensor}`,
      hint: 'give one of them another name',
    });
  }
  leaves.set(name, known);
}

function checkUpdate(name: string, next: Tensor, state: Tensor | undefined): void {
  if (!state) {
    throw new AnyformerError('tensor/update', {
      what: `the update '${name}' has no parameter to write to`,
      expected: 'the name of a parameter that the graph reads',
      found: name,
      hint: 'or give its leaf as one that is written: graph(outputs, updates, [leaf])',
    });
  }
  if (next.dtype !== state.dtype || !sameShape(next.shape, state.shape)) {
    throw new AnyformerError('tensor/update', {
      what: `the update of '${name}' does not fit it`,
      expected: showType(state),
      found: showType(next),
    });
  }
}

/** The activation that was tagged with a module path, e.g. `layers.3.mlp`. */
export function tap(g: Graph, path: string): Tensor {
  const tagged = g.tags.get(path);
  if (!tagged) throw unknownPath(g, path);
  return tagged;
}

function unknownPath(g: Graph, path: string): AnyformerError {
  return new AnyformerError('tensor/path', {
    what: `no activation is called '${path}'`,
    expected: `one of ${g.tags.size} paths, such as ${nearest(path, g.tags.keys()).join(', ') || 'none'}`,
    found: path,
  });
}

/**
 * Replaces activations by module path: every reader of the activation reads `change(activation)`
 * instead. The replacement has the activation's type; gradients flow through it. It takes over the
 * path, so that `tap` finds it and patches compose; what is upstream of it stays the very same nodes.
 */
export function patch(g: Graph, changes: Readonly<Record<string, (x: Tensor) => Tensor>>): Graph {
  for (const path of Object.keys(changes)) if (!g.tags.has(path)) throw unknownPath(g, path);
  const pathOf = new Map([...g.tags].map(([path, tensor]) => [tensor.node, path]));
  return rewrite(g, (node, inputs, copy) => {
    const path = pathOf.get(node);
    if (path === undefined || !Object.hasOwn(changes, path)) return copy(inputs);
    const [activation] = inputs;
    const replaced = changes[path](activation);
    if (replaced.dtype !== activation.dtype || !sameShape(replaced.shape, activation.shape)) {
      throw new AnyformerError('tensor/patch', {
        what: `the replacement of '${path}' has another type`,
        expected: showType(activation),
        found: showType(replaced),
      });
    }
    return copy([replaced]);
  });
}

/** How one node is carried into the new graph: its new outputs. */
export type Rewrite = (
  node: Node,
  inputs: readonly Tensor[],
  /** The same operation over these inputs; the very node when nothing changed. */
  copy: (inputs: readonly Tensor[]) => readonly Tensor[],
) => readonly Tensor[];

/** Rebuilds a graph node by node, in schedule order. Tags that are carried over keep their names. */
export function rewrite(g: Graph, rule: Rewrite): Graph {
  const carried = new Map<Node, readonly Tensor[]>();
  const moved = (tensor: Tensor): Tensor => carried.get(tensor.node)?.[tensor.index] ?? tensor;
  for (const node of g.nodes) {
    const inputs = node.inputs.map(moved);
    const copy = (next: readonly Tensor[]): readonly Tensor[] =>
      next.length === node.inputs.length && next.every((x, i) => x === node.inputs[i])
        ? node.tensors
        : build(node.row, next, node.attributes, node.path);
    carried.set(node, rule(node, inputs, copy));
  }
  const move = (named: ReadonlyMap<string, Tensor>) =>
    new Map([...named].map(([name, tensor]) => [name, moved(tensor)]));
  const named = new Map<Node, string>();
  for (const [name, tag] of g.tags) {
    const { node } = moved(tag);
    if (node.row.name === 'tag' && !named.has(node)) named.set(node, name);
  }
  return assemble(move(g.outputs), move(g.updates), g.parameters.values(), named);
}
