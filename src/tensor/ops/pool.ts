// Pooling over one or two spatial axes: the largest element or the mean of every window. Layout
// [batch, channels, ...spatial]; spatial sizes may be symbolic.
import { fromNumbers, type NDArray, sizeOf, toNumbers } from '../array.js';
import { mulDims, shapeSize } from '../dim.js';
import {
  type ConcreteType,
  defineOp,
  flat,
  int,
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';
import type { Tensor } from '../tensor.js';
import {
  checkLayout,
  type Sliding,
  type SlidingOptions,
  slidingOf,
  slidingOptions,
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
  /** From the elements of one window, and their places in the flattened tensor. */
  pool: (window: readonly number[], places: readonly number[]) => number,
): NDArray {
  const length = sizeOf(spatial(x.shape));
  const places = taps(spatial(x.shape), spatial(shape), sliding);
  const values = toNumbers(x);
  const result: number[] = [];
  for (let channel = 0; channel < shape[0] * shape[1]; channel++) {
    for (const from of places) {
      const inside = from.filter((at) => at >= 0).map((at) => channel * length + at);
      result.push(
        pool(
          inside.map((at) => values[at]),
          inside,
        ),
      );
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

/**
 * The first of the largest elements of each window takes the gradient. Scattering to its place is
 * several times faster on ONNX Runtime than comparing every window with its largest element.
 */
const maxPoolGradient = (x: Tensor, g: Tensor, sliding: Sliding): Tensor => {
  const at = x.maxPoolIndices(sliding.kernel, slidingOptions(sliding));
  const zeros = x.operand(0).broadcastTo(shapeSize(x.shape));
  return zeros.scatterElements(at.reshape(-1), g.reshape(-1), 0, 'add').reshape(...x.shape);
};

/** The largest element of each window; padding is below every number. */
export const maxPool = defineOp<PoolAttributes>({
  name: 'maxPool',
  infer: inferPool,
  flops: poolFlops,
  lower: (emit, { values, attributes }) => emit.node('MaxPool', values, onnxWindow(attributes)),
  evaluate: ([x], attributes, [output]) => [
    pooled(x, attributes, output, (window) => window.reduce((a, b) => Math.max(a, b), -Infinity)),
  ],
  gradient: ({ inputs: [x], gradients: [g], attributes }) =>
    g ? [maxPoolGradient(x, g, attributes)] : [],
});

/** The place of each window's (first) largest element in the flattened tensor: i64. */
export const maxPoolIndices = defineOp<PoolAttributes>({
  name: 'maxPoolIndices',
  infer: (inputs, sliding) => [{ dtype: 'i64', shape: inferPool(inputs, sliding)[0].shape }],
  flops: poolFlops,
  lower: (emit, { values, attributes }) =>
    emit.nodes('MaxPool', values, 2, onnxWindow(attributes))[1],
  evaluate: ([x], attributes, [output]) => [
    pooled(
      x,
      attributes,
      output,
      (window, places) =>
        places[window.reduce((best, value, i) => (value > window[best] ? i : best), 0)],
    ),
  ],
  gradient: flat,
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
        [unfold(emit, value, dtype, spatial(output.shape), attributes), emit.sizes([2])],
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
  gradient: ({ inputs: [x], gradients: [g], attributes: { countPadding, ...sliding } }) => {
    if (!g) return [];
    const { kernel, before, after } = sliding;
    const options = slidingOptions(sliding);
    const whole = countPadding || [...before, ...after].every((width) => width === 0);
    // The share of a window that lies inside.
    const inside = () =>
      x
        .operand(1)
        .broadcastTo(1, 1, ...spatial(x.shape))
        .averagePool(kernel, { ...options, countPadding: true });
    const each = g.mul(1 / sizeOf(kernel));
    const share = whole ? each : each.div(inside());
    // A convolution by ones, transposed; channels are all alike.
    const ones = x.operand(1).broadcastTo(1, 1, ...kernel);
    const maps = mulDims(x.shape[0], x.shape[1]);
    const sizes = spatial(x.shape);
    return [
      share
        .reshape(maps, 1, ...spatial(g.shape))
        .convTranspose(ones, { ...options, sizes })
        .reshape(...x.shape),
    ];
  },
});
