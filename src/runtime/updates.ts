// In-place updates: the next value of a parameter is written into the memory of the old one, and the
// runtime, which does not know, may run independent nodes in any order. So every reader of the old
// value must come before the write in every order: be an ancestor of the node that writes, or be
// that node, reading element i before writing element i. Judged on the simplified graph.
//
// The runtime also fuses. A value that it may fold into its readers (a view, a transpose, a scale)
// is therefore no end: its readers count as readers of the parameter. And a product that reaches the
// write through element-wise nodes alone may become one kernel with it (Gemm adds into the memory it
// still reads from), so it must be refused although it is an ancestor.
import {
  AnyformerError,
  type Graph,
  type NDArray,
  type Node,
  sameShape,
  type Tensor,
  toNumbers,
} from '../tensor/index.js';

/** Throws `runtime/update` naming parameter and reader where an update in place is not safe. */
export function checkUpdates(g: Graph): void {
  if (g.updates.size === 0) return;
  const users = usersOf(g);
  for (const [name, next] of g.updates) checkUpdate(g, name, next, users);
}

/** A way to the parameter's memory; `inOrder` while element i is still at place i. */
type Alias = { tensor: Tensor; inOrder: boolean };

function checkUpdate(
  g: Graph,
  name: string,
  next: Tensor,
  users: ReadonlyMap<Tensor, readonly Node[]>,
): void {
  const writer = written(next).node;
  const before = ancestors(writer);
  const aliases = aliasesOf(g, name, writer, users);
  for (const { tensor, inOrder } of aliases.values()) {
    for (const reader of users.get(tensor) ?? []) {
      if (reader === writer) {
        if (!(inOrder && readsInPlace(reader, tensor))) throw refuse(name, reader, 'rewrites');
      } else if (!before.has(reader)) {
        throw refuse(name, reader, 'unordered');
      } else if (products.has(reader.row.name) && mayFuse(reader, writer, users)) {
        throw refuse(name, reader, 'fuses');
      }
    }
    for (const [output, value] of g.outputs) {
      if (value === tensor) throw refuse(name, `the output '${output}'`, 'unordered');
    }
    for (const [other, value] of g.updates) {
      if (value === tensor && other !== name) {
        throw refuse(name, `the update of '${other}'`, 'unordered');
      }
    }
  }
}

function usersOf(g: Graph): Map<Tensor, Node[]> {
  const users = new Map<Tensor, Node[]>();
  for (const node of g.nodes) {
    for (const tensor of new Set(node.inputs)) {
      const list = users.get(tensor);
      if (list) list.push(node);
      else users.set(tensor, [node]);
    }
  }
  return users;
}

/** What a view shows. */
function written(tensor: Tensor): Tensor {
  let at = tensor;
  while (at.node.row.view) at = at.node.inputs[0];
  return at;
}

function ancestors(node: Node): Set<Node> {
  const seen = new Set<Node>();
  const open = [node];
  for (let at = open.pop(); at; at = open.pop()) {
    for (const { node: from } of at.inputs) {
      if (seen.has(from)) continue;
      seen.add(from);
      open.push(from);
    }
  }
  return seen;
}

/** Every tensor through which the old value may be read without a copy having been made. */
function aliasesOf(
  g: Graph,
  name: string,
  writer: Node,
  users: ReadonlyMap<Tensor, readonly Node[]>,
): Map<Tensor, Alias> {
  const aliases = new Map<Tensor, Alias>();
  const open: Alias[] = [];
  const add = (alias: Alias) => {
    const known = aliases.get(alias.tensor);
    if (known && (alias.inOrder || !known.inOrder)) return;
    aliases.set(alias.tensor, alias);
    open.push(alias);
  };
  for (const node of g.nodes) {
    const isLeaf = node.row.name === 'parameter' && node.attributes.name === name;
    if (isLeaf) add({ tensor: node.tensors[0], inOrder: true });
  }
  for (let at = open.pop(); at; at = open.pop()) {
    for (const node of users.get(at.tensor) ?? []) {
      const way = node === writer ? undefined : foldable(node, at.tensor);
      if (way) add({ tensor: node.tensors[0], inOrder: at.inOrder && way === 'in order' });
    }
  }
  return aliases;
}

const noOps = new Set(['add', 'sub', 'mul', 'div']);

/** Whether a runtime may read through the node instead of running it. */
function foldable(node: Node, from: Tensor): 'in order' | 'moved' | undefined {
  const { name, view } = node.row;
  if (view || name === 'cast') return 'in order';
  if (name === 'transpose' || name === 'broadcastTo') return 'moved';
  if (name === 'slice' || name === 'pad') {
    return sameShape(node.outputs[0].shape, from.shape) ? 'in order' : undefined;
  }
  if (!noOps.has(name)) return undefined;
  const [other] = node.inputs.filter((x) => x !== from);
  const isScalar = other !== undefined && scalarValue(other) !== undefined;
  return isScalar && sameShape(node.outputs[0].shape, from.shape) ? 'in order' : undefined;
}

function scalarValue({ node }: Tensor): number | undefined {
  if (node.row.name !== 'constant') return undefined;
  const { value } = node.attributes as { value: NDArray };
  return value.data.length === 1 ? toNumbers(value)[0] : undefined;
}

/** Kernels that use the output as scratch space while they still read the input (measured). */
const scratches = new Set(['gelu', 'geluTanh', 'silu', 'quickGelu']);

const readsInPlace = (node: Node, tensor: Tensor): boolean =>
  node.row.elementwise === true &&
  !scratches.has(node.row.name) &&
  sameShape(node.outputs[0].shape, tensor.shape);

/** Whether element-wise nodes alone lead from one node to the other. */
function mayFuse(from: Node, to: Node, users: ReadonlyMap<Tensor, readonly Node[]>): boolean {
  const seen = new Set<Node>([from]);
  const open = [from];
  for (let at = open.pop(); at; at = open.pop()) {
    for (const tensor of at.tensors) {
      for (const user of users.get(tensor) ?? []) {
        const through = user.row.elementwise || user.row.view || user.row.name === 'transpose';
        if (seen.has(user) || !through) continue;
        if (user === to) return true;
        seen.add(user);
        open.push(user);
      }
    }
  }
  return false;
}

/** What runtimes fuse with the addition, scale or activation that follows. */
const products = new Set(['matmul', 'conv']);

type Fault = 'unordered' | 'rewrites' | 'fuses';

const sentences: Readonly<Record<Fault, { what: string; hint: string }>> = {
  unordered: {
    what: 'may read the old value after the new one is written over it',
    hint: 'make the update depend on a value that needs this reader, as the global gradient norm does',
  },
  rewrites: {
    what: 'would write over elements that it still reads',
    hint: 'compute the next value by element-wise operations',
  },
  fuses: {
    what: 'may be fused with the write and read what it has written',
    hint: 'put the product into a separate program',
  },
};

function refuse(name: string, reader: Node | string, fault: Fault): AnyformerError {
  const label =
    typeof reader === 'string'
      ? reader
      : [reader.path, reader.row.name].filter(Boolean).join(' > ');
  const { what, hint } = sentences[fault];
  return new AnyformerError('runtime/update', {
    what: `the parameter '${name}' cannot be updated in place: ${label} ${what}`,
    expected: 'every reader of the old value to come before the write',
    found: label,
    hint: `${hint}; or return the next value as an output and write it \`into\` another buffer`,
  });
}
