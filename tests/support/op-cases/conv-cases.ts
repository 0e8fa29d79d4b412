// Cases of convolution and pooling, against loops over the definition.
import { input, type NDArray, type Tensor } from '../../../src/tensor/index.js';
import { f32, f64, randomArray, range, reader, table, total } from '../arrays.js';
import type { OpCase, OpRefusal } from './case.js';

type Plan = {
  stride?: number;
  dilation?: number;
  before?: number;
  after?: number;
  groups?: number;
};

/** Along one axis: the padded position that a window reads, and how many windows fit. */
const read = (o: number, k: number, { stride = 1, dilation = 1, before = 0 }: Plan) =>
  o * stride + k * dilation - before;
function fit(n: number, k: number, { stride = 1, dilation = 1, before = 0, after = 0 }: Plan) {
  let count = 0;
  while (count * stride + (k - 1) * dilation < n + before + after) count++;
  return count;
}

const orZero = (array: NDArray) => {
  const at = reader(array);
  return (...c: readonly number[]) =>
    c.every((v, axis) => v >= 0 && v < array.shape[axis]) ? at(...c) : 0;
};

function naive1d(x: NDArray, w: NDArray, b: NDArray | undefined, plan: Plan): number[] {
  const [xAt, wAt, bAt] = [orZero(x), reader(w), b && reader(b)];
  const [n, , length] = x.shape;
  const [out, each, k] = w.shape;
  const perGroup = out / (plan.groups ?? 1);
  return table([n, out, fit(length, k, plan)], (i, m, o) => {
    const first = Math.floor(m / perGroup) * each;
    return (
      (bAt?.(m) ?? 0) +
      total(
        range(each).flatMap((c) =>
          range(k).map((j) => wAt(m, c, j) * xAt(i, first + c, read(o, j, plan))),
        ),
      )
    );
  });
}

function naive2d(x: NDArray, w: NDArray, [p, q]: readonly [Plan, Plan], groups: number): number[] {
  const [xAt, wAt] = [orZero(x), reader(w)];
  const [n, , height, width] = x.shape;
  const [out, each, kh, kw] = w.shape;
  return table([n, out, fit(height, kh, p), fit(width, kw, q)], (i, m, y, z) => {
    const first = Math.floor((m * groups) / out) * each;
    let sum = 0;
    for (let c = 0; c < each; c++) {
      for (let r = 0; r < kh; r++) {
        for (let s = 0; s < kw; s++) {
          sum += wAt(m, c, r, s) * xAt(i, first + c, read(y, r, p), read(z, s, q));
        }
      }
    }
    return sum;
  });
}

const line = randomArray('f64', [2, 4, 9], 31);
const bias = randomArray('f64', [6], 32);
const dense = randomArray('f64', [6, 4, 3], 33);
const grouped = randomArray('f64', [6, 2, 3], 34);
const deep = randomArray('f64', [4, 1, 3], 35);
const image = randomArray('f64', [1, 2, 6, 5], 36);
const kernel = randomArray('f64', [4, 1, 3, 2], 37);
const single = randomArray('f32', [1, 2, 7], 38);
const singleKernel = randomArray('f32', [2, 2, 2], 39);

const convolutions: OpCase[] = [
  {
    row: 'conv',
    what: '1-D with bias, a named length',
    inputs: { x: line, w: dense, b: bias },
    shapes: { x: ['n', 4, 'length'] },
    build: ({ x, w, b }) => x.conv(w, b),
    type: 'f64[n, 6, length + -2]',
    values: naive1d(line, dense, bias, {}),
    tolerance: 1e-12,
  },
  {
    row: 'conv',
    what: '1-D, stride 2, dilation 2, asymmetric padding, a named length',
    inputs: { x: line, w: dense },
    shapes: { x: [2, 4, 'length'] },
    build: ({ x, w }) => x.conv(w, undefined, { stride: 2, dilation: 2, padding: [[3, 1]] }),
    type: 'f64[2, 6, floor((length + 1)/2)]',
    values: naive1d(line, dense, undefined, { stride: 2, dilation: 2, before: 3, after: 1 }),
    tolerance: 1e-12,
  },
  {
    row: 'conv',
    what: '1-D, two groups',
    inputs: { x: line, w: grouped, b: bias },
    build: ({ x, w, b }) => x.conv(w, b, { groups: 2, padding: 1 }),
    type: 'f64[2, 6, 9]',
    values: naive1d(line, grouped, bias, { groups: 2, before: 1, after: 1 }),
    tolerance: 1e-12,
  },
  {
    row: 'conv',
    what: 'depthwise and causal',
    inputs: { x: line, w: deep },
    shapes: { x: ['n', 4, 't'] },
    build: ({ x, w }) => x.conv(w, undefined, { groups: 4, padding: [[2, 0]] }),
    type: 'f64[n, 4, t]',
    values: naive1d(line, deep, undefined, { groups: 4, before: 2 }),
    tolerance: 1e-12,
  },
  {
    row: 'conv',
    what: '2-D, groups, another stride and padding for each axis',
    inputs: { x: image, w: kernel },
    shapes: { x: ['n', 2, 'h', 'w'] },
    build: ({ x, w }) =>
      x.conv(w, undefined, { groups: 2, stride: [2, 1], dilation: [1, 2], padding: [1, [0, 2]] }),
    type: 'f64[n, 4, floor((h + 1)/2), w]',
    values: naive2d(
      image,
      kernel,
      [
        { stride: 2, before: 1, after: 1 },
        { dilation: 2, after: 2 },
      ],
      2,
    ),
    tolerance: 1e-12,
  },
  {
    row: 'conv',
    what: 'f32',
    inputs: { x: single, w: singleKernel },
    build: ({ x, w }) => x.conv(w, undefined, { stride: 3, padding: 1 }),
    type: 'f32[1, 2, 3]',
    values: naive1d(single, singleKernel, undefined, { stride: 3, before: 1, after: 1 }),
    tolerance: 1e-6,
  },
];

/** The transpose in x of a naive convolution: every product goes back to where it was read. */
function back(
  g: NDArray,
  w: NDArray,
  shape: readonly number[],
  plans: readonly Plan[],
  groups = 1,
) {
  const [gAt, wAt] = [reader(g), reader(w)];
  const [, out, ...places] = g.shape;
  const [, each, ...kernel] = w.shape;
  const [p, q = {}] = plans;
  const [ph, pw = 1] = places;
  const [kh, kw = 1] = kernel;
  const at2 = (at: typeof gAt, a: number, b: number, c: number, d: number) =>
    plans.length === 1 ? at(a, b, c) : at(a, b, c, d);
  return table(shape, (n, channel, y, x = 0) => {
    let sum = 0;
    for (let m = 0; m < out; m++) {
      const c = channel - Math.floor((m * groups) / out) * each;
      if (c < 0 || c >= each) continue;
      for (let i = 0; i < ph * pw * kh * kw; i++) {
        const [s, r] = [i % kw, Math.floor(i / kw) % kh];
        const place = Math.floor(i / (kw * kh));
        const [oy, ox] = [Math.floor(place / pw), place % pw];
        if (read(oy, r, p) !== y || (plans.length > 1 && read(ox, s, q) !== x)) continue;
        sum += at2(gAt, n, m, oy, ox) * at2(wAt, m, c, r, s);
      }
    }
    return sum;
  });
}

/** The transpose in the weight: for each place of the kernel what windows read there, times g. */
function kernelOf(x: NDArray, g: NDArray, shape: readonly number[], plan: Plan): number[] {
  const [xAt, gAt] = [orZero(x), reader(g)];
  const [batch, out, places] = g.shape;
  const groups = plan.groups ?? 1;
  return table(shape, (m, c, k) => {
    const channel = Math.floor((m * groups) / out) * shape[1] + c;
    return total(
      range(batch).flatMap((n) =>
        range(places).map((o) => gAt(n, m, o) * xAt(n, channel, read(o, k, plan))),
      ),
    );
  });
}

const far = { stride: 2, dilation: 2, before: 3, after: 1 };
const slopes = randomArray('f64', [2, 6, 5], 41);
const close = randomArray('f64', [2, 6, 9], 42);
const thirds = randomArray('f64', [2, 6, 3], 43);
const fewer = randomArray('f32', [1, 2, 3], 45);
const long = randomArray('f32', [1, 2, 7], 46);

const transposed: OpCase[] = [
  {
    row: 'convTranspose',
    what: 'stride 2, dilation 2, asymmetric padding, a named length',
    inputs: { g: slopes, w: dense, x: line },
    shapes: { g: [2, 6, 'length'] },
    build: ({ g, w }) => g.convTranspose(w, { stride: 2, dilation: 2, padding: [[3, 1]] }),
    type: 'f64[2, 4, 2*length + -1]',
    values: back(slopes, dense, [2, 4, 9], [far]),
    tolerance: 1e-12,
  },
  {
    row: 'convTranspose',
    what: 'two groups, more padding than the kernel reaches',
    inputs: { g: randomArray('f64', [2, 6, 13], 47), w: grouped },
    build: ({ g, w }) => g.convTranspose(w, { groups: 2, padding: [[4, 2]] }),
    type: 'f64[2, 4, 9]',
    values: back(
      randomArray('f64', [2, 6, 13], 47),
      grouped,
      [2, 4, 9],
      [{ before: 4, after: 2 }],
      2,
    ),
    tolerance: 1e-12,
  },
  {
    row: 'convTranspose',
    what: '2-D, sizes told by another tensor',
    inputs: { w: kernel, x: image },
    shapes: { x: ['n', 2, 'h', 'w'] },
    build: ({ x, w }) => {
      const y = x.conv(w, undefined, {
        groups: 2,
        stride: [2, 1],
        dilation: [1, 2],
        padding: [1, [0, 2]],
      });
      return y
        .mul(0)
        .add(1)
        .convTranspose(w, {
          groups: 2,
          stride: [2, 1],
          dilation: [1, 2],
          padding: [1, [0, 2]],
          sizes: [x.size(2), x.size(3)],
        });
    },
    type: 'f64[n, 2, h, w]',
    values: back(
      f64([1, 4, 3, 5], new Array(60).fill(1)),
      kernel,
      [1, 2, 6, 5],
      [
        { stride: 2, before: 1, after: 1 },
        { dilation: 2, after: 2 },
      ],
      2,
    ),
    tolerance: 1e-12,
  },
  ...(['exact', 'named'] as const).map(
    (how): OpCase => ({
      row: 'convTranspose',
      what: `f32, a row that no window reached, ${how} sizes`,
      inputs: { g: fewer, w: singleKernel, x: long },
      shapes: how === 'named' ? { x: [1, 2, 't'] } : {},
      build: ({ w, x }) => {
        const y = x.conv(w, undefined, { stride: 3, padding: 1 });
        return y.convTranspose(w, { stride: 3, padding: 1, sizes: [x.size(2)] });
      },
      type: how === 'named' ? 'f32[1, 2, t]' : 'f32[1, 2, 7]',
      values: back(
        f64([1, 2, 3], naive1d(long, singleKernel, undefined, { stride: 3, before: 1, after: 1 })),
        singleKernel,
        [1, 2, 7],
        [{ stride: 3, before: 1, after: 1 }],
      ),
      tolerance: 1e-5,
    }),
  ),
  {
    row: 'convKernel',
    what: 'stride 2, dilation 2, asymmetric padding, a named length',
    inputs: { x: line, g: slopes },
    shapes: { x: ['n', 4, 'length'], g: ['n', 6, 5] },
    build: ({ x, g }) =>
      x.slice(2, 0, 9).convKernel(g, [3], { stride: 2, dilation: 2, padding: [[3, 1]] }),
    type: 'f64[6, 4, 3]',
    values: kernelOf(line, slopes, [6, 4, 3], far),
    tolerance: 1e-12,
  },
  {
    row: 'convKernel',
    what: 'two groups',
    inputs: { x: line, g: close },
    shapes: { x: ['n', 4, 't'], g: ['n', 6, 't'] },
    build: ({ x, g }) => x.convKernel(g, [3], { groups: 2, padding: 1 }),
    type: 'f64[6, 2, 3]',
    values: kernelOf(line, close, [6, 2, 3], { groups: 2, before: 1, after: 1 }),
    tolerance: 1e-12,
  },
  {
    row: 'convKernel',
    what: 'windows that tile, one column padded',
    inputs: { x: line, g: thirds },
    build: ({ x, g }) => x.slice(2, 0, 8).convKernel(g, [3], { stride: 3, padding: [[1, 0]] }),
    type: 'f64[6, 4, 3]',
    values: kernelOf(
      f64(
        [2, 4, 8],
        table([2, 4, 8], (...at) => reader(line)(...at)),
      ),
      thirds,
      [6, 4, 3],
      { stride: 3, before: 1 },
    ),
    tolerance: 1e-12,
  },
  {
    row: 'convKernel',
    what: 'f32',
    inputs: { x: long, g: fewer },
    build: ({ x, g }) => x.convKernel(g, [2], { stride: 3, padding: 1 }),
    type: 'f32[2, 2, 2]',
    values: kernelOf(long, fewer, [2, 2, 2], { stride: 3, before: 1, after: 1 }),
    tolerance: 1e-6,
  },
];

const imageAt = reader(image);
const inside = (y: number, x: number) => y >= 0 && y < 6 && x >= 0 && x < 5;
/** The elements of a 3 x 2 window, stride 2 x 1, padding 1 around the first axis. */
const windowAt = (i: number, c: number, y: number, x: number): number[] =>
  range(3)
    .flatMap((r) => range(2).map((s) => [2 * y + r - 1, x + s]))
    .filter(([p, q]) => inside(p, q))
    .map(([p, q]) => imageAt(i, c, p, q));

const where = (i: number, c: number, y: number, x: number): number => {
  const window = range(3)
    .flatMap((r) => range(2).map((s) => [2 * y + r - 1, x + s]))
    .filter(([p, q]) => inside(p, q));
  const values = window.map(([p, q]) => imageAt(i, c, p, q));
  const [p, q] = window[values.indexOf(Math.max(...values))];
  return ((i * 2 + c) * 6 + p) * 5 + q;
};

const pools: OpCase[] = (['f64', 'f32'] as const).flatMap((dtype): OpCase[] => {
  const inputs = { x: dtype === 'f64' ? image : f32(image.shape, Array.from(image.data, Number)) };
  const shapes = { x: ['n', 2, 'h', 5] };
  const options = { stride: [2, 1], padding: [1, 0] };
  const type = `${dtype}[n, 2, floor((h + 1)/2), 4]`;
  const size = [1, 2, 3, 4];
  const tolerance = dtype === 'f64' ? 1e-12 : 1e-6;
  return [
    {
      row: 'maxPool',
      what: `${dtype}, 2-D with padding`,
      inputs,
      shapes,
      build: ({ x }) => x.maxPool([3, 2], options),
      type,
      values: table(size, (...at) => Math.max(...windowAt(at[0], at[1], at[2], at[3]))),
      tolerance,
    },
    {
      row: 'maxPoolIndices',
      what: `${dtype}, 2-D with padding`,
      inputs,
      shapes,
      build: ({ x }) => x.maxPoolIndices([3, 2], options),
      type: type.replace(dtype, 'i64'),
      values: table(size, (...at) => where(at[0], at[1], at[2], at[3])),
    },
    {
      row: 'averagePool',
      what: `${dtype}, 2-D, padding not counted`,
      inputs,
      shapes,
      build: ({ x }) => x.averagePool([3, 2], options),
      type,
      values: table(size, (...at) => {
        const window = windowAt(at[0], at[1], at[2], at[3]);
        return total(window) / window.length;
      }),
      tolerance,
    },
    {
      row: 'averagePool',
      what: `${dtype}, 2-D, padding counted`,
      inputs,
      shapes,
      build: ({ x }) => x.averagePool([3, 2], { ...options, countPadding: true }),
      type,
      values: table(size, (...at) => total(windowAt(at[0], at[1], at[2], at[3])) / 6),
      tolerance,
    },
  ];
});
pools.push({
  row: 'maxPool',
  what: '1-D, windows that do not overlap, the rest left over',
  inputs: { x: f64([1, 1, 5], [1, 4, -2, -3, 9]) },
  shapes: { x: [1, 1, 't'] },
  build: ({ x }) => x.maxPool(2),
  type: 'f64[1, 1, floor((t)/2)]',
  values: [4, -2],
});

export const convCases: readonly OpCase[] = [...convolutions, ...transposed, ...pools];

const leaf = (): Tensor => input('x', 'f32', ['n', 4, 't']);
const weight = (...shape: readonly (number | string)[]): Tensor => input('w', 'f32', shape);

export const convRefusals: readonly OpRefusal[] = [
  {
    row: 'conv',
    what: 'other channels',
    build: () => leaf().conv(weight(6, 3, 3)),
    message: /conv: f32\[n, 4, t\] x f32\[6, 3, 3\].*does not fit/,
  },
  {
    row: 'conv',
    what: 'groups that do not divide the output channels',
    build: () => leaf().conv(weight(5, 2, 3), undefined, { groups: 2 }),
    message: /a multiple of 2/,
  },
  {
    row: 'conv',
    what: 'a bias of another size',
    build: () => leaf().conv(weight(6, 4, 3), input('b', 'f32', [4])),
    message: /bias does not fit/,
  },
  {
    row: 'conv',
    what: 'a kernel of a named size',
    build: () => leaf().conv(weight(6, 4, 'k')),
    message: /size of a kernel/,
  },
  {
    row: 'conv',
    what: 'a 2-D weight on a line',
    build: () => leaf().conv(weight(6, 4, 3, 3)),
    message: /rank of the tensor/,
  },
  {
    row: 'conv',
    what: 'a window longer than the axis',
    build: () => input('x', 'f32', [1, 1, 4]).conv(weight(1, 1, 5)),
    message: /longer than spatial axis 0/,
  },
  {
    row: 'conv',
    what: 'a stride of 0',
    build: () => leaf().conv(weight(6, 4, 3), undefined, { stride: 0 }),
    message: /0 is not a stride/,
  },
  {
    row: 'conv',
    what: 'two strides on a line',
    build: () => leaf().conv(weight(6, 4, 3), undefined, { stride: [1, 2] }),
    message: /every spatial axis/,
  },
  {
    row: 'conv',
    what: 'half a group',
    build: () => leaf().conv(weight(6, 4, 3), undefined, { groups: 0.5 }),
    message: /not a number of groups/,
  },
  {
    row: 'convTranspose',
    what: 'another number of channels than the weight has outputs',
    build: () => leaf().convTranspose(weight(6, 4, 3)),
    message: /convTranspose: f32\[n, 4, t\] x f32\[6, 4, 3\].*does not fit/,
  },
  {
    row: 'convTranspose',
    what: 'sizes that give another number of windows',
    build: () => leaf().convTranspose(weight(4, 4, 3), { sizes: [9] }),
    message: /not as many as the tensor has places/,
  },
  {
    row: 'convKernel',
    what: 'a gradient of another length',
    build: () => leaf().convKernel(leaf(), [3]),
    message: /convKernel:.*does not fit windows/,
  },
  {
    row: 'convKernel',
    what: 'groups that do not divide the channels',
    build: () => leaf().convKernel(input('g', 'f32', ['n', 6, 't']), [1], { groups: 3 }),
    message: /a multiple of 3/,
  },
  {
    row: 'maxPool',
    what: 'windows of padding alone',
    build: () => leaf().maxPool(2, { padding: 2 }),
    message: /padding alone/,
  },
  {
    row: 'maxPool',
    what: 'three spatial axes',
    build: () => input('v', 'f32', [1, 1, 2, 2, 2]).maxPool(2),
    message: /one or two spatial axes/,
  },
  {
    row: 'averagePool',
    what: 'integers',
    build: () => input('i', 'i32', [1, 1, 4]).averagePool(2),
    message: /float types/,
  },
];
