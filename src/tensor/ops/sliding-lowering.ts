// How sliding windows are written in ONNX where no operator of that name will do: slices, one for
// each place of the kernel, and matrix products over them. ONNX Runtime has no float64 convolutions
// and no operator for the gradient of a kernel.
import { sizeOf } from '../array.js';
import { addDims, type Dim, floorDiv, mulDims, type Shape, scaleDim, subDims } from '../dim.js';
import type { DType } from '../dtype.js';
import { type Emitter, int, ints, type TensorType, type ValueName } from '../op.js';
import { coordinates } from '../strides.js';
import type { ConvAttributes } from './conv.js';
import type { Sliding } from './sliding.js';

/** The attributes that every ONNX operator with windows takes. */
export const onnxWindow = ({ kernel, strides, dilations, before, after }: Sliding) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  dilations: ints(dilations),
  pads: ints([...before, ...after]),
});

const writer = (emit: Emitter, dtype: DType) => ({
  reshape: (value: ValueName, shape: Shape) => emit.node('Reshape', [value, emit.sizes(shape)]),
  transpose: (value: ValueName, order: readonly number[]) =>
    emit.node('Transpose', [value], { perm: ints(order) }),
  /** Zeros around all axes but the first two; negative widths crop. */
  pad: (value: ValueName, before: Shape, after: Shape) => {
    if ([...before, ...after].every((width) => width === 0)) return value;
    const widths = emit.sizes([0, 0, ...before, 0, 0, ...after]);
    return emit.node('Pad', [value, widths, emit.scalar(dtype, 0)]);
  },
});

const swapFirst = (rank: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i < 2 ? 1 - i : i));

/** For each place of the kernel what the windows read there: [.., ..., ...sizes]. */
function slicesOf(
  emit: Emitter,
  padded: ValueName,
  sizes: Shape,
  { kernel, strides, dilations }: Sliding,
): ValueName[] {
  const axes = kernel.map((_, i) => i + 2);
  return Array.from(coordinates(kernel), (place) => {
    const starts = place.map((at, i) => at * dilations[i]);
    const ends = starts.map((start, i) => addDims(start, mulDims(sizes[i], strides[i])));
    const bounds = [starts, ends, axes, strides].map((list) => emit.sizes(list));
    return emit.node('Slice', [padded, ...bounds]);
  });
}

/** [batch, channels, kernel places, ...output]: every window written out. */
export function unfold(
  emit: Emitter,
  x: ValueName,
  dtype: DType,
  sizes: Shape,
  sliding: Sliding,
): ValueName {
  const padded = writer(emit, dtype).pad(x, sliding.before, sliding.after);
  const slices = slicesOf(emit, padded, sizes, sliding).map((slice) =>
    emit.node('Unsqueeze', [slice, emit.sizes([2])]),
  );
  return emit.node('Concat', slices, { axis: int(2) });
}

/** [groups, out / groups, channels * kernel] @ [batch, groups, channels * kernel, places]. */
export function convByProduct(
  emit: Emitter,
  [x, weight, bias]: readonly ValueName[],
  inputs: readonly TensorType[],
  [batch, out, ...sizes]: Shape,
  attributes: ConvAttributes,
): ValueName {
  const { groups } = attributes;
  const [{ dtype }, weights] = inputs;
  const { reshape } = writer(emit, dtype);
  const depth = weights.shape.slice(1).reduce<Dim>(mulDims, 1);
  const places = sizes.reduce<Dim>(mulDims, 1);
  const columns = unfold(emit, x, dtype, sizes, attributes);
  const product = emit.node('MatMul', [
    reshape(weight, [groups, floorDiv(out, groups), depth]),
    reshape(columns, [batch, groups, depth, places]),
  ]);
  const result = reshape(product, [batch, out, ...sizes]);
  if (!bias) return result;
  return emit.node('Add', [result, reshape(bias, [out, ...sizes.map(() => 1)])]);
}

/**
 * The convolution, by the kernel turned round, of g with zeros between its elements:
 * x[i] = sum_k spread[i + before - k d] w[k].
 */
export function transposedByProduct(
  emit: Emitter,
  [g, weight]: readonly ValueName[],
  inputs: readonly TensorType[],
  [batch, channels, ...sizes]: Shape,
  { kernel, strides, dilations, before, groups }: ConvAttributes,
): ValueName {
  const [{ dtype, shape: outer }, { shape: weights }] = inputs;
  const [, out, ...places] = outer;
  const { reshape, transpose, pad } = writer(emit, dtype);
  const wide = places.map((size, i) => mulDims(size, strides[i]));
  const apart = pad(
    reshape(g, [batch, out, ...places.flatMap((size) => [size, 1])]),
    places.flatMap(() => [0, 0]),
    strides.flatMap((stride) => [0, stride - 1]),
  );
  const reach = kernel.map((size, i) => (size - 1) * dilations[i]);
  const first = reach.map((width, i) => width - before[i]);
  const last = sizes.map((size, i) => subDims(addDims(size, before[i]), wide[i]));
  const padded = pad(reshape(apart, [batch, out, ...wide]), first, last);
  // [out, each, ...kernel] -> [groups * each, out / groups, ...kernel], backwards
  const perGroup = floorDiv(out, groups);
  const split = transpose(reshape(weight, [groups, perGroup, ...weights.slice(1)]), [
    0,
    2,
    1,
    ...kernel.map((_, i) => i + 3),
  ]);
  const ends = kernel.map(() => -(2 ** 31));
  const minusOne = kernel.map(() => -1);
  const turned = emit.node('Slice', [
    reshape(split, [channels, perGroup, ...kernel]),
    ...[minusOne, ends, kernel.map((_, i) => i + 2), minusOne].map((list) => emit.sizes(list)),
  ]);
  const none = kernel.map(() => 0);
  const dense = {
    kernel,
    dilations,
    groups,
    strides: kernel.map(() => 1),
    before: none,
    after: none,
  };
  const types = [
    { dtype, shape: [] },
    { dtype, shape: [channels, perGroup, ...kernel] },
  ];
  return convByProduct(emit, [padded, turned], types, [batch, channels, ...sizes], dense);
}

/**
 * sum over batch and places of g * x at every place of the kernel: one product
 * [out, batch * places] @ [batch * places, channels] each; a single one where windows tile x.
 */
export function kernelByProduct(
  emit: Emitter,
  [x, g]: readonly ValueName[],
  inputs: readonly TensorType[],
  [out, each, ...kernel]: Shape,
  { groups, ...sliding }: ConvAttributes,
): ValueName {
  const [type, { shape: outer }] = inputs;
  const [batch, , ...places] = outer;
  const { reshape, transpose, pad } = writer(emit, type.dtype);
  const rank = outer.length;
  const count = mulDims(batch, places.reduce<Dim>(mulDims, 1));
  const rows = reshape(transpose(g, swapFirst(rank)), [groups, floorDiv(out, groups), count]);
  const product = (columns: ValueName, width: Dim) => {
    const matrix = reshape(columns, [groups, width, count]);
    return type.dtype === 'f64'
      ? emit.node('MatMul', [rows, transpose(matrix, [0, 2, 1])])
      : emit.node('FusedMatMul', [rows, matrix], { transB: int(1) }, 'com.microsoft');
  };
  const { strides, dilations, before, after } = sliding;
  const tiles = sliding.kernel.every((size, i) => size === strides[i] && dilations[i] === 1);
  if (tiles) {
    const spare = places.map((size, i) =>
      subDims(scaleDim(size, strides[i]), addDims(type.shape[i + 2], before[i])),
    );
    const split = reshape(pad(x, before, spare), [
      batch,
      type.shape[1],
      ...places.flatMap((size, i) => [size, sliding.kernel[i]]),
    ]);
    const [even, odd] = [2, 3].map((first) => kernel.map((_, i) => first + 2 * i));
    const columns = transpose(split, [1, ...odd, 0, ...even]);
    return reshape(product(columns, mulDims(each, sizeOf(sliding.kernel))), [out, each, ...kernel]);
  }
  const padded = pad(transpose(x, swapFirst(rank)), before, after);
  const parts = slicesOf(emit, padded, places, sliding).map((slice) =>
    emit.node('Unsqueeze', [product(slice, each), emit.sizes([3])]),
  );
  return reshape(emit.node('Concat', parts, { axis: int(3) }), [out, each, ...kernel]);
}
