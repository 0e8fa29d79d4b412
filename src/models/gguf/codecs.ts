// Numbers as GGUF holds them. A row is cut into blocks of 32:
//   Q8_0   d = max|x| / 127,  q = round(x / d),             x ~ q d          f16 d, 32 x i8
//   Q4_0   d = m / -8,        q = min(15, floor(x / d + 8.5)), x ~ (q - 8) d   f16 d, 16 bytes
// with m the element of the largest magnitude, sign included. A byte of Q4_0 holds elements j (low) and
// j + 16 (high). The step is rounded to f16 after the codes are found, as llama.cpp does: files of both
// hold the same bytes.
import {
  bytesOf,
  castArray,
  type DType,
  dtypes,
  fromHalf,
  fromNumbers,
  type NDArray,
  ndarray,
  toHalf,
  viewAs,
} from '../../tensor/index.js';
import type { WrittenType } from './types.js';

const BLOCK = 32;

export type Codec = {
  /** Bytes of whole rows; `values.length` is a multiple of the block. */
  encode(values: Float32Array): Uint8Array<ArrayBuffer>;
  /** The numbers that bytes stand for. */
  decode(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
};

const plain = (dtype: DType): Codec => ({
  encode: (values) => bytesOf(fromNumbers(dtype, [values.length], values)),
  decode: (bytes) => {
    const count = bytes.length / dtypes[dtype].bytes;
    const array: NDArray = ndarray(dtype, [count], viewAs(dtype, bytes));
    return castArray(array, 'f32').data as Float32Array<ArrayBuffer>;
  },
});

/** Element of the largest magnitude, with its sign; the first of equals. */
function extremeOf(values: Float32Array, from: number): number {
  let extreme = 0;
  for (let i = from; i < from + BLOCK; i++) {
    if (Math.abs(values[i]) > Math.abs(extreme)) extreme = values[i];
  }
  return extreme;
}

/** A step and its inverse as float32 holds them. */
function stepOf(extreme: number, codes: number): [step: number, inverse: number] {
  const step = Math.fround(extreme / codes);
  return [step, step === 0 ? 0 : Math.fround(1 / step)];
}

/** Half away from zero. */
const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

const q8: Codec = {
  encode: (values) => {
    const blocks = values.length / BLOCK;
    const out = new Uint8Array(blocks * 34);
    const view = new DataView(out.buffer);
    for (let b = 0; b < blocks; b++) {
      const [step, inverse] = stepOf(Math.abs(extremeOf(values, b * BLOCK)), 127);
      view.setUint16(b * 34, toHalf(step), true);
      for (let i = 0; i < BLOCK; i++) {
        view.setInt8(b * 34 + 2 + i, roundAway(Math.fround(values[b * BLOCK + i] * inverse)));
      }
    }
    return out;
  },
  decode: (bytes) => {
    const blocks = bytes.length / 34;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const out = new Float32Array(blocks * BLOCK);
    for (let b = 0; b < blocks; b++) {
      const step = fromHalf(view.getUint16(b * 34, true));
      for (let i = 0; i < BLOCK; i++) out[b * BLOCK + i] = view.getInt8(b * 34 + 2 + i) * step;
    }
    return out;
  },
};

const q4: Codec = {
  encode: (values) => {
    const blocks = values.length / BLOCK;
    const out = new Uint8Array(blocks * 18);
    const view = new DataView(out.buffer);
    const code = (x: number, inverse: number) =>
      Math.min(15, Math.floor(Math.fround(Math.fround(x * inverse) + 8.5)));
    for (let b = 0; b < blocks; b++) {
      const [step, inverse] = stepOf(extremeOf(values, b * BLOCK), -8);
      view.setUint16(b * 18, toHalf(step), true);
      for (let i = 0; i < BLOCK / 2; i++) {
        const low = code(values[b * BLOCK + i], inverse);
        const high = code(values[b * BLOCK + i + BLOCK / 2], inverse);
        out[b * 18 + 2 + i] = low | (high << 4);
      }
    }
    return out;
  },
  decode: (bytes) => {
    const blocks = bytes.length / 18;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const out = new Float32Array(blocks * BLOCK);
    for (let b = 0; b < blocks; b++) {
      const step = fromHalf(view.getUint16(b * 18, true));
      for (let i = 0; i < BLOCK / 2; i++) {
        const pair = bytes[b * 18 + 2 + i];
        out[b * BLOCK + i] = ((pair & 15) - 8) * step;
        out[b * BLOCK + i + BLOCK / 2] = ((pair >> 4) - 8) * step;
      }
    }
    return out;
  },
};

/** How the types that are written here become numbers and back. */
export const codecs: Readonly<Record<WrittenType, Codec>> = {
  F32: plain('f32'),
  F16: plain('f16'),
  BF16: plain('bf16'),
  Q8_0: q8,
  Q4_0: q4,
};
