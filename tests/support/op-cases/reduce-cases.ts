// Cases of reductions, prefix sums, normalisations and matrix products.
import { fromNumbers, input, ndarray, type Tensor } from '../../../src/tensor/index.js';
import { f32, f64, i64, randomArray, range, reader, table, total } from '../arrays.js';
import type { OpCase, OpRefusal } from './case.js';

const x = randomArray('f64', [2, 3, 4], 11);
const at = reader(x);
const inputs = { x };
const shapes = { x: ['n', 3, 4] };
const two = range(2);
const three = range(3);
const four = range(4);

const folds: Record<string, (values: readonly number[]) => number> = {
  sum: total,
  mean: (values) => total(values) / values.length,
  max: (values) => [...values].sort((a, b) => b - a)[0],
  min: (values) => [...values].sort((a, b) => a - b)[0],
  prod: (values) => values.reduce((a, b) => a * b, 1),
  sumSquares: (values) => total(values.map((v) => v * v)),
  logSumExp: (values) => Math.log(total(values.map(Math.exp))),
};
type Reduce = (axes?: number | readonly number[], keep?: boolean) => Tensor;
const reduce = (tensor: Tensor, row: string, ...rest: Parameters<Reduce>): Tensor =>
  (tensor as unknown as Record<string, Reduce>)[row](...rest);

const reductions: OpCase[] = Object.entries(folds).flatMap(([row, fold]): OpCase[] => [
  {
    row,
    what: 'the last axis',
    inputs,
    shapes,
    build: (leaf) => reduce(leaf.x, row, -1),
    type: 'f64[n, 3]',
    values: table([2, 3], (a, b) => fold(four.map((c) => at(a, b, c)))),
    tolerance: 1e-12,
  },
  {
    row,
    what: 'two axes, kept',
    inputs,
    shapes,
    build: (leaf) => reduce(leaf.x, row, [0, 2], true),
    type: 'f64[1, 3, 1]',
    values: table([1, 3, 1], (_, b) => fold(two.flatMap((a) => four.map((c) => at(a, b, c))))),
    tolerance: 1e-12,
  },
  {
    row,
    what: 'every axis',
    inputs,
    shapes,
    build: (leaf) => reduce(leaf.x, row),
    type: 'f64[]',
    values: [fold(table([2, 3, 4], at))],
    tolerance: 1e-12,
  },
  {
    row,
    what: 'no axis folds each element alone',
    inputs,
    shapes,
    build: (leaf) => reduce(leaf.x, row, []).mul(1),
    type: 'f64[n, 3, 4]',
    values: table([2, 3, 4], (...place) => fold([at(...place)])),
    tolerance: 1e-12,
  },
]);

const big = 2n ** 53n;
const longs = (...values: readonly bigint[]) =>
  ndarray('i64', [values.length], BigInt64Array.from(values));

const edge: OpCase[] = [
  {
    row: 'sum',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(big, 1n, 1n) },
    build: (leaf) => leaf.x.sum(),
    type: 'i64[]',
    values: [big + 2n],
  },
  {
    row: 'sum',
    what: 'i32 wraps',
    inputs: { x: fromNumbers('i32', [2], [2 ** 31 - 1, 1]) },
    build: (leaf) => leaf.x.sum(),
    type: 'i32[]',
    values: [-(2 ** 31)],
  },
  {
    row: 'prod',
    what: 'i32 keeps the low bits',
    inputs: { x: fromNumbers('i32', [3], [123456789, 987654321, 7]) },
    build: (leaf) => leaf.x.prod(),
    type: 'i32[]',
    values: [Math.imul(Math.imul(123456789, 987654321), 7)],
  },
  {
    row: 'mean',
    what: 'integers truncate towards zero',
    inputs: { x: i64([2], [-3, -4]) },
    build: (leaf) => leaf.x.mean(),
    type: 'i64[]',
    values: [-3],
  },
  {
    row: 'max',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(big, big + 1n, -big) },
    build: (leaf) => leaf.x.max(),
    type: 'i64[]',
    values: [big + 1n],
  },
  {
    row: 'min',
    what: 'u64',
    inputs: { x: ndarray('u64', [2], BigUint64Array.of(2n ** 64n - 1n, 2n ** 63n)) },
    build: (leaf) => leaf.x.min(),
    type: 'u64[]',
    values: [2n ** 63n],
  },
  {
    row: 'max',
    what: 'NaN',
    inputs: { x: f32([2], [1, Number.NaN]) },
    build: (leaf) => leaf.x.max(),
    type: 'f32[]',
    values: [Number.NaN],
  },
  {
    row: 'sum',
    what: 'an empty axis gives 0',
    inputs: { x: f32([2, 0], []) },
    build: (leaf) => leaf.x.sum(1),
    type: 'f32[2]',
    values: [0, 0],
  },
  {
    row: 'logSumExp',
    what: 'neither overflows nor underflows',
    inputs: { x: f64([3, 2], [1000, 1000, -1000, -1000, 3, Number.NEGATIVE_INFINITY]) },
    build: (leaf) => leaf.x.logSumExp(1),
    type: 'f64[3]',
    values: [1000 + Math.LN2, -1000 + Math.LN2, 3],
    tolerance: 1e-15,
  },
  {
    row: 'logSumExp',
    what: 'nothing but minus infinity',
    inputs: { x: f64([2], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]) },
    build: (leaf) => leaf.x.logSumExp(),
    type: 'f64[]',
    values: [Number.NEGATIVE_INFINITY],
  },
  {
    row: 'argMax',
    what: 'the first of equals',
    inputs: { x: f32([2, 4], [1, 5, 5, 2, -3, -9, -9, -1]) },
    shapes: { x: ['n', 4] },
    build: (leaf) => leaf.x.argMax(),
    type: 'i64[n]',
    values: [1, 3],
  },
  {
    row: 'argMax',
    what: 'i64 beyond 2^53, kept',
    inputs: { x: longs(big, big + 1n, 5n) },
    build: (leaf) => leaf.x.argMax(0, true),
    type: 'i64[1]',
    values: [1],
  },
  {
    row: 'argMin',
    what: 'the first of equals, a middle axis',
    inputs: { x: f32([1, 3, 2], [4, 1, 2, 1, 2, 7]) },
    build: (leaf) => leaf.x.argMin(1),
    type: 'i64[1, 2]',
    values: [1, 0],
  },
];

const running: OpCase[] = [false, true].flatMap((exclusive) =>
  [false, true].map(
    (reverse): OpCase => ({
      row: 'cumsum',
      what: `a middle axis${exclusive ? ', exclusive' : ''}${reverse ? ', reverse' : ''}`,
      inputs,
      shapes,
      build: (leaf) => leaf.x.cumsum(1, { exclusive, reverse }),
      type: 'f64[n, 3, 4]',
      values: table([2, 3, 4], (a, b, c) =>
        total(
          three
            .filter((j) => (reverse ? j > b : j < b) || (j === b && !exclusive))
            .map((j) => at(a, j, c)),
        ),
      ),
      tolerance: 1e-12,
    }),
  ),
);
running.push({
  row: 'cumsum',
  what: 'i64 beyond 2^53',
  inputs: { x: longs(big, 1n, 1n) },
  build: (leaf) => leaf.x.cumsum(0),
  type: 'i64[3]',
  values: [big, big + 1n, big + 2n],
});

const softmaxAt = (a: number, b: number, c: number): number =>
  Math.exp(at(a, b, c)) / total(three.map((j) => Math.exp(at(a, j, c))));
const gain = randomArray('f64', [4], 12);
const bias = randomArray('f64', [4], 13);
const [gainAt, biasAt] = [reader(gain), reader(bias)];
const row4 = (a: number, b: number) => four.map((c) => at(a, b, c));
const normalised = (a: number, b: number, c: number, eps: number): number => {
  const row = row4(a, b);
  const mean = total(row) / 4;
  const variance = total(row.map((v) => v * v)) / 4 - mean * mean;
  return (at(a, b, c) - mean) / Math.sqrt(variance + eps);
};

const norms: OpCase[] = [
  {
    row: 'softmax',
    what: 'a middle axis',
    inputs,
    shapes,
    build: (leaf) => leaf.x.softmax(1),
    type: 'f64[n, 3, 4]',
    values: table([2, 3, 4], softmaxAt),
    tolerance: 1e-12,
  },
  {
    row: 'softmax',
    what: 'does not overflow; minus infinity is excluded',
    inputs: { x: f64([2, 3], [1e4, 1e4, Number.NEGATIVE_INFINITY, -1e4, -1e4, -1e4]) },
    build: (leaf) => leaf.x.softmax(),
    type: 'f64[2, 3]',
    values: [0.5, 0.5, 0, 1 / 3, 1 / 3, 1 / 3],
    tolerance: 1e-15,
  },
  {
    row: 'logSoftmax',
    what: 'a middle axis',
    inputs,
    shapes,
    build: (leaf) => leaf.x.logSoftmax(1),
    type: 'f64[n, 3, 4]',
    values: table([2, 3, 4], (a, b, c) => Math.log(softmaxAt(a, b, c))),
    tolerance: 1e-12,
  },
  {
    row: 'logSoftmax',
    what: 'does not underflow',
    inputs: { x: f64([2], [0, 1e4]) },
    build: (leaf) => leaf.x.logSoftmax(),
    type: 'f64[2]',
    values: [-1e4, 0],
  },
  {
    row: 'layerNorm',
    what: 'gain and bias',
    inputs: { x, gain, bias },
    shapes,
    build: (leaf) => leaf.x.layerNorm(leaf.gain, leaf.bias, 0.1),
    type: 'f64[n, 3, 4]',
    values: table([2, 3, 4], (a, b, c) => normalised(a, b, c, 0.1) * gainAt(c) + biasAt(c)),
    tolerance: 1e-12,
  },
  {
    row: 'layerNorm',
    what: 'without bias',
    inputs: { x, gain },
    shapes,
    build: (leaf) => leaf.x.layerNorm(leaf.gain, undefined, 0.1),
    type: 'f64[n, 3, 4]',
    values: table([2, 3, 4], (a, b, c) => normalised(a, b, c, 0.1) * gainAt(c)),
    tolerance: 1e-12,
  },
  {
    row: 'layerNorm',
    what: 'a constant row gives the bias',
    inputs: { x: f32([1, 2], [3, 3]), gain: f32([2], [5, 6]), bias: f32([2], [-1, 1]) },
    build: (leaf) => leaf.x.layerNorm(leaf.gain, leaf.bias, 1e-5),
    type: 'f32[1, 2]',
    values: [-1, 1],
  },
  {
    row: 'rmsNorm',
    what: 'the last axis',
    inputs: { x, gain },
    shapes,
    build: (leaf) => leaf.x.rmsNorm(leaf.gain, 0.3),
    type: 'f64[n, 3, 4]',
    values: table(
      [2, 3, 4],
      (a, b, c) =>
        (at(a, b, c) * gainAt(c)) / Math.sqrt(0.3 + total(row4(a, b).map((v) => v * v)) / 4),
    ),
    tolerance: 1e-12,
  },
];

const a = randomArray('f64', [2, 1, 3, 4], 14);
const b = randomArray('f64', [5, 4, 2], 15);
const [aAt, bAt] = [reader(a), reader(b)];
const product = table([2, 5, 3, 2], (p, q, i, j) =>
  total(four.map((k) => aAt(p, 0, i, k) * bAt(q, k, j))),
);
const products: OpCase[] = [
  {
    row: 'matmul',
    what: 'leading axes broadcast',
    inputs: { a, b },
    shapes: { a: ['n', 1, 'rows', 4], b: [5, 4, 2] },
    build: (leaf) => leaf.a.matmul(leaf.b),
    type: 'f64[n, 5, rows, 2]',
    values: product,
    tolerance: 1e-12,
  },
  {
    row: 'matmul',
    what: 'transposed factors and a scale',
    inputs: { a, b },
    shapes: { a: ['n', 1, 3, 4], b: [5, 4, 'columns'] },
    build: (leaf) =>
      leaf.b.matmul(leaf.a, { transposeA: true, transposeB: true, scale: -0.5 }).swap(-1, -2),
    type: 'f64[n, 5, 3, columns]',
    values: product.map((v) => -0.5 * v),
    tolerance: 1e-12,
  },
  {
    row: 'matmul',
    what: 'no inner elements give 0',
    inputs: { a: f32([2, 0], []), b: f32([0, 1], []) },
    build: (leaf) => leaf.a.matmul(leaf.b),
    type: 'f32[2, 1]',
    values: [0, 0],
  },
];

export const reduceCases: readonly OpCase[] = [
  ...reductions,
  ...edge,
  ...running,
  ...norms,
  ...products,
];

const leaf = (): Tensor => input('x', 'f32', ['n', 3, 4]);
const flags = (): Tensor => input('c', 'bool', [2]);

export const reduceRefusals: readonly OpRefusal[] = [
  { row: 'sum', what: 'bool', build: () => flags().sum(), message: /bool has no arithmetic/ },
  { row: 'sum', what: 'no such axis', build: () => leaf().sum(3), message: /sum: f32.*axis 3/ },
  { row: 'max', what: 'an axis twice', build: () => leaf().max([0, -3]), message: /named twice/ },
  {
    row: 'sumSquares',
    what: 'integers',
    build: () => input('i', 'i64', [2]).sumSquares(),
    message: /needs floats/,
  },
  {
    row: 'logSumExp',
    what: 'integers',
    build: () => input('i', 'i64', [2]).logSumExp(),
    message: /needs floats/,
  },
  { row: 'argMax', what: 'bool', build: () => flags().argMax(), message: /number types/ },
  {
    row: 'argMin',
    what: 'an empty axis',
    build: () => input('e', 'f32', [2, 0]).argMin(),
    message: /no extreme/,
  },
  { row: 'cumsum', what: 'bool', build: () => flags().cumsum(0), message: /number types/ },
  { row: 'softmax', what: 'no such axis', build: () => leaf().softmax(-4), message: /softmax: / },
  {
    row: 'logSoftmax',
    what: 'integers',
    build: () => input('i', 'i64', [2]).logSoftmax(),
    message: /needs floats/,
  },
  {
    row: 'layerNorm',
    what: 'a gain of another width',
    build: () => leaf().layerNorm(input('g', 'f32', [3]), undefined, 1e-5),
    message: /layerNorm: f32\[n, 3, 4\] x f32\[3\].*does not fit/,
  },
  {
    row: 'rmsNorm',
    what: 'a gain of another type',
    build: () => leaf().rmsNorm(input('g', 'f64', [4]), 1e-5),
    message: /does not fit/,
  },
  {
    row: 'matmul',
    what: 'inner sizes that differ',
    build: () => leaf().matmul(input('w', 'f32', [3, 2])),
    message: /matmul: f32\[n, 3, 4\] x f32\[3, 2\].*do not multiply[\s\S]*inner sizes 4 and 3/,
  },
  {
    row: 'matmul',
    what: 'vectors',
    build: () => input('v', 'f32', [3]).matmul(input('w', 'f32', [3, 2])),
    message: /needs matrices/,
  },
  {
    row: 'matmul',
    what: 'integers',
    build: () => input('v', 'i32', [3, 3]).matmul(input('w', 'i32', [3, 2])),
    message: /one float type/,
  },
  {
    row: 'matmul',
    what: 'leading axes that do not broadcast',
    build: () => leaf().matmul(input('w', 'f32', [5, 4, 2])),
    message: /do not multiply/,
  },
];
