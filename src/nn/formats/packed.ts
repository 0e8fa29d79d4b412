// Packed integer codes with one scale for each block of a row, in the layout of ONNX Runtime's
// MatMulNBits kernel: codes u8 [rows, blocks, block * bits / 8], low nibble first, offset by half the
// range; rows are padded to whole blocks.
import { concat, type NDArray, ndarray, type Tensor } from '../../tensor/index.js';
import type { Derivation, Scope } from '../scope.js';
import type { MatrixSize } from './format.js';

export type Packing = { bits: 4 | 8; block: number };

/** Padding repeats the code of zero. */
export function packCodes(
  codes: ArrayLike<number>,
  { rows, columns }: MatrixSize,
  { bits, block }: Packing,
): NDArray {
  const blocks = Math.ceil(columns / block);
  const bytes = (block * bits) / 8;
  const half = 2 ** (bits - 1);
  const out = new Uint8Array(rows * blocks * bytes).fill(bits === 8 ? half : half * 17);
  const stride = blocks * bytes;
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) {
      const code = codes[row * columns + k] + half;
      const at = row * stride + (bits === 8 ? k : k >> 1);
      if (bits === 8) out[at] = code;
      else out[at] = k % 2 === 0 ? (out[at] & 0xf0) | code : (out[at] & 0x0f) | (code << 4);
    }
  }
  return ndarray('u8', [rows, blocks, bytes], out);
}

export const packedShape = ({ rows, columns }: MatrixSize, { bits, block }: Packing): number[] => [
  rows,
  Math.ceil(columns / block),
  (block * bits) / 8,
];

/**
 * Whether the kernel has no path of its own for 8-bit codes with float32 activations: it unpacks the
 * whole matrix at every run, which takes 10 to 100 times as long as the dense product.
 */
export const lacksKernel = ({ bits, accuracy }: { bits: 4 | 8; accuracy: 1 | 4 }): boolean =>
  bits === 8 && accuracy === 1;

/** x @ W^T with a matrix that is decoded once, at load: small on disk, dense in memory. */
export function productUnpacked(
  s: Scope,
  x: Tensor,
  { rows, columns }: MatrixSize,
  derivation: Derivation,
): Tensor {
  const weight = s.derived('unpacked', { dtype: 'f32', shape: [rows, columns] }, derivation);
  return x.matmul(weight, { transposeB: true });
}

/** Nibbles of u8[..., n] as float32[..., 2n], low ones first. */
export function nibbles(packed: Tensor): Tensor {
  const bytes = packed.cast('f32');
  const high = bytes.mul(1 / 16).floor();
  const low = bytes.sub(high.mul(16));
  const pairs = concat([low.unsqueeze(-1), high.unsqueeze(-1)], -1);
  return pairs.reshape(...packed.shape.slice(0, -1), -1);
}

/** Rows of the matrix by position, unpacked in the graph: ids[...] -> float32[..., columns]. */
export function lookupPacked(
  codes: Tensor,
  scales: Tensor,
  ids: Tensor,
  { columns }: MatrixSize,
  { bits, block }: Packing,
): Tensor {
  const taken = codes.gather(ids);
  const numbers = bits === 8 ? taken.cast('f32') : nibbles(taken);
  const values = numbers.sub(2 ** (bits - 1)).mul(scales.gather(ids).unsqueeze(-1));
  const padded = values.reshape(...ids.shape, Math.ceil(columns / block) * block);
  return padded.slice(-1, 0, columns);
}
