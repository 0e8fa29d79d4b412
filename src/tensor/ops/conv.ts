// Convolution (cross-correlation, as every framework has it) over one or two spatial axes. Layout
// [batch, channels, ...spatial], weights [out, channels / groups, ...kernel]. Spatial sizes may be
// symbolic, kernels may not.
//
// sum(g * conv(x, w)) is linear in x, w and g, so three rows close under differentiation: conv, its
// transpose in x (dL/dx from g and w), and its transpose in w (dL/dw from x and g). Each one's
// gradients are the other two.
import { fromNumbers, sizeOf, toNumbers } from '../array.js';
import {
  addDims,
  type Dim,
  type DimLike,
  dim,
  exactDiv,
  floorDiv,
  mulDims,
  type Shape,
  sameDim,
  sameShape,
  showShape,
  subDims,
} from '../dim.js';
import { defineOp, int, ints, reject, type TensorType } from '../op.js';
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
import {
  convByProduct,
  kernelByProduct,
  onnxWindow,
  transposedByProduct,
} from './sliding-lowering.js';

export type ConvOptions = SlidingOptions & { groups?: number };
export type ConvAttributes = Sliding & { groups: number };

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

const optionsOf = (attributes: ConvAttributes) => ({
  ...slidingOptions(attributes),
  groups: attributes.groups,
});

function checkGroups(out: Dim, groups: number): void {
  if (!sameDim(mulDims(floorDiv(out, groups), groups), out)) {
    reject('groups share the output channels', `a multiple of ${groups}`, `${out}`);
  }
}

const convFlops = (outer: readonly number[], weight: readonly number[]): number =>
  2 * sizeOf(outer) * sizeOf(weight.slice(1));

/** Calls back with the flat places of every product that a convolution sums: y += x w. */
function visitProducts(
  [x, weight, y]: readonly (readonly number[])[],
  attributes: ConvAttributes,
  visit: (x: number, weight: number, y: number) => void,
): void {
  const [batch, out] = y;
  const [, each, ...kernel] = weight;
  const [length, size] = [sizeOf(spatial(x)), sizeOf(kernel)];
  const places = taps(spatial(x), spatial(y), attributes);
  for (let n = 0; n < batch; n++) {
    for (let m = 0; m < out; m++) {
      const group = Math.floor((m * attributes.groups) / out);
      places.forEach((from, place) => {
        const to = (n * out + m) * places.length + place;
        for (let c = 0; c < each; c++) {
          const channel = (n * x[1] + group * each + c) * length;
          const row = (m * each + c) * size;
          from.forEach((at, k) => {
            if (at >= 0) visit(channel + at, row + k, to);
          });
        }
      });
    }
  }
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
    checkGroups(out, groups);
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
    convFlops(shape, weight.shape) + (bias ? sizeOf(shape) : 0),
  lower: (emit, { values, inputs, outputs: [{ shape }], attributes }) =>
    inputs[0].dtype === 'f64'
      ? convByProduct(emit, values, inputs, shape, attributes)
      : emit.node('Conv', values, { ...onnxWindow(attributes), group: int(attributes.groups) }),
  evaluate: ([x, weight, bias], attributes, [{ dtype, shape }]) => {
    const [values, weights, shift] = [toNumbers(x), toNumbers(weight), bias && toNumbers(bias)];
    const length = sizeOf(spatial(shape));
    const result = Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
      shift ? shift[Math.floor(i / length) % shape[1]] : 0,
    );
    visitProducts([x.shape, weight.shape, shape], attributes, (i, j, to) => {
      result[to] += values[i] * weights[j];
    });
    return [fromNumbers(dtype, shape, result)];
  },
  gradient: ({ inputs: [x, weight, bias], gradients: [g], attributes }) => {
    if (!g) return [];
    const options = optionsOf(attributes);
    return [
      g.convTranspose(weight, { ...options, sizes: spatial(x.shape) }),
      x.convKernel(g, attributes.kernel, options),
      bias && g.sum(g.shape.map((_, i) => i).filter((i) => i !== 1)),
    ];
  },
});

export type ConvTransposeOptions = ConvOptions & { sizes?: readonly DimLike[] };
export type ConvTransposeAttributes = ConvAttributes & { sizes: Shape };

/** The attributes of a transposed convolution; without `sizes`, the smallest that give g's. */
export function convTransposeAttributes(
  g: TensorType,
  weight: TensorType,
  { sizes, ...options }: ConvTransposeOptions,
): ConvTransposeAttributes {
  const attributes = convAttributes(g, weight, options);
  const { kernel, strides, dilations, before, after } = attributes;
  const smallest = spatial(g.shape).map((size, i) => {
    const extent = dilations[i] * (kernel[i] - 1) + 1;
    return addDims(mulDims(subDims(size, 1), strides[i]), extent - before[i] - after[i]);
  });
  return { ...attributes, sizes: sizes?.map(dim) ?? smallest };
}

/**
 * What a convolution by this weight [out, channels / groups, ...kernel] takes from [.., ...sizes] to
 * g, transposed: [batch, out, ...] -> [batch, channels, ...sizes].
 */
export const convTranspose = defineOp<ConvTransposeAttributes>({
  name: 'convTranspose',
  infer: ([g, weight], attributes) => {
    const { groups, sizes } = attributes;
    const [out, each] = weight.shape;
    if (weight.dtype !== g.dtype || !sameDim(out, g.shape[1])) {
      reject(
        `the weight ${showShape(weight.shape)} does not fit ${showShape(g.shape)}`,
        `${g.dtype}[${g.shape[1]}, channels / groups, ...kernel]`,
        `${weight.dtype}${showShape(weight.shape)}`,
      );
    }
    checkGroups(out, groups);
    const places = slidingSizes(sizes, attributes);
    if (!sameShape(places, spatial(g.shape))) {
      reject(
        `windows over ${showShape(sizes)} are not as many as the tensor has places`,
        showShape(spatial(g.shape)),
        showShape(places),
      );
    }
    return [{ dtype: g.dtype, shape: [g.shape[0], mulDims(each, groups), ...sizes] }];
  },
  flops: ([g, weight]) => convFlops(g.shape, weight.shape),
  lower: (emit, { values, inputs, outputs: [{ shape }], attributes }) => {
    const [g] = inputs;
    if (g.dtype === 'f64') return transposedByProduct(emit, values, inputs, shape, attributes);
    const { sizes, groups, strides } = attributes;
    const least = convTransposeAttributes(g, inputs[1], optionsOf(attributes)).sizes;
    const more = sizes.map((size, i) => subDims(size, least[i]));
    const known = more.filter((size) => typeof size === 'number');
    const exact = known.length === more.length;
    const result = emit.node('ConvTranspose', values, {
      ...onnxWindow(attributes),
      group: int(groups),
      output_padding: ints(exact ? known : strides.map((stride) => stride - 1)),
    });
    if (exact) return result;
    // How many rows no window reached is known at run time only: the most, less what is too much.
    const axes = sizes.map((_, i) => i + 2);
    const starts = emit.sizes(sizes.map(() => 0));
    return emit.node('Slice', [result, starts, emit.sizes(sizes), emit.sizes(axes)]);
  },
  evaluate: ([g, weight], attributes, [{ dtype, shape }]) => {
    const [values, weights] = [toNumbers(g), toNumbers(weight)];
    const result = new Float64Array(sizeOf(shape));
    visitProducts([shape, weight.shape, g.shape], attributes, (to, j, i) => {
      result[to] += values[i] * weights[j];
    });
    return [fromNumbers(dtype, shape, result)];
  },
  gradient: ({ inputs: [g, weight], gradients: [u], attributes }) => {
    if (!u) return [];
    const options = optionsOf(attributes);
    return [u.conv(weight, undefined, options), u.convKernel(g, attributes.kernel, options)];
  },
});

/**
 * The gradient of a convolution's weight [out, channels / groups, ...kernel], from its input x and g,
 * the gradient of its result.
 */
export const convKernel = defineOp<ConvAttributes>({
  name: 'convKernel',
  infer: ([x, g], attributes) => {
    const { groups, kernel } = attributes;
    const sizes = slidingSizes(spatial(x.shape), attributes);
    const expected = [x.shape[0], g.shape[1], ...sizes];
    if (g.dtype !== x.dtype || !sameShape(g.shape, expected)) {
      reject(
        `the gradient ${showShape(g.shape)} does not fit windows over ${showShape(x.shape)}`,
        `${x.dtype}${showShape(expected)}`,
        `${g.dtype}${showShape(g.shape)}`,
      );
    }
    checkGroups(g.shape[1], groups);
    const each = exactDiv(x.shape[1], groups);
    if (each === undefined) {
      reject('groups share the channels', `a multiple of ${groups}`, `${x.shape[1]}`);
    }
    return [{ dtype: x.dtype, shape: [g.shape[1], each, ...kernel] }];
  },
  flops: ([, g], [{ shape }]) => convFlops(g.shape, shape),
  lower: (emit, { values, inputs, outputs: [{ shape }], attributes }) =>
    kernelByProduct(emit, values, inputs, shape, attributes),
  evaluate: ([x, g], attributes, [{ dtype, shape }]) => {
    const [values, slopes] = [toNumbers(x), toNumbers(g)];
    const result = new Float64Array(sizeOf(shape));
    visitProducts([x.shape, shape, g.shape], attributes, (i, to, j) => {
      result[to] += values[i] * slopes[j];
    });
    return [fromNumbers(dtype, shape, result)];
  },
  gradient: ({ inputs: [x, g], gradients: [u], attributes }) => {
    if (!u) return [];
    const options = optionsOf(attributes);
    return [
      g.convTranspose(u, { ...options, sizes: spatial(x.shape) }),
      x.conv(u, undefined, options),
    ];
  },
});
