// One graph or several of every row of the op table, to be run in each of the listed types.
import {
  after,
  build,
  concat,
  constant,
  type DType,
  dtypes,
  fromNumbers,
  iota,
  type NDArray,
  type OpRow,
  type Tensor,
  withGradient,
} from '../../src/tensor/index.js';
import { binaryRows } from '../../src/tensor/ops/binary.js';
import { dynamicQuantizeMatmul, matmulNBits } from '../../src/tensor/ops/quantized.js';
import { unaryRows } from '../../src/tensor/ops/unary.js';
import { type Range, random } from './support.js';

export type Case = {
  row: string;
  /** What this case is about, where a row has several. */
  of?: string;
  types: readonly DType[];
  /** Types that the reference knows and ONNX Runtime lacks. */
  missing?: readonly DType[];
  arrays: (dtype: DType) => Record<string, NDArray>;
  make: (x: Record<string, Tensor>) => Tensor | Record<string, Tensor>;
  tolerance?: Partial<Record<DType, number>>;
};

const floats: DType[] = ['f32', 'f64'];
const signed: DType[] = [...floats, 'i32', 'i64'];
const integers: DType[] = ['i8', 'u8', 'i32', 'u32', 'i64', 'u64'];
const every: DType[] = [...floats, 'f16', ...integers, 'bool'];

const unaryRanges: Readonly<Record<string, Range>> = {
  log: { low: 0.1, high: 4 },
  sqrt: { low: 0, high: 4 },
  reciprocal: { low: 0.5, high: 3 },
  round: { low: -4, high: 4 },
  softplus: { low: -30, high: 30 },
  sigmoid: { low: -30, high: 30 },
};

const unaryTypes: Readonly<Record<string, DType[]>> = {
  neg: signed,
  abs: signed,
  sign: signed,
  not: ['bool'],
};

const unary: Case[] = Object.keys(unaryRows).map((row) => ({
  row,
  types: unaryTypes[row] ?? floats,
  arrays: (dtype) => ({ x: random(dtype, [7, 9], unaryRanges[row]) }),
  make: ({ x }) => build((unaryRows as Record<string, OpRow<object>>)[row], [x])[0],
  // Float32 kernels of erf and exp are rational approximations.
  tolerance: { f32: 4e-6 },
}));

const comparable: DType[] = [...floats, 'i32', 'i64'];
const binaryTypes: Readonly<Record<string, DType[]>> = {
  pow: floats,
  mod: ['i32', 'i64', 'u8'],
  and: ['bool'],
  or: ['bool'],
  bitAnd: integers,
  bitOr: integers,
  bitXor: integers,
  shiftLeft: ['u32', 'u64'],
  shiftRight: ['u32', 'u64'],
};

const second: Readonly<Record<string, Range>> = {
  div: { low: 1, high: 4 },
  mod: { low: 1, high: 5 },
  shiftLeft: { low: 0, high: 8 },
  shiftRight: { low: 0, high: 8 },
};

const binary: Case[] = Object.keys(binaryRows).map((row) => ({
  row,
  types: binaryTypes[row] ?? comparable,
  arrays: (dtype) => ({
    x: random(dtype, [5, 1, 4], row === 'pow' ? { low: 0.2, high: 3 } : {}),
    y: random(dtype, [3, 4], { seed: 2, ...second[row] }),
  }),
  make: ({ x, y }) => build((binaryRows as Record<string, OpRow<object>>)[row], [x, y])[0],
}));

const i64 = (shape: readonly number[], values: readonly number[]) =>
  fromNumbers('i64', shape, values);
const withX =
  (shape: readonly number[], range?: Range) =>
  (dtype: DType): Record<string, NDArray> => ({ x: random(dtype, shape, range) });

const reductions: Case[] = (
  ['sum', 'mean', 'max', 'min', 'prod', 'sumSquares', 'logSumExp'] as const
).map((row) => ({
  row,
  types: ['mean', 'sumSquares', 'logSumExp'].includes(row) ? floats : comparable,
  arrays: withX([3, 4, 5], { low: row === 'prod' ? 1 : -3, high: 3 }),
  make: ({ x }) => ({ last: x[row](-1), two: x[row]([0, 2], true), all: x[row]() }),
}));

const rest: Case[] = [
  ...reductions,
  {
    row: 'argMax',
    types: comparable,
    arrays: withX([3, 6], { low: 0, high: 4 }),
    make: ({ x }) => ({ last: x.argMax(), first: x.argMax(0, true) }),
  },
  {
    row: 'argMin',
    types: comparable,
    arrays: withX([3, 6], { low: 0, high: 4 }),
    make: ({ x }) => ({ last: x.argMin(), first: x.argMin(0, true) }),
  },
  {
    row: 'cumsum',
    types: comparable,
    arrays: withX([3, 6]),
    make: ({ x }) => ({
      plain: x.cumsum(1),
      exclusive: x.cumsum(0, { exclusive: true }),
      reverse: x.cumsum(1, { reverse: true }),
      both: x.cumsum(-1, { reverse: true, exclusive: true }),
    }),
  },
  {
    row: 'softmax',
    types: floats,
    arrays: withX([3, 4, 5], { low: -20, high: 20 }),
    make: ({ x }) => ({ last: x.softmax(), middle: x.softmax(1) }),
  },
  {
    row: 'logSoftmax',
    types: floats,
    arrays: withX([3, 4, 5], { low: -20, high: 20 }),
    make: ({ x }) => ({ last: x.logSoftmax(), middle: x.logSoftmax(1) }),
  },
  {
    row: 'layerNorm',
    types: floats,
    arrays: (dtype) => ({
      x: random(dtype, [4, 3, 8]),
      gain: random(dtype, [8], { seed: 2 }),
      bias: random(dtype, [8], { seed: 3 }),
    }),
    make: ({ x, gain, bias }) => ({
      biased: x.layerNorm(gain, bias, 1e-5),
      plain: x.layerNorm(gain, undefined, 1e-6),
    }),
    // The float64 kernel keeps epsilon in float32.
    tolerance: { f64: 1e-10 },
  },
  {
    row: 'rmsNorm',
    types: floats,
    arrays: (dtype) => ({ x: random(dtype, [4, 3, 8]), gain: random(dtype, [8], { seed: 2 }) }),
    make: ({ x, gain }) => x.rmsNorm(gain, 1e-5),
    tolerance: { f64: 1e-10 },
  },
  {
    row: 'matmul',
    types: floats,
    arrays: (dtype) => ({
      a: random(dtype, [2, 3, 4]),
      b: random(dtype, [4, 5], { seed: 2 }),
      c: random(dtype, [2, 5, 4], { seed: 3 }),
      d: random(dtype, [2, 4, 3], { seed: 4 }),
    }),
    make: ({ a, b, c, d }) => ({
      plain: a.matmul(b),
      right: a.matmul(c, { transposeB: true, scale: 0.25 }),
      left: d.matmul(b, { transposeA: true }),
      both: d.matmul(c, { transposeA: true, transposeB: true, scale: -2 }),
      scaled: a.matmul(b, { scale: 3 }),
    }),
  },
  {
    row: 'conv',
    types: floats,
    arrays: (dtype) => ({
      image: random(dtype, [2, 4, 7, 6]),
      line: random(dtype, [2, 4, 9], { seed: 2 }),
      square: random(dtype, [6, 2, 3, 3], { seed: 3 }),
      taps: random(dtype, [4, 1, 3], { seed: 4 }),
      bias: random(dtype, [6], { seed: 5 }),
    }),
    make: ({ image, line, square, taps, bias }) => ({
      grouped: image.conv(square, bias, { groups: 2, padding: 1 }),
      strided: image.conv(square, undefined, { groups: 2, stride: 2 }),
      depthwise: line.conv(taps, undefined, { groups: 4, dilation: 2 }),
    }),
    tolerance: { f32: 1e-5 },
  },
  {
    row: 'convTranspose',
    types: floats,
    arrays: (dtype) => ({
      image: random(dtype, [2, 6, 4, 3]),
      line: random(dtype, [2, 4, 5], { seed: 2 }),
      square: random(dtype, [6, 2, 3, 3], { seed: 3 }),
      taps: random(dtype, [4, 1, 3], { seed: 4 }),
    }),
    make: ({ image, line, square, taps }) => ({
      strided: image.convTranspose(square, { groups: 2, stride: 2, padding: 1, sizes: [8, 6] }),
      depthwise: line.convTranspose(taps, { groups: 4, dilation: 2, padding: 1 }),
    }),
    tolerance: { f32: 1e-5 },
  },
  {
    row: 'convKernel',
    types: floats,
    arrays: (dtype) => ({
      image: random(dtype, [2, 4, 7, 6]),
      slopes: random(dtype, [2, 6, 4, 3], { seed: 2 }),
      tiles: random(dtype, [2, 6, 3, 3], { seed: 3 }),
    }),
    make: ({ image, slopes, tiles }) => ({
      strided: image.convKernel(slopes, [3, 3], { groups: 2, stride: 2, padding: 1 }),
      tiled: image.convKernel(tiles, [2, 2], { stride: 2 }),
    }),
    tolerance: { f32: 1e-5 },
  },
  {
    row: 'maxPoolIndices',
    types: floats,
    arrays: withX([2, 3, 7, 6]),
    make: ({ x }) => ({
      plain: x.maxPoolIndices(2),
      overlapping: x.maxPoolIndices(3, { stride: 2, padding: 1 }),
    }),
  },
  {
    row: 'matmulInteger',
    types: ['i8', 'u8'],
    arrays: (dtype) => ({
      x: random(dtype, [2, 5, 64], dtype === 'i8' ? { low: -128, high: 128 } : { high: 256 }),
      w: random('i8', [64, 3], { low: -128, high: 128, seed: 2 }),
    }),
    make: ({ x, w }) => x.matmulInteger(w),
  },
  {
    row: 'after',
    types: [...floats, 'i64'],
    arrays: (dtype) => ({ x: random(dtype, [3, 5]), t: random('f32', [2, 2]) }),
    make: ({ x, t }) => ({ late: after(x, t), scalar: after(x.sum(), t.sum()) }),
  },
  {
    row: 'withGradient',
    types: floats,
    arrays: withX([3, 5]),
    make: ({ x }) => withGradient(x.sign(), [x], (g) => [g]),
  },
  {
    row: 'maxPool',
    types: floats,
    arrays: withX([2, 3, 7, 6]),
    make: ({ x }) => ({
      plain: x.maxPool(2),
      overlapping: x.maxPool(3, { stride: 2, padding: 1 }),
    }),
  },
  {
    row: 'averagePool',
    types: floats,
    arrays: withX([2, 3, 7, 6]),
    make: ({ x }) => ({
      plain: x.averagePool(2),
      padded: x.averagePool(3, { stride: 2, padding: 1 }),
    }),
  },
  {
    row: 'matmulNBits',
    types: ['f32'],
    arrays: withX([3, 40]),
    make: ({ x }) => {
      const nBits = (bits: 4 | 8, accuracy: 1 | 4) => {
        const attributes = { rows: 5, columns: 40, bits, block: 16, accuracy };
        const codes = constant(random('u8', [5, 3, 2 * bits], { high: 256, seed: 6 }));
        const scales = constant(random('f32', [5, 3], { low: 0.01, high: 0.1, seed: 7 }));
        return build(matmulNBits, [x, codes, scales], attributes)[0];
      };
      return { four: nBits(4, 1), eight: nBits(8, 1) };
    },
    tolerance: { f32: 1e-5 },
  },
  {
    row: 'matmulNBits',
    of: 'activations rounded to int8',
    types: ['f32'],
    arrays: withX([3, 64]),
    make: ({ x }) => {
      const attributes = {
        rows: 5,
        columns: 64,
        bits: 4 as const,
        block: 32,
        accuracy: 4 as const,
      };
      const codes = constant(random('u8', [5, 2, 16], { high: 256, seed: 6 }));
      const scales = constant(random('f32', [5, 2], { low: 0.01, high: 0.1, seed: 7 }));
      return build(matmulNBits, [x, codes, scales], attributes)[0];
    },
    // 64 products, each off by at most half of |x|max / 127 = 0.008 times a weight of at most 0.8.
    tolerance: { f32: 0.05 },
  },
  {
    row: 'dynamicQuantizeMatmul',
    types: ['f32'],
    arrays: withX([3, 16]),
    make: ({ x }) => {
      const codes = constant(random('i8', [16, 5], { low: -127, high: 128, seed: 8 }));
      const scales = constant(random('f32', [5], { low: 0.01, high: 0.1, seed: 9 }));
      return build(dynamicQuantizeMatmul, [x, codes, scales])[0];
    },
    tolerance: { f32: 1e-5 },
  },
  {
    row: 'gather',
    types: every,
    arrays: (dtype) => ({ x: random(dtype, [4, 5]), at: i64([2, 3], [0, 3, 1, 2, -1, 0]) }),
    make: ({ x, at }) => ({ rows: x.gather(at), columns: x.gather(at, 1) }),
  },
  {
    row: 'gatherElements',
    types: every,
    arrays: (dtype) => ({ x: random(dtype, [4, 3]), at: i64([2, 3], [0, 3, 1, 2, -1, 0]) }),
    make: ({ x, at }) => x.gatherElements(at, 0),
  },
  {
    row: 'gatherNd',
    types: floats,
    arrays: (dtype) => ({
      x: random(dtype, [2, 3, 4]),
      at: i64([5, 2], [0, 1, 1, 2, 0, 0, 1, -1, 0, 2]),
      inner: i64([2, 2, 1], [2, 0, 1, 1]),
    }),
    make: ({ x, at, inner }) => ({ tuples: x.gatherNd(at), batched: x.gatherNd(inner, 1) }),
  },
  {
    row: 'scatterElements',
    types: comparable,
    arrays: (dtype) => ({
      x: random(dtype, [4, 3]),
      at: i64([2, 3], [0, 3, 1, 2, -1, 1]),
      values: random(dtype, [2, 3], { seed: 2 }),
    }),
    make: ({ x, at, values }) => ({
      replaced: x.scatterElements(at, values, 0),
      added: x.scatterElements(at, values, 0, 'add'),
      highest: x.scatterElements(at, values, 0, 'max'),
      lowest: x.scatterElements(at, values, 0, 'min'),
      multiplied: x.scatterElements(at, values, 0, 'mul'),
    }),
  },
  {
    row: 'scatterNd',
    types: comparable,
    arrays: (dtype) => ({
      x: random(dtype, [4, 3]),
      at: i64([3, 1], [0, 3, 0]),
      once: i64([2, 1], [2, 0]),
      values: random(dtype, [3, 3], { seed: 2 }),
    }),
    make: ({ x, at, once, values }) => ({
      replaced: x.scatterNd(once, values.slice(0, 0, 2)),
      added: x.scatterNd(at, values, 'add'),
      highest: x.scatterNd(at, values, 'max'),
    }),
  },
  {
    row: 'topK',
    types: comparable,
    arrays: withX([3, 7], { low: -4, high: 5 }),
    make: ({ x }) => {
      const most = x.topK(3);
      const least = x.topK(2, 0, false);
      return { ...most, lowest: least.values, lowestAt: least.indices };
    },
  },
  {
    row: 'where',
    types: every.filter((dtype) => dtype !== 'bool'),
    missing: ['i8', 'u32', 'u64'],
    arrays: (dtype) => ({
      c: random('bool', [3, 1]),
      x: random(dtype, [3, 4]),
      y: random(dtype, [4], { seed: 2 }),
    }),
    make: ({ c, x, y }) => c.where(x, y),
  },
  {
    row: 'clip',
    types: comparable,
    arrays: withX([5, 5]),
    make: ({ x }) => x.clip(-1, 2),
  },
  {
    row: 'cast',
    types: every,
    arrays: withX([3, 4], { low: 0, high: 5 }),
    make: ({ x }) =>
      Object.fromEntries(
        (Object.keys(dtypes) as DType[])
          .filter((to) => to !== x.dtype && to !== 'bf16')
          .map((to) => [`to_${to}`, x.cast(to)]),
      ),
  },
  {
    row: 'reshape',
    types: every,
    arrays: withX([3, 4]),
    make: ({ x }) => ({ flat: x.reshape(-1), other: x.reshape(2, 3, 2) }),
  },
  {
    row: 'transpose',
    types: every,
    arrays: withX([2, 3, 4]),
    make: ({ x }) => ({ turned: x.transpose(2, 0, 1), swapped: x.swap(0, 1) }),
  },
  {
    row: 'broadcastTo',
    types: every,
    arrays: withX([3, 1]),
    make: ({ x }) => x.broadcastTo(2, 3, 4),
  },
  {
    row: 'concat',
    types: every,
    arrays: (dtype) => ({ x: random(dtype, [2, 3]), y: random(dtype, [2, 1], { seed: 2 }) }),
    make: ({ x, y }) => concat([x, y, x], 1),
  },
  {
    row: 'slice',
    types: every,
    arrays: withX([6, 5]),
    make: ({ x }) => ({
      part: x.slice(0, 1, 4),
      strided: x.slice(1, 0, 5, 2),
      tail: x.slice(0, -2),
    }),
  },
  {
    row: 'flip',
    types: every,
    arrays: withX([3, 4]),
    make: ({ x }) => ({ last: x.flip(-1), first: x.flip(0) }),
  },
  {
    row: 'pad',
    types: every,
    arrays: withX([2, 3]),
    make: ({ x }) => ({
      ends: x.pad(1, 2, 1, x.dtype === 'bool' ? 1 : 7),
      front: x.pad(0, 1, 0),
    }),
  },
  {
    row: 'tag',
    types: every,
    arrays: withX([2, 3]),
    make: ({ x }) => x.tag('here').reshape(-1),
  },
  {
    row: 'stopGradient',
    types: every,
    arrays: withX([2, 3]),
    make: ({ x }) => x.stopGradient().reshape(-1),
  },
  {
    row: 'constant',
    types: every,
    arrays: withX([2, 3]),
    make: ({ x }) => ({ joined: concat([x, constant(random(x.dtype, [4, 3], { seed: 5 }))], 0) }),
  },
  {
    row: 'iota',
    types: floats,
    arrays: withX([5]),
    make: ({ x }) => ({ counted: x.add(iota(5).cast(x.dtype)), plain: iota(7) }),
  },
];

/** Every row of the op table in every type that matters. */
export const cases = [...unary, ...binary, ...rest];
