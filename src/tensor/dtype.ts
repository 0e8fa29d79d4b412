// The element types. f16 and bf16 are held as raw bit patterns (Node 20 has no Float16Array).
import { AnyformerError } from './error.js';

export type DType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'i8'
  | 'u8'
  | 'i32'
  | 'u32'
  | 'i64'
  | 'u64'
  | 'bool';

export type TypedArray =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

type Constructor = {
  new (length: number): TypedArray;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TypedArray;
};

export type DTypeFacts = {
  bytes: number;
  kind: 'float' | 'int' | 'uint' | 'bool';
  /** Elements are bigint on the JavaScript side. */
  wide: boolean;
  array: Constructor;
};

const facts = (kind: DTypeFacts['kind'], array: unknown, wide = false): DTypeFacts => {
  const holder = array as Constructor & { BYTES_PER_ELEMENT: number };
  return { bytes: holder.BYTES_PER_ELEMENT, kind, wide, array: holder };
};

export const dtypes: Readonly<Record<DType, DTypeFacts>> = {
  f64: facts('float', Float64Array),
  f32: facts('float', Float32Array),
  f16: facts('float', Uint16Array),
  bf16: facts('float', Uint16Array),
  i8: facts('int', Int8Array),
  u8: facts('uint', Uint8Array),
  i32: facts('int', Int32Array),
  u32: facts('uint', Uint32Array),
  i64: facts('int', BigInt64Array, true),
  u64: facts('uint', BigUint64Array, true),
  bool: facts('bool', Uint8Array),
};

export const isFloat = (dtype: DType): boolean => dtypes[dtype].kind === 'float';

/** A whole-number type; bool is none. */
export const isInteger = (dtype: DType): boolean => !isFloat(dtype) && dtype !== 'bool';

/** `count` zeros of `dtype`. */
export function zeros(dtype: DType, count: number): TypedArray {
  return new dtypes[dtype].array(count);
}

/** The elements of `dtype` in `bytes`: a view where alignment allows, else a copy. */
export function viewAs(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TypedArray {
  const { bytes: size, array } = dtypes[dtype];
  if (bytes.byteLength % size !== 0) {
    throw new AnyformerError('tensor/bytes', {
      what: `${bytes.byteLength} bytes do not hold whole ${dtype} elements`,
      expected: `a multiple of ${size} bytes`,
      found: `${bytes.byteLength}`,
    });
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new array(aligned.buffer, aligned.byteOffset, bytes.byteLength / size);
}

const scratch = new DataView(new ArrayBuffer(4));

/**
 * The f32 bits of a number, rounded to odd: where it does not fit, the neighbour nearer to zero with
 * its last bit set. Rounding those bits once more then equals rounding the number once (Boldo and
 * Melquiond 2008); rounding to the nearest f32 first would turn near ties into ties.
 */
function oddFloatBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const float = scratch.getFloat32(0);
  if (float === value || Number.isNaN(value)) return bits;
  return (Math.abs(float) > Math.abs(value) ? bits - 1 : bits) | 1;
}

/** Nearest f16 bit pattern, ties to even; overflow becomes infinity. */
export function toHalf(value: number): number {
  const bits = oddFloatBits(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: the value in units of 2^-24, rounded half to even.
    const units = Math.abs(value) * 2 ** 24;
    return sign | roundHalfEven(units);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Nearest bf16 bit pattern, ties to even. */
export function toBfloat(value: number): number {
  const bits = oddFloatBits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Round to the nearest integer, ties to the even one (as ONNX `Round` does). */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
