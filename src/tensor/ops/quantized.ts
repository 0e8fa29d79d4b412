// Matrix products with packed weights, and of integers. The kernels are ONNX Runtime's; the reference
// kernels here define what they must return.
import { fromNumbers, type NDArray, sizeOf, toNumbers } from '../array.js';
import { broadcast, sameDim, showShape } from '../dim.js';
import { roundHalfEven } from '../dtype.js';
import {
  defineOp,
  type Emitter,
  flat,
  int,
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';
import { broadcastIndex } from '../strides.js';

export type NBitsAttributes = {
  /** Output and input features of the matrix. */
  rows: number;
  columns: number;
  bits: 4 | 8;
  /** Weights that share one scale, along the input features: a power of two, 16 to 256. */
  block: number;
  /** 4 quantises activations to int8 inside the kernel (fast), 1 keeps them in float32. */
  accuracy: 1 | 4;
};

const BLOCKS: ReadonlySet<number> = new Set([16, 32, 64, 128, 256]);

/** Blocks that cover one row. */
export const blocksOf = (columns: number, block: number): number => Math.ceil(columns / block);

/** Code of element k of a row: low nibble first, offset by half the range. */
export function unpackCode(row: Uint8Array, k: number, bits: 4 | 8): number {
  if (bits === 8) return row[k] - 128;
  const byte = row[k >> 1];
  return (k % 2 === 0 ? byte & 15 : byte >> 4) - 8;
}

/**
 * x[..., columns] @ W^T with W[r, k] = (code - 2^(bits-1)) * scale[r, k / block]; codes are
 * uint8[rows, blocks, block * bits / 8], scales float32[rows, blocks]. The reference is the exact
 * product; accuracy 4 differs from it by the rounding of x to int8 per row and block.
 */
export const matmulNBits = defineOp<NBitsAttributes>({
  name: 'matmulNBits',
  infer: ([x, codes, scales], { rows, columns, bits, block }) => {
    // Other blocks are not refused by the kernel: it returns zeros for 512.
    if (!BLOCKS.has(block)) reject('no kernel has this block', [...BLOCKS].join(', '), `${block}`);
    const blocks = blocksOf(columns, block);
    const width = x.shape.at(-1);
    if (x.dtype !== 'f32' || width === undefined || !sameDim(width, columns)) {
      reject(
        'the activations do not fit the matrix',
        `f32[..., ${columns}]`,
        `${x.dtype}${showShape(x.shape)}`,
      );
    }
    const layout = [rows, blocks, (block * bits) / 8];
    if (codes.dtype !== 'u8' || showShape(codes.shape) !== showShape(layout)) {
      reject(
        'the packed codes do not fit',
        `u8${showShape(layout)}`,
        `${codes.dtype}${showShape(codes.shape)}`,
      );
    }
    if (scales.dtype !== 'f32' || showShape(scales.shape) !== showShape([rows, blocks])) {
      reject(
        'the scales do not fit',
        `f32[${rows}, ${blocks}]`,
        `${scales.dtype}${showShape(scales.shape)}`,
      );
    }
    return [{ dtype: 'f32', shape: [...x.shape.slice(0, -1), rows] }];
  },
  flops: (_, [{ shape }], { columns }) => 2 * columns * shape.reduce((a, b) => a * b, 1),
  lower: (emit, { values, attributes: { rows, columns, bits, block, accuracy } }) =>
    emit.node(
      'MatMulNBits',
      values,
      {
        K: int(columns),
        N: int(rows),
        bits: int(bits),
        block_size: int(block),
        accuracy_level: int(accuracy),
      },
      'com.microsoft',
    ),
  evaluate: ([x, codes, scales], attributes, [{ dtype, shape }]) => {
    const { rows, columns } = attributes;
    const weights = unpackNBits(codes, scales, attributes);
    const input = toNumbers(x);
    const out = new Float64Array((input.length / columns) * rows);
    for (let row = 0; row * columns < input.length; row++) {
      for (let r = 0; r < rows; r++) {
        let sum = 0;
        for (let k = 0; k < columns; k++)
          sum += input[row * columns + k] * weights[r * columns + k];
        out[row * rows + r] = sum;
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
});

/** The matrix [rows, columns] that packed codes and scales stand for. */
export function unpackNBits(
  codes: NDArray,
  scales: NDArray,
  { rows, columns, bits, block }: Pick<NBitsAttributes, 'rows' | 'columns' | 'bits' | 'block'>,
): Float64Array<ArrayBuffer> {
  const blocks = blocksOf(columns, block);
  const stride = (blocks * block * bits) / 8;
  const scale = toNumbers(scales);
  const bytes = codes.data as Uint8Array;
  const out = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    const row = bytes.subarray(r * stride, (r + 1) * stride);
    for (let k = 0; k < columns; k++) {
      out[r * columns + k] = unpackCode(row, k, bits) * scale[r * blocks + Math.floor(k / block)];
    }
  }
  return out;
}

/**
 * x @ W with W[k, r] = codes[k, r] * scale[r] (int8), x rounded to uint8 with one scale for the whole
 * tensor, found at run time: fast on batches, but a row's result depends on its neighbours.
 */
export const dynamicQuantizeMatmul = defineOp<object>({
  name: 'dynamicQuantizeMatmul',
  infer: ([x, codes, scales]) => {
    const width = x.shape.at(-1);
    const [columns, rows] = codes.shape;
    if (codes.dtype !== 'i8' || codes.shape.length !== 2) {
      reject(
        'the codes do not fit',
        'i8[columns, rows]',
        `${codes.dtype}${showShape(codes.shape)}`,
      );
    }
    if (x.dtype !== 'f32' || width === undefined || !sameDim(width, columns)) {
      reject(
        'the activations do not fit the matrix',
        `f32[..., ${columns}]`,
        `${x.dtype}${showShape(x.shape)}`,
      );
    }
    if (scales.dtype !== 'f32' || showShape(scales.shape) !== showShape([rows])) {
      reject('the scales do not fit', `f32[${rows}]`, `${scales.dtype}${showShape(scales.shape)}`);
    }
    return [{ dtype: 'f32', shape: [...x.shape.slice(0, -1), rows] }];
  },
  flops: ([, codes], [{ shape }]) => 2 * codes.shape[0] * shape.reduce((a, b) => a * b, 1),
  lower: (emit, { values }) => emit.node('DynamicQuantizeMatMul', values, {}, 'com.microsoft'),
  evaluate: ([x, codes, scales], _, [{ dtype, shape }]) => {
    const [columns, rows] = codes.shape;
    const input = toNumbers(x);
    const low = input.reduce((a, v) => Math.min(a, v), 0);
    const high = input.reduce((a, v) => Math.max(a, v), 0);
    const step = Math.fround(Math.fround(high - low) / 255) || 1;
    const zero = Math.min(255, Math.max(0, roundHalfEven(-low / step)));
    const rounded = input.map(
      (v) => Math.min(255, Math.max(0, roundHalfEven(v / step) + zero)) - zero,
    );
    const [w, scale] = [codes.data as Int8Array, toNumbers(scales)];
    const out = new Float64Array((input.length / columns) * rows);
    for (let row = 0; row * columns < input.length; row++) {
      for (let r = 0; r < rows; r++) {
        let sum = 0;
        for (let k = 0; k < columns; k++) sum += rounded[row * columns + k] * w[k * rows + r];
        out[row * rows + r] = sum * step * scale[r];
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
});

/** A signed tensor as unsigned ones of the same order: the sign bit turned, so that -128 is 0. */
function unsigned(emit: Emitter, value: ValueName, { dtype }: TensorType): ValueName {
  if (dtype === 'u8') return value;
  return emit.node('BitwiseXor', [emit.cast(value, 'i8', 'u8'), emit.scalar('u8', 128)]);
}

/**
 * a @ b over the last two axes for 8-bit integers of either sign, summed in i32 exactly. ONNX
 * Runtime's kernels of mixed signs saturate pairs of products in 16 bits on processors without VNNI;
 * those of unsigned numbers do not, so that is what both become, with zero points of 128.
 */
export const matmulInteger = defineOp<object>({
  name: 'matmulInteger',
  infer: ([a, b]) => {
    for (const { dtype } of [a, b]) {
      if (dtype !== 'u8' && dtype !== 'i8') reject('both factors have 8 bits', 'u8 or i8', dtype);
    }
    const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const [rows, inner] = a.shape.slice(-2);
    const [inner2, columns] = b.shape.slice(-2);
    const matrices = a.shape.length >= 2 && b.shape.length >= 2;
    if (!matrices || !lead || !sameDim(inner, inner2)) {
      reject(
        'the factors do not multiply',
        'matrices with equal inner sizes and leading axes that broadcast',
        `${showShape(a.shape)} x ${showShape(b.shape)}`,
      );
    }
    return [{ dtype: 'i32', shape: [...lead, rows, columns] }];
  },
  flops: ([a], [{ shape }]) => 2 * (a.shape.at(-1) ?? 0) * sizeOf(shape),
  lower: (emit, { values, inputs }) => {
    const factors = values.map((value, i) => unsigned(emit, value, inputs[i]));
    const zeros = inputs.map(({ dtype }) => emit.scalar('u8', dtype === 'i8' ? 128 : 0));
    return emit.node('MatMulInteger', [...factors, ...zeros]);
  },
  evaluate: ([a, b], _, [{ dtype, shape }]) => {
    const [rows, inner] = a.shape.slice(-2);
    const columns = shape[shape.length - 1];
    const lead = shape.slice(0, -2);
    const ia = broadcastIndex(a.shape.slice(0, -2), lead);
    const ib = broadcastIndex(b.shape.slice(0, -2), lead);
    const [x, y] = [toNumbers(a), toNumbers(b)];
    const out = new Float64Array(sizeOf(shape));
    for (let i = 0; i < out.length; i++) {
      const batch = Math.floor(i / (rows * columns));
      const row = (ia(batch) * rows + (Math.floor(i / columns) % rows)) * inner;
      const column = ib(batch) * inner * columns + (i % columns);
      for (let k = 0; k < inner; k++) out[i] += x[row + k] * y[column + k * columns];
    }
    return [fromNumbers(dtype, shape, out)];
  },
  gradient: flat,
});
