// Pooling over one or two spatial axes: the largest element or the mean of every window. Layout
// [batch, channels, ...spatial]; spatial sizes may be symbolic.
import { fromNumbers, type NDArray, sizeOf, toNumbers } from '../array.js';
import { type Dim, mulDims, shapeSize } from '../dim.js';
import { type ConcreteType, defineOp, flat, int, reject, type TensorType, type ValueName } from '../op.js';
import type { Tensor } from '../tensor.js';
import {
  checkLayout,
  type Sliding,
  type SlidingOptions,
  slidingOf,
  slidingSizes,
  spatial,
  taps,
} from './sliding.js';
import { onnxWindow, unfold } from './sliding-lowering.js';

export type PoolAttributes = Sliding;
export type AveragePoolAttributes = Sliding & { countPadding: boolean };

export function poolAttributes(
  x: TensorType,
  kernel: number | readonly number[],
  options: SlidingOptions,
): PoolAttributes {
  checkLayout(x);
  const sliding = slidingOf(kernel, x.shape.length - 2, options);
  sliding.kernel.forEach((size, i) => {
    const padding = Math.max(sliding.before[i], sliding.after[i]);
    if (padding >= size) {
      reject('a window would lie in the padding alone', `less than ${size}`, `${padding}`);
    }
  });
  return sliding;
}

/** One result for each window of each channel. */
function pooled(
  x: NDArray,
  sliding: Sliding,
  { dtype, shape }: ConcreteType,
  pool: (window: readonly number[]) => number,
): NDArray {
  const length = sizeOf(spatial(x.shape));
  const places = taps(spatial(x.shape), spatial(shape), sliding);
  const values = toNumbers(x);
  const result: number[] = [];
  for (let channel = 0; channel < shape[0] * shape[1]; channel++) {
    for (const from of places) {
      const inside = from.filter((at) => at >= 0);
      result.push(pool(inside.map((at) => values[channel * length + at])));
    }
  }
  return fromNumbers(dtype, shape, result);
}

const inferPool = ([x]: readonly TensorType[], sliding: Sliding): readonly TensorType[] => {
  checkLayout(x);
  const sizes = slidingSizes(spatial(x.shape), sliding);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...sizes] }];
};

const poolFlops = (_: unknown, [{ shape }]: readonly ConcreteType[], { kernel }: Sliding) =>
  sizeOf(shape) * sizeOf(kernel);

/** The largest element of each window; padding is below every number. */
export const maxPool = defineOp<PoolAttributes>({
  name: 'maxPool',
  infer: inferPool,
  flops: poolFlops,
  lower: (emit, { values, attributes }) => emit.node('MaxPool', values, onnxWindow(attributes)),
  evaluate: ([x], attributes, [output]) => [
    pooled(x, attributes, output, (window) => window.reduce((a, b) => Math.max(a, b), -Infinity)),
  ],
});

/** The mean of each window: of its elements, or with `countPadding` of these and padding's zeros. */
export const averagePool = defineOp<AveragePoolAttributes>({
  name: 'averagePool',
  infer: inferPool,
  flops: poolFlops,
  lower: (emit, { values: [x], inputs: [{ dtype, shape }], outputs: [output], attributes }) => {
    const counted = int(attributes.countPadding ? 1 : 0);
    if (dtype !== 'f64') {
      return emit.node('AveragePool', [x], {
        ...onnxWindow(attributes),
        count_include_pad: counted,
      });
    }
    const sumOf = (value: ValueName) =>
      emit.node(
        'ReduceSum',
        [unfold(emit, value, shape.length, spatial(output.shape), attributes), emit.sizes([2])],
        { keepdims: int(0) },
      );
    if (attributes.countPadding) {
      return emit.node('Div', [sumOf(x), emit.scalar('f64', sizeOf(attributes.kernel))]);
    }
    const ones = emit.node('Expand', [
      emit.scalar('f64', 1),
      emit.sizes([1, 1, ...spatial(shape)]),
    ]);
    return emit.node('Div', [sumOf(x), sumOf(ones)]);
  },
  evaluate: ([x], attributes, [output]) => [
    pooled(x, attributes, output, (window) => {
      const sum = window.reduce((a, b) => a + b, 0);
      return sum / (attributes.countPadding ? sizeOf(attributes.kernel) : window.length);
    }),
  ],
});

