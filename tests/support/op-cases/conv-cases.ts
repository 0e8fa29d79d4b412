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

const imageAt = reader(image);
const inside = (y: number, x: number) => y >= 0 && y < 6 && x >= 0 && x < 5;
/** The elements of a 3 x 2 window, stride 2 x 1, padding 1 around the first axis. */
const windowAt = (i: number, c: number, y: number, x: number): number[] =>
  range(3)
    .flatMap((r) => range(2).map((s) => [2 * y + r - 1, x + s]))
    .filter(([p, q]) => inside(p, q))
    .map(([p, q]) => imageAt(i, c, p, q));

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

export const convCases: readonly OpCase[] = [...convolutions, ...pools];

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
