// Integer arithmetic: quantising and dequantising, integer products (exact: the sums are formed in
// float64), and ONNX Runtime's products with packed weights.
import { type Dim, type DType, dtypes, isFloat, type Tensor } from '../../tensor/index.js';
import { axisOf } from '../../tensor/op.js';
import { elementType } from './elementwise.js';
import type { Builder, NodeReader } from './node-reader.js';
import { convolution } from './window.js';

/** A scale or zero point, one for all or one for each element of `axis`, ready to broadcast. */
function along(x: Tensor, factor: Tensor, axis: number): Tensor {
  if (factor.rank === 0 || (factor.rank === 1 && factor.shape[0] === 1)) return factor.reshape();
  const at = axisOf(axis, x.rank);
  return factor.reshape(...x.shape.map<Dim>((_, i) => (i === at ? factor.shape[0] : 1)));
}

const limits = (dtype: DType): [number, number] => {
  const bits = 8 * dtypes[dtype].bytes;
  return dtypes[dtype].kind === 'uint'
    ? [0, 2 ** bits - 1]
    : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
};

const noBlocks = (n: NodeReader): void => {
  n.ignore('saturate', 'precision');
  n.only('block_size', 0);
};

/** round(x / scale) + zero, kept within the type. */
function quantise(x: Tensor, scale: Tensor, zero: Tensor | undefined, to: DType): Tensor {
  const rounded = x.div(scale).round();
  return (zero ? rounded.add(zero.cast(x.dtype)) : rounded).clip(...limits(to)).cast(to);
}

function quantiseLinear(n: NodeReader): Tensor {
  noBlocks(n);
  const [x, axis] = [n.tensor(0), n.int('axis', 1)];
  const float = isFloat(x.dtype) ? x : x.cast('f32');
  const zero = n.optional(2);
  const to =
    n.int('output_dtype', 0) === 0 ? (zero?.dtype ?? 'u8') : elementType(n, 'output_dtype');
  const scale = along(x, n.tensor(1), axis).cast(float.dtype);
  return quantise(float, scale, zero && along(x, zero, axis), to);
}

function dequantiseLinear(n: NodeReader): Tensor {
  noBlocks(n);
  const [x, axis] = [n.tensor(0), n.int('axis', 1)];
  const scale = along(x, n.tensor(1), axis);
  const zero = n.optional(2);
  const centred = x.cast('i32');
  const moved = zero ? centred.sub(along(x, zero.cast('i32'), axis)) : centred;
  const real = moved.cast(scale.dtype).mul(scale);
  return n.int('output_dtype', 0) === 0 ? real : real.cast(elementType(n, 'output_dtype'));
}

/** To uint8 by the range of x widened to hold 0: codes, scale, zero point. */
function dynamicQuantiseLinear(n: NodeReader): Tensor[] {
  const x = n.tensor(0);
  const [low, high] = [x.min().minimum(0), x.max().maximum(0)];
  const scale = high.sub(low).div(255);
  const zero = low.neg().div(scale).round().clip(0, 255);
  return [quantise(x, scale, zero, 'u8'), scale, zero.cast('u8')];
}

/** Codes minus their zero point, exactly. */
const centre = (x: Tensor, zero: Tensor | undefined): Tensor =>
  zero ? x.cast('f64').sub(zero.cast('f64')) : x.cast('f64');

/** A zero point for each row of the left factor stands as a column. */
const rowZeros = (zero: Tensor | undefined): Tensor | undefined =>
  zero && zero.rank === 1 && zero.shape[0] !== 1 ? zero.unsqueeze(1) : zero;

const integerProduct = (a: Tensor, b: Tensor, zeroA?: Tensor, zeroB?: Tensor): Tensor =>
  centre(a, rowZeros(zeroA)).matmul(centre(b, zeroB));

function quantisedMatmul(n: NodeReader): Tensor {
  const [a, scaleA, zeroA, b, scaleB, zeroB, scaleY, zeroY] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) =>
    n.tensor(i),
  );
  const real = integerProduct(a, b, zeroA, zeroB).mul(scaleA.cast('f64')).mul(scaleB.cast('f64'));
  return quantise(real, scaleY.cast('f64'), zeroY, zeroY.dtype);
}

function quantisedConv(n: NodeReader): Tensor {
  const [x, scaleX, zeroX, w, scaleW, zeroW, scaleY, zeroY] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) =>
    n.tensor(i),
  );
  const product = convolution(n, centre(x, zeroX), centre(w, along(w, zeroW, 0)));
  const bias = n.optional(8);
  const sum = bias ? product.add(along(product, bias.cast('f64'), 1)) : product;
  const real = sum.mul(scaleX.cast('f64')).mul(along(sum, scaleW.cast('f64'), 1));
  return quantise(real, scaleY.cast('f64'), zeroY, zeroY.dtype);
}

const convInteger: Builder = (n) => {
  const [zeroX, zeroW] = [n.optional(2), n.optional(3)];
  const [x, w] = [n.tensor(0), n.tensor(1)];
  const weight = centre(w, zeroW && along(w, zeroW, 0));
  return convolution(n, centre(x, zeroX), weight).cast('i32');
};

function matmulNBits(n: NodeReader): Tensor {
  const [rows, columns, block] = [n.int('N', 0), n.int('K', 0), n.int('block_size', 0)];
  const bits = n.int('bits', 4);
  n.ignore('weight_prepacked');
  if (bits !== 4 && bits !== 8) {
    return n.refuse({
      what: 'this width is not supported',
      expected: '4 or 8 bits',
      found: `${bits}`,
    });
  }
  if (n.optionalValue(3) || n.optionalValue(4)) {
    n.refuse({
      what: 'zero points and group indices are not supported',
      expected: 'codes and scales only',
    });
  }
  const blocks = Math.ceil(columns / block);
  const product = n
    .tensor(0)
    .matmulNBits(
      n.tensor(1).reshape(rows, blocks, (block * bits) / 8),
      n.tensor(2).reshape(rows, blocks),
      { rows, columns, bits, block, accuracy: n.int('accuracy_level', 0) === 4 ? 4 : 1 },
    );
  const bias = n.optional(5);
  return bias ? product.add(bias) : product;
}

function dynamicQuantiseMatmul(n: NodeReader): Tensor {
  const [x, codes, scale] = [n.tensor(0), n.tensor(1), n.tensor(2)];
  const zero = n.knownArray(3);
  const zeros = zero ? zero.data.every((value) => Number(value) === 0) : !n.optionalValue(3);
  if (codes.dtype !== 'i8' || !zeros) {
    n.refuse({
      what: 'this layout of weights is not supported',
      expected: 'int8 codes with zero points of 0',
      found: `${codes}${zeros ? '' : ' with zero points'}`,
    });
  }
  const scales = scale.shape.length === 1 && scale.shape[0] !== 1 ? scale : scale.reshape();
  const product = x.dynamicQuantizeMatmul(codes, scales.broadcastTo(codes.shape[1]));
  const bias = n.optional(4);
  return bias ? product.add(bias) : product;
}

export const quantised: Readonly<Record<string, Builder>> = {
  QuantizeLinear: quantiseLinear,
  DequantizeLinear: dequantiseLinear,
  DynamicQuantizeLinear: dynamicQuantiseLinear,
  MatMulInteger: (n) =>
    integerProduct(n.tensor(0), n.tensor(1), n.optional(2), n.optional(3)).cast('i32'),
  QLinearMatMul: quantisedMatmul,
  ConvInteger: convInteger,
  QLinearConv: quantisedConv,
};

export const microsoftQuantised: Readonly<Record<string, Builder>> = {
  QuantizeLinear: quantiseLinear,
  DequantizeLinear: dequantiseLinear,
  MatMulNBits: matmulNBits,
  DynamicQuantizeMatMul: dynamicQuantiseMatmul,
};
