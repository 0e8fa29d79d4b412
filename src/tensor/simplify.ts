// Rewrites that every graph takes before it is compiled: marks vanish, equal subexpressions are
// shared, transposes and scales move into the matrix products that take them for free, and row sums
// are taken from the smaller of two products.

import type { NDArray } from './array.js';
import { toNumbers } from './array.js';
import { type Dim, SymbolicDim } from './dim.js';
import { type Graph, rewrite } from './graph.js';
import { type MatmulAttributes, matmul } from './ops/matmul.js';
import { shareRowSums } from './row-sums.js';
import { build, type Node, type Tensor } from './tensor.js';

export const simplify = (g: Graph): Graph =>
  share(shareRowSums(share(fuseProducts(share(stripTags(g))))));

/** Replaces tags and gradient marks by what they stand for. Taps that are outputs keep their value. */
export const stripTags = (g: Graph): Graph =>
  rewrite(g, (node, inputs, copy) => (node.row.mark ? [inputs[0]] : copy(inputs)));

/** Shares nodes that compute the same from the same: common-subexpression elimination. */
export function share(g: Graph): Graph {
  const known = new Map<string, readonly Tensor[]>();
  return rewrite(g, (node, inputs, copy) => {
    const from = inputs.map((x) => `${x.node.id}.${x.index}`).join(',');
    const key = `${node.row.name}(${from})${attributeKey(node.attributes)}`;
    const found = known.get(key) ?? copy(inputs);
    known.set(key, found);
    return found;
  });
}

/**
 * Text that is equal for equal attributes. Big arrays, functions and instances of classes (a Map, a
 * body graph) are equal only when they are one object.
 */
export function attributeKey(value: unknown): string {
  if (typeof value === 'number') return numberKey(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof SymbolicDim) return `dim ${value.key}`;
  if (Array.isArray(value)) return `[${value.map(attributeKey).join(',')}]`;
  if (isArray(value)) return arrayKey(value);
  if (isRecord(value)) {
    return `{${Object.entries(value)
      .map(([name, entry]) => `${name}:${attributeKey(entry)}`)
      .join(',')}}`;
  }
  if (typeof value === 'function') return identity(value);
  return typeof value === 'object' && value !== null ? identity(value) : String(value);
}

/** -0 is not 0: 1 / x tells them apart. */
const numberKey = (value: number | bigint): string => (Object.is(value, -0) ? '-0' : String(value));

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const isArray = (value: unknown): value is NDArray =>
  isRecord(value) && ArrayBuffer.isView(value.data) && 'dtype' in value;

const arrayKey = (array: NDArray): string =>
  array.data.length > 16
    ? identity(array)
    : `${array.dtype}[${array.shape}]=${Array.from<number | bigint, string>(array.data, numberKey)}`;

const ids = new WeakMap<object, number>();
let nextId = 0;

function identity(value: object): string {
  const id = ids.get(value) ?? nextId++;
  ids.set(value, id);
  return `#${id}`;
}

/** How many places read each tensor: nodes and named results. */
function readers(g: Graph): Map<Tensor, number> {
  const counts = new Map<Tensor, number>();
  const read = (tensor: Tensor) => counts.set(tensor, (counts.get(tensor) ?? 0) + 1);
  for (const node of g.nodes) node.inputs.forEach(read);
  for (const tensor of [...g.outputs.values(), ...g.updates.values()]) read(tensor);
  return counts;
}

/** x.swap(-1, -2) into transposeA/B; a factor that only scales into the product's scale. */
export function fuseProducts(g: Graph): Graph {
  const transposed = rewrite(g, (node, inputs, copy) => {
    if (node.row.name !== 'matmul') return copy(inputs);
    const attributes = node.attributes as MatmulAttributes;
    const [a, b] = inputs.map(withoutSwaps);
    if (a.x === inputs[0] && b.x === inputs[1]) return copy(inputs);
    const transposeA = attributes.transposeA !== a.odd;
    const transposeB = attributes.transposeB !== b.odd;
    return build(matmul, [a.x, b.x], { ...attributes, transposeA, transposeB }, node.path);
  });
  const counts = readers(transposed);
  return rewrite(transposed, (node, inputs, copy) => {
    const scaled = scaledProduct(node, inputs, counts);
    if (!scaled) return copy(inputs);
    const product = inputs[scaled.at].node;
    const attributes = product.attributes as MatmulAttributes;
    const scale = attributes.scale * scaled.factor;
    return build(matmul, product.inputs, { ...attributes, scale }, node.path);
  });
}

/** The tensor under exchanges of its last two axes, and whether their number is odd. */
function withoutSwaps(tensor: Tensor): { x: Tensor; odd: boolean } {
  let [x, odd] = [tensor, false];
  for (let under = swapped(x); under; under = swapped(x)) [x, odd] = [under, !odd];
  return { x, odd };
}

/** What was transposed, where a tensor is a plain exchange of another's last two axes. */
function swapped(x: Tensor): Tensor | undefined {
  if (x.node.row.name !== 'transpose') return undefined;
  const { order } = x.node.attributes as { order: readonly number[] };
  const last = order.length - 1;
  const plain =
    last >= 1 &&
    order[last] === last - 1 &&
    order[last - 1] === last &&
    order.slice(0, -2).every((axis, i) => axis === i);
  return plain ? x.node.inputs[0] : undefined;
}

/**
 * matmul * scalar or matmul / scalar, the product being read nowhere else. `inputs` are the node's
 * carried ones: a product that took a scale already takes the next.
 */
function scaledProduct(
  node: Node,
  inputs: readonly Tensor[],
  counts: ReadonlyMap<Tensor, number>,
): { at: number; factor: number } | undefined {
  const { name } = node.row;
  if (name !== 'mul' && name !== 'div') return undefined;
  for (const at of name === 'mul' ? [0, 1] : [0]) {
    const other = inputs[1 - at];
    if (inputs[at].node.row.name !== 'matmul' || counts.get(node.inputs[at]) !== 1) continue;
    if (other.node.row.name !== 'constant' || other.rank !== 0) continue;
    const [value] = toNumbers((other.node.attributes as { value: NDArray }).value);
    return { at, factor: name === 'mul' ? value : 1 / value };
  }
  return undefined;
}

/** Attributes with every symbolic size replaced by its number; arrays and instances stay as they are. */
export function concreteAttributes<T>(value: T, evaluate: (d: Dim) => number): T {
  if (value instanceof SymbolicDim) return evaluate(value) as T;
  if (Array.isArray(value)) return value.map((entry) => concreteAttributes(entry, evaluate)) as T;
  if (isRecord(value) && !isArray(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [name, concreteAttributes(entry, evaluate)]),
    ) as T;
  }
  return value;
}
