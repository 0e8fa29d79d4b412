// Cases of the rows that read and write by computed positions.
import {
  ceilLog,
  dim,
  fromNumbers,
  input,
  maxDims,
  minDims,
  ndarray,
  type Tensor,
} from '../../../src/tensor/index.js';
import { bools, f32, f64, i64, randomArray, reader, table } from '../arrays.js';
import type { OpCase, OpRefusal } from './case.js';

const x = randomArray('f32', [2, 3, 4], 21);
const at = reader(x);
const shapes = { x: ['n', 3, 4] };
const big = 2n ** 53n + 1n;
const longs = (...values: readonly bigint[]) =>
  ndarray('i64', [values.length], BigInt64Array.from(values));

const gathers: OpCase[] = [
  {
    row: 'gather',
    what: 'a middle axis by a matrix of positions, negative ones from the end',
    inputs: { x, i: i64([2, 2], [0, -1, 1, 0]) },
    shapes: { ...shapes, i: ['m', 2] },
    build: ({ x, i }) => x.gather(i, 1),
    type: 'f32[n, m, 2, 4]',
    values: table([2, 2, 2, 4], (a, p, q, c) => at(a, [0, 2, 1, 0][2 * p + q], c)),
  },
  {
    row: 'gather',
    what: 'one row by a 0-D position (i32)',
    inputs: { x, i: fromNumbers('i32', [], [1]) },
    build: ({ x, i }) => x.gather(i),
    type: 'f32[3, 4]',
    values: table([3, 4], (b, c) => at(1, b, c)),
  },
  {
    row: 'gather',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(1n, big), i: i64([1], [1]) },
    build: ({ x, i }) => x.gather(i),
    type: 'i64[1]',
    values: [big],
  },
  {
    row: 'gatherElements',
    what: 'the last axis, fewer rows',
    inputs: { x: f32([2, 3], [1, 2, 3, 4, 5, 6]), i: i64([1, 4], [2, 0, 0, -2]) },
    build: ({ x, i }) => x.gatherElements(i),
    type: 'f32[1, 4]',
    values: [3, 1, 1, 2],
  },
  {
    row: 'gatherElements',
    what: 'the first axis',
    inputs: { x: f32([2, 3], [1, 2, 3, 4, 5, 6]), i: i64([1, 3], [1, 0, 1]) },
    shapes: { x: [2, 'w'], i: [1, 'w'] },
    build: ({ x, i }) => x.gatherElements(i, 0),
    type: 'f32[1, w]',
    values: [4, 2, 6],
  },
  {
    row: 'gatherNd',
    what: 'pairs name rows',
    inputs: { x, i: i64([3, 2], [0, 2, 1, 0, 1, -1]) },
    shapes: { ...shapes, i: ['m', 2] },
    build: ({ x, i }) => x.gatherNd(i),
    type: 'f32[m, 4]',
    values: table([3, 4], (p, c) => at([0, 1, 1][p], [2, 0, 2][p], c)),
  },
  {
    row: 'gatherNd',
    what: 'one shared axis',
    inputs: { x, i: i64([2, 3, 1], [2, 0, 1, 1, 1, -3]) },
    shapes: { ...shapes, i: ['n', 3, 1] },
    build: ({ x, i }) => x.gatherNd(i, 1),
    type: 'f32[n, 3, 4]',
    values: table([2, 3, 4], (a, p, c) => at(a, [2, 0, 1, 1, 1, 0][3 * a + p], c)),
  },
  {
    row: 'gatherNd',
    what: 'whole tuples name elements',
    inputs: { x, i: i64([1, 3], [1, 2, 3]) },
    build: ({ x, i }) => x.gatherNd(i),
    type: 'f32[1]',
    values: [at(1, 2, 3)],
  },
];

type Reduction = 'none' | 'add' | 'mul' | 'max' | 'min';
/** x = 10, 20, 30; updates 4, 25, 2 go to places 0, 1, 1. */
const results: Record<Reduction, readonly number[]> = {
  none: [4, 2, 30],
  add: [14, 47, 30],
  mul: [40, 1000, 30],
  max: [10, 25, 30],
  min: [4, 2, 30],
};

const scatters: OpCase[] = Object.entries(results).flatMap(([reduction, values]): OpCase[] => [
  {
    row: 'scatterElements',
    what: `${reduction}, places named twice`,
    inputs: { x: f64([3], [10, 20, 30]), i: i64([3], [0, 1, -2]), u: f64([3], [4, 25, 2]) },
    build: ({ x, i, u }) => x.scatterElements(i, u, 0, reduction as Reduction),
    type: 'f64[3]',
    values,
  },
  {
    row: 'scatterNd',
    what: `${reduction}, rows named twice`,
    inputs: {
      x: f64([3, 2], [10, 0, 20, 0, 30, 0]),
      i: i64([3, 1], [0, 1, -2]),
      u: f64([3, 2], [4, 0, 25, 0, 2, 0]),
    },
    shapes: { x: ['n', 2], i: ['m', 1], u: ['m', 2] },
    build: ({ x, i, u }) => x.scatterNd(i, u, reduction as Reduction),
    type: 'f64[n, 2]',
    values: values.flatMap((v) => [v, 0]),
  },
]);
scatters.push(
  {
    row: 'scatterElements',
    what: 'the last axis of a matrix',
    inputs: {
      x: f32([2, 3], [0, 0, 0, 0, 0, 0]),
      i: i64([2, 2], [0, 2, 1, 1]),
      u: f32([2, 2], [1, 2, 3, 4]),
    },
    shapes: { x: ['n', 3], i: ['n', 2], u: ['n', 2] },
    build: ({ x, i, u }) => x.scatterElements(i, u, -1, 'add'),
    type: 'f32[n, 3]',
    values: [1, 0, 2, 0, 7, 0],
  },
  {
    row: 'scatterElements',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(big, big), i: i64([1], [0]), u: longs(1n) },
    build: ({ x, i, u }) => x.scatterElements(i, u, 0, 'add'),
    type: 'i64[2]',
    values: [big + 1n, big],
  },
  {
    row: 'scatterElements',
    what: 'bool',
    inputs: { x: bools([2], [1, 1]), i: i64([1], [1]), u: bools([1], [0]) },
    build: ({ x, i, u }) => x.scatterElements(i, u),
    type: 'bool[2]',
    values: [1, 0],
  },
  {
    row: 'scatterNd',
    what: 'elements of a matrix',
    inputs: { x: f32([2, 2], [1, 2, 3, 4]), i: i64([2, 2], [0, 1, 1, 0]), u: f32([2], [8, 9]) },
    build: ({ x, i, u }) => x.scatterNd(i, u),
    type: 'f32[2, 2]',
    values: [1, 8, 9, 4],
  },
);

const tops: OpCase[] = [
  {
    row: 'topK',
    what: 'the largest; equal ones in order of place',
    inputs: { x: f32([2, 5], [3, 7, 7, 1, 3, -1, -1, -2, -1, -5]) },
    shapes: { x: ['n', 5] },
    build: ({ x }) => Object.values(x.topK(3)),
    type: ['f32[n, 3]', 'i64[n, 3]'],
    values: [
      [7, 7, 3, -1, -1, -1],
      [1, 2, 0, 0, 1, 3],
    ],
  },
  {
    row: 'topK',
    what: 'the smallest of a first axis',
    inputs: { x: f32([3, 2], [5, 1, 2, 1, 4, 0]) },
    build: ({ x }) => Object.values(x.topK(2, 0, false)),
    type: ['f32[2, 2]', 'i64[2, 2]'],
    values: [
      [2, 0, 4, 1],
      [1, 2, 2, 0],
    ],
  },
  {
    row: 'topK',
    what: 'as many as a named size',
    inputs: { x: f32([2, 4], [1, 2, 3, 4, 8, 7, 6, 5]) },
    shapes: { x: ['n', 4] },
    build: ({ x }) => x.topK('n').values,
    type: 'f32[n, n]',
    values: [4, 3, 8, 7],
  },
  {
    row: 'topK',
    what: 'as many as the logarithm of a named size, at most that size',
    inputs: { x: f32([2, 4], [1, 2, 3, 4, 8, 7, 6, 5]), y: f32([5], [4, 1, 5, 2, 3]) },
    shapes: { x: ['n', 4], y: ['m'] },
    build: ({ x, y }) => [
      x.topK(minDims(ceilLog(dim('n'), 3), dim('n')), 0).values,
      y.topK(maxDims(minDims(ceilLog(dim('m')), dim('m')), 1)).values,
    ],
    type: ['f32[min(ceil(3 log(n)), n), 4]', 'f32[max(1, min(ceil(log(m)), m))]'],
    // ceil(3 ln 2) = 3 rows, of which there are 2; ceil(ln 5) = 2.
    values: [
      [8, 7, 6, 5, 1, 2, 3, 4],
      [5, 4],
    ],
  },
  {
    row: 'topK',
    what: 'infinities',
    inputs: {
      x: f32([3], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0]),
    },
    build: ({ x }) => x.topK(3).indices,
    type: 'i64[3]',
    values: [1, 2, 0],
  },
  {
    row: 'topK',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(big - 1n, big, 5n) },
    build: ({ x }) => Object.values(x.topK(2)),
    type: ['i64[2]', 'i64[2]'],
    values: [
      [big, big - 1n],
      [1, 0],
    ],
  },
];

export const indexCases: readonly OpCase[] = [...gathers, ...scatters, ...tops];

const leaf = (): Tensor => input('x', 'f32', ['n', 3, 4]);
const positions = (...shape: readonly (number | string)[]): Tensor => input('i', 'i64', shape);

export const indexRefusals: readonly OpRefusal[] = [
  {
    row: 'gather',
    what: 'positions that are floats',
    build: () => leaf().gather(input('i', 'f32', [2])),
    message: /positions are integers/,
  },
  {
    row: 'gatherElements',
    what: 'another rank',
    build: () => leaf().gatherElements(positions(2, 3)),
    message: /shape of the tensor/,
  },
  {
    row: 'gatherElements',
    what: 'more rows than there are',
    build: () => leaf().gatherElements(positions('n', 4, 1)),
    message: /shape of the tensor/,
  },
  {
    row: 'gatherNd',
    what: 'tuples longer than the rank',
    build: () => leaf().gatherNd(positions(2, 4)),
    message: /too long/,
  },
  {
    row: 'gatherNd',
    what: 'tuples of a named length',
    build: () => leaf().gatherNd(positions(2, 'k')),
    message: /a fixed length/,
  },
  {
    row: 'gatherNd',
    what: 'shared axes that differ',
    build: () => leaf().gatherNd(positions(2, 5, 1), 1),
    message: /are shared/,
  },
  {
    row: 'gatherNd',
    what: 'more shared axes than positions have',
    build: () => leaf().gatherNd(positions('n', 1), 2),
    message: /are shared/,
  },
  {
    row: 'scatterElements',
    what: 'updates of another shape',
    build: () => leaf().scatterElements(positions('n', 3, 1), input('u', 'f32', ['n', 3, 2])),
    message: /one update for every position/,
  },
  {
    row: 'scatterElements',
    what: 'adding to bool',
    build: () =>
      input('b', 'bool', [3]).scatterElements(positions(1), input('u', 'bool', [1]), 0, 'add'),
    message: /number types/,
  },
  {
    row: 'scatterNd',
    what: 'updates of another type',
    build: () => leaf().scatterNd(positions(2, 1), input('u', 'f64', [2, 3, 4])),
    message: /one update slice/,
  },
  {
    row: 'scatterNd',
    what: 'tuples longer than the rank',
    build: () => leaf().scatterNd(positions(2, 4), input('u', 'f32', [2])),
    message: /too long/,
  },
  { row: 'topK', what: 'too many', build: () => leaf().topK(5), message: /no 5 elements/ },
  {
    row: 'topK',
    what: 'bool',
    build: () => input('b', 'bool', [3]).topK(1),
    message: /number types/,
  },
];
