// Sliding windows over one or two spatial axes: convolution (cross-correlation, as every framework
// has it), max and average pooling. Layout [batch, channels, ...spatial], weights
// [out, channels / groups, ...kernel]. Spatial sizes may be symbolic, kernels may not.
//
// ONNX Runtime has no float64 Conv and AveragePool: they are lowered to slices, one for each place of
// the kernel, and one matrix product or sum over them. Transposed convolution is not here.
import { fromNumbers, type NDArray, sizeOf, toNumbers } from '../array.js';
import { addDims, type Dim, floorDiv, mulDims, type Shape, sameDim, showShape } from '../dim.js';
import type { TensorType, ValueName } from '../op.js';
import { type ConcreteType, defineOp, type Emitter, int, ints, reject } from '../op.js';
import { coordinates } from '../strides.js';
import { checkKind } from './element.js';
import { type Sliding, type SlidingOptions, slidingOf, slidingSizes, taps } from './sliding.js';

export type ConvOptions = SlidingOptions & { groups?: number };
export type ConvAttributes = Sliding & { groups: number };
export type PoolAttributes = Sliding;
export type AveragePoolAttributes = Sliding & { countPadding: boolean };

const spatial = <D extends Dim>(shape: readonly D[]): readonly D[] => shape.slice(2);

function checkLayout(x: TensorType): void {
  checkKind(x, 'float');
  if (x.shape.length !== 3 && x.shape.length !== 4) {
    const expected = '[batch, channels, length] or [batch, channels, height, width]';
    reject('a window slides over one or two spatial axes', expected, showShape(x.shape));
  }
}

/** The attributes of a convolution by this weight. */
export function convAttributes(
  x: TensorType,
  weight: TensorType,
  { groups = 1, ...options }: ConvOptions,
): ConvAttributes {
  checkLayout(x);
  const kernel = spatial(weight.shape).map((size) => {
    if (typeof size !== 'number') {
      reject('the size of a kernel is a number', 'a whole number >= 1', `${size}`);
    }
    return size;
  });
  if (!Number.isSafeInteger(groups) || groups < 1) {
    reject(`${groups} is not a number of groups`, 'a whole number >= 1', `${groups}`);
  }
  if (kernel.length !== x.shape.length - 2) {
    const expected = `rank ${x.shape.length}`;
    reject('the weight has the rank of the tensor', expected, `rank ${weight.shape.length}`);
  }
  return { ...slidingOf(kernel, kernel.length, options), groups };
}

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

/** sum over channels and kernel of x * weight, plus bias: [batch, out, ...spatial]. */
export const conv = defineOp<ConvAttributes>({
  name: 'conv',
  infer: ([x, weight, bias], attributes) => {
    const { groups } = attributes;
    const [out, channels] = weight.shape;
    if (weight.dtype !== x.dtype || !sameDim(mulDims(channels, groups), x.shape[1])) {
      const each = groups === 1 ? `${x.shape[1]}` : `${x.shape[1]} / ${groups}`;
      reject(
        `the weight ${showShape(weight.shape)} does not fit ${showShape(x.shape)}`,
        `${x.dtype}[out, ${each}, ...kernel]`,
        `${weight.dtype}${showShape(weight.shape)}`,
      );
    }
    if (!sameDim(mulDims(floorDiv(out, groups), groups), out)) {
      reject('groups share the output channels', `a multiple of ${groups}`, `${out}`);
    }
    if (
      bias &&
      (bias.dtype !== x.dtype || bias.shape.length !== 1 || !sameDim(bias.shape[0], out))
    ) {
      reject(
        'the bias does not fit',
        `${x.dtype}[${out}]`,
        `${bias.dtype}${showShape(bias.shape)}`,
      );
    }
    const sizes = slidingSizes(spatial(x.shape), attributes);
    return [{ dtype: x.dtype, shape: [x.shape[0], out, ...sizes] }];
  },
  flops: ([, weight, bias], [{ shape }]) =>
    sizeOf(shape) * (2 * sizeOf(weight.shape.slice(1)) + (bias ? 1 : 0)),
  lower: (emit, { values, inputs, outputs: [{ shape }], attributes }) =>
    inputs[0].dtype === 'f64'
      ? lowerByProduct(emit, values, inputs, shape, attributes)
      : emit.node('Conv', values, { ...onnxWindow(attributes), group: int(attributes.groups) }),
  evaluate: ([x, weight, bias], attributes, [{ dtype, shape }]) => {
    const [batch, out] = shape;
    const [, each, ...kernel] = weight.shape;
    const length = sizeOf(spatial(x.shape));
    const size = sizeOf(kernel);
    const places = taps(spatial(x.shape), spatial(shape), attributes);
    const [values, weights, shift] = [toNumbers(x), toNumbers(weight), bias && toNumbers(bias)];
    const result = new Float64Array(sizeOf(shape));
    for (let n = 0; n < batch; n++) {
      for (let m = 0; m < out; m++) {
        const group = Math.floor((m * attributes.groups) / out);
        places.forEach((from, place) => {
          let sum = shift ? shift[m] : 0;
          for (let c = 0; c < each; c++) {
            const channel = (n * x.shape[1] + group * each + c) * length;
            const row = (m * each + c) * size;
            from.forEach((at, k) => {
              if (at >= 0) sum += values[channel + at] * weights[row + k];
            });
          }
          result[(n * out + m) * places.length + place] = sum;
        });
      }
    }
    return [fromNumbers(dtype, shape, result)];
  },
});

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

const onnxWindow = ({ kernel, strides, dilations, before, after }: Sliding) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  dilations: ints(dilations),
  pads: ints([...before, ...after]),
});

/** [batch, channels, kernel places, ...output]: every window written out. */
function unfold(
  emit: Emitter,
  x: ValueName,
  rank: number,
  sizes: Shape,
  { kernel, strides, dilations, before, after }: Sliding,
): ValueName {
  const widths = emit.sizes([0, 0, ...before, 0, 0, ...after]);
  const padded = [...before, ...after].every((size) => size === 0)
    ? x
    : emit.node('Pad', [x, widths, emit.scalar('f64', 0)]);
  const axes = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  const slices = Array.from(coordinates(kernel), (place) => {
    const starts = place.map((at, i) => at * dilations[i]);
    const ends = starts.map((start, i) => addDims(start, mulDims(sizes[i], strides[i])));
    const bounds = [starts, ends, axes, strides].map((list) => emit.sizes(list));
    return emit.node('Unsqueeze', [emit.node('Slice', [padded, ...bounds]), emit.sizes([2])]);
  });
  return emit.node('Concat', slices, { axis: int(2) });
}

/** [groups, out / groups, channels * kernel] @ [batch, groups, channels * kernel, places]. */
function lowerByProduct(
  emit: Emitter,
  [x, weight, bias]: readonly ValueName[],
  inputs: readonly TensorType[],
  [batch, out, ...sizes]: Shape,
  attributes: ConvAttributes,
): ValueName {
  const { groups } = attributes;
  const depth = inputs[1].shape.slice(1).reduce<Dim>(mulDims, 1);
  const places = sizes.reduce<Dim>(mulDims, 1);
  const reshape = (value: ValueName, ...shape: readonly Dim[]) =>
    emit.node('Reshape', [value, emit.sizes(shape)]);
  const columns = unfold(emit, x, inputs[0].shape.length, sizes, attributes);
  const product = emit.node('MatMul', [
    reshape(weight, groups, floorDiv(out, groups), depth),
    reshape(columns, batch, groups, depth, places),
  ]);
  const result = reshape(product, batch, out, ...sizes);
  if (!bias) return result;
  return emit.node('Add', [result, reshape(bias, out, ...sizes.map(() => 1))]);
}
