// Convolutions and pooling over one or two spatial axes.
import { type Dim, isFloat, scalar, type Tensor } from '../../tensor/index.js';
import type { Builder, NodeReader } from './node-reader.js';

type Window = {
  kernel: number[];
  stride: number[];
  dilation: number[];
  padding: (readonly [number, number])[];
};

const numbersOf = (kernel: readonly Dim[]): number[] => kernel.map(Number);

/** The attributes that all windows share. `size` are the spatial sizes of the input. */
function windowOf(n: NodeReader, size: readonly Dim[], kernel: readonly number[]): Window {
  const ones = () => kernel.map(() => 1);
  const stride = n.ints('strides') ?? ones();
  const dilation = n.ints('dilations') ?? ones();
  const pads = n.ints('pads') ?? [...kernel, ...kernel].map(() => 0);
  const auto = n.text('auto_pad', 'NOTSET');
  const padding = kernel.map((k, i): readonly [number, number] => {
    if (auto === 'NOTSET') return [pads[i], pads[i + kernel.length]];
    if (auto === 'VALID') return [0, 0];
    const total = samePadding(n, size[i], k, stride[i], dilation[i]);
    const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return auto === 'SAME_UPPER' ? [less, more] : [more, less];
  });
  if (n.flag('ceil_mode')) addCeiling(n, size, { kernel: [...kernel], stride, dilation, padding });
  return { kernel: [...kernel], stride, dilation, padding };
}

/** Padding with which ceil(size / stride) windows fit. */
function samePadding(n: NodeReader, size: Dim, kernel: number, stride: number, dilation: number) {
  const extent = (kernel - 1) * dilation + 1;
  if (stride === 1) return extent - 1;
  if (typeof size === 'number') {
    return Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
  }
  return n.refuse({
    what: 'auto_pad with a stride needs a fixed size',
    expected: 'a number',
    found: `${size}`,
    hint: 'give options.sizes',
  });
}

/** ceil_mode: a last window that hangs over, where it begins inside the padded input. */
function addCeiling(n: NodeReader, sizes: readonly Dim[], window: Window): void {
  const { kernel, stride, dilation, padding } = window;
  kernel.forEach((k, i) => {
    const size = sizes[i];
    if (typeof size !== 'number') {
      if (stride[i] === 1) return;
      n.refuse({
        what: 'ceil_mode with a stride needs a fixed size',
        expected: 'a number',
        found: `${size}`,
        hint: 'give options.sizes',
      });
    }
    const [before, after] = padding[i];
    const extent = (k - 1) * dilation[i] + 1;
    const windows = Math.ceil((size + before + after - extent) / stride[i]);
    if (windows * stride[i] >= size + before) return;
    const missing = windows * stride[i] + extent - (size + before + after);
    padding[i] = [before, after + Math.max(0, missing)];
  });
}

export function convolution(n: NodeReader, x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const groups = n.int('group', 1);
  n.ignore('kernel_shape');
  const kernel = weight.shape.slice(2);
  if (kernel.some((k) => typeof k !== 'number')) {
    n.refuse({ what: 'the kernel has a symbolic size', expected: 'numbers', found: `${kernel}` });
  }
  const { stride, dilation, padding } = windowOf(n, x.shape.slice(2), numbersOf(kernel));
  return x.conv(weight, bias, { stride, dilation, padding, groups });
}

/** Pooling of integers goes through float32. */
const throughFloat = (x: Tensor, apply: (x: Tensor) => Tensor): Tensor =>
  isFloat(x.dtype) ? apply(x) : apply(x.cast('f32')).cast(x.dtype);

/** Positions are those in the flattened tensor, row by row. */
function maxPool(n: NodeReader): Tensor[] {
  const x = n.tensor(0);
  const { kernel, ...options } = windowOf(n, x.shape.slice(2), n.ints('kernel_shape') ?? []);
  const y = throughFloat(x, (value) => value.maxPool(kernel, options));
  if (!n.wants(1)) {
    n.ignore('storage_order');
    return [y];
  }
  n.only('storage_order', 0);
  return [y, (isFloat(x.dtype) ? x : x.cast('f32')).maxPoolIndices(kernel, options)];
}

function averagePool(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const countPadding = n.flag('count_include_pad');
  if (countPadding && n.flag('ceil_mode')) {
    n.refuse({
      what: 'ceil_mode with count_include_pad is not supported',
      expected: 'one of them',
    });
  }
  const { kernel, ...options } = windowOf(n, x.shape.slice(2), n.ints('kernel_shape') ?? []);
  return x.averagePool(kernel, { ...options, countPadding });
}

/** Zeros between the elements of a spatial axis: every element followed by stride - 1 of them. */
function spread(x: Tensor, axis: number, stride: number): Tensor {
  if (stride === 1) return x;
  const filled = x.unsqueeze(axis + 1).pad(axis + 1, 0, stride - 1);
  const joined = filled.reshape(...x.shape.slice(0, axis), -1, ...x.shape.slice(axis + 1));
  return joined.slice(axis, 0, -(stride - 1));
}

/**
 * The gradient of a convolution as a convolution: zeros between the elements, the kernel reversed,
 * its two channel axes exchanged.
 */
function convTranspose(n: NodeReader): Tensor {
  const [x, weight, bias] = [n.tensor(0), n.tensor(1), n.optional(2)];
  n.ignore('kernel_shape');
  n.only('group', 1);
  const kernel = numbersOf(weight.shape.slice(2));
  const ones = kernel.map(() => 1);
  const stride = n.ints('strides') ?? ones;
  const dilation = n.ints('dilations') ?? ones;
  const extra = n.ints('output_padding') ?? kernel.map(() => 0);
  const wanted = n.ints('output_shape');
  const auto = n.text('auto_pad', 'NOTSET');
  const pads = n.ints('pads') ?? [...kernel, ...kernel].map(() => 0);
  const extents = kernel.map((k, i) => (k - 1) * dilation[i] + 1);
  const padding = kernel.map((_, i): readonly [number, number] => {
    if (!wanted && (auto === 'NOTSET' || auto === 'VALID')) {
      return auto === 'VALID' ? [0, 0] : [pads[i], pads[i + kernel.length]];
    }
    const size = x.shape[i + 2];
    if (typeof size !== 'number') {
      return n.refuse({
        what: 'output_shape and auto_pad need a fixed size',
        expected: 'a number',
        found: `${size}`,
        hint: 'give options.sizes',
      });
    }
    const target = wanted ? wanted[i] : size * stride[i];
    const total = stride[i] * (size - 1) + extra[i] + extents[i] - target;
    const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return auto === 'SAME_UPPER' ? [less, more] : [more, less];
  });
  const zeros = x.shape.slice(2).reduce<Tensor>((y, _, i) => spread(y, i + 2, stride[i]), x);
  // Widths below 0 cut: padding beyond the kernel's extent.
  const widths = padding.map(([before, after], i) => [
    extents[i] - 1 - before,
    extents[i] - 1 - after + extra[i],
  ]);
  const fitted = widths.reduce<Tensor>((y, [before, after], i) => {
    const axis = i + 2;
    const cut = y.slice(axis, Math.max(0, -before), after < 0 ? after : undefined);
    return cut.pad(axis, Math.max(0, before), Math.max(0, after));
  }, zeros);
  const reversed = kernel.reduce<Tensor>((w, _, i) => w.flip(i + 2), weight.swap(0, 1));
  return fitted.conv(reversed, bias, { dilation });
}

const spatialAxes = (x: Tensor): number[] => x.shape.flatMap((_, i) => (i >= 2 ? [i] : []));

/** x / (bias + alpha / size * sum of squares of `size` neighbouring channels)^beta. */
function localResponse(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const size = n.int('size', 1);
  if (size < 1 || size > 1024) {
    n.refuse({ what: 'this neighbourhood is too wide', expected: '1 to 1024', found: `${size}` });
  }
  const [alpha, beta, bias] = [n.float('alpha', 1e-4), n.float('beta', 0.75), n.float('bias', 1)];
  const padded = x.mul(x).pad(1, Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2));
  const channels = x.size(1);
  const squares = Array.from({ length: size }, (_, i) =>
    padded.slice(1, i, typeof channels === 'number' ? i + channels : undefined),
  ).reduce((a, b) => a.add(b));
  return x.div(
    squares
      .mul(alpha / size)
      .add(bias)
      .pow(scalar(x.dtype, beta)),
  );
}

export const windows: Readonly<Record<string, Builder>> = {
  Conv: (n) => convolution(n, n.tensor(0), n.tensor(1), n.optional(2)),
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: (n) => n.tensor(0).mean(spatialAxes(n.tensor(0)), true),
  GlobalMaxPool: (n) => n.tensor(0).max(spatialAxes(n.tensor(0)), true),
  LRN: localResponse,
};
