// NDArray: concrete numbers with a shape. Weights, feeds, results and the reference interpreter's
// values are all of this one kind.
import {
  type DType,
  dtypes,
  fromBfloat,
  fromHalf,
  isFloat,
  roundHalfEven,
  type TypedArray,
  toBfloat,
  toHalf,
  zeros,
} from './dtype.js';
import { AnyformerError } from './error.js';

/** Row-major data; `data.length` is the product of `shape`. f16/bf16 data are bit patterns. */
export type NDArray = {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
};

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export const byteLength = (array: NDArray): number => array.data.length * dtypes[array.dtype].bytes;

/** Wraps existing data; the length must fit the shape. No copy. */
export function ndarray(dtype: DType, shape: readonly number[], data: TypedArray): NDArray {
  const expected = sizeOf(shape);
  if (data.length !== expected) {
    throw new AnyformerError('tensor/size', {
      what: `an array of shape [${shape.join(', ')}] needs ${expected} elements`,
      expected: `${expected} elements`,
      found: `${data.length} elements`,
    });
  }
  if (data.constructor !== dtypes[dtype].array) {
    throw new AnyformerError('tensor/dtype', {
      what: `${data.constructor.name} does not hold ${dtype} elements`,
      expected: (dtypes[dtype].array as unknown as { name: string }).name,
      found: data.constructor.name,
    });
  }
  return { dtype, shape: [...shape], data };
}

/** An array from plain numbers, converted to `dtype` (see `writeNumbers` for the rounding). */
export function fromNumbers(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): NDArray {
  const array = ndarray(dtype, shape, zeros(dtype, sizeOf(shape)));
  if (values.length !== array.data.length) {
    throw new AnyformerError('tensor/size', {
      what: `shape [${shape.join(', ')}] does not fit the values`,
      expected: `${array.data.length} values`,
      found: `${values.length} values`,
    });
  }
  writeNumbers(array, values);
  return array;
}

export const zerosOf = (dtype: DType, shape: readonly number[]): NDArray =>
  ndarray(dtype, shape, zeros(dtype, sizeOf(shape)));

/**
 * Writes numbers in place. Floats round to nearest even; integers truncate towards zero and wrap
 * (infinities and NaN become 0); bool is `value !== 0`.
 */
export function writeNumbers(array: NDArray, values: ArrayLike<number>): void {
  const { data, dtype } = array;
  switch (dtype) {
    case 'f16':
      for (let i = 0; i < values.length; i++) data[i] = toHalf(values[i]);
      return;
    case 'bf16':
      for (let i = 0; i < values.length; i++) data[i] = toBfloat(values[i]);
      return;
    case 'bool':
      for (let i = 0; i < values.length; i++) data[i] = values[i] !== 0 ? 1 : 0;
      return;
    case 'i64':
    case 'u64':
      for (let i = 0; i < values.length; i++) {
        data[i] = Number.isFinite(values[i]) ? BigInt(Math.trunc(values[i])) : 0n;
      }
      return;
    default:
      for (let i = 0; i < values.length; i++) data[i] = values[i];
  }
}

/** The elements as float64 numbers (a copy, but for f64 itself). i64 beyond 2^53 lose precision. */
export function toNumbers(array: NDArray): Float64Array<ArrayBuffer> {
  const { data, dtype } = array;
  if (data instanceof Float64Array) return data;
  const out = new Float64Array(data.length);
  if (dtype === 'f16') for (let i = 0; i < out.length; i++) out[i] = fromHalf(Number(data[i]));
  else if (dtype === 'bf16')
    for (let i = 0; i < out.length; i++) out[i] = fromBfloat(Number(data[i]));
  else if (dtypes[dtype].wide) for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  else out.set(data as Float32Array);
  return out;
}

/** The elements of an integer (or bool) array as bigint: arithmetic on them is exact. */
export const toIntegers = ({ data }: NDArray): ArrayLike<bigint> =>
  data instanceof BigInt64Array || data instanceof BigUint64Array
    ? data
    : Array.from(data, (value) => BigInt(value));

/** An integer array from exact values, which wrap to the width of `dtype`. */
export function fromIntegers(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<bigint>,
): NDArray {
  const { bytes, kind, wide } = dtypes[dtype];
  const wrap = kind === 'int' ? BigInt.asIntN : BigInt.asUintN;
  const array = zerosOf(dtype, shape);
  for (let i = 0; i < values.length; i++) {
    const value = kind === 'bool' ? BigInt(values[i] !== 0n) : wrap(8 * bytes, values[i]);
    array.data[i] = wide ? value : Number(value);
  }
  return array;
}

/** Whether an element of this type can be this number: floats round, integers must be exact. */
export const holds = (dtype: DType, value: number): boolean =>
  isFloat(dtype) || toNumbers(fromNumbers(dtype, [], [value]))[0] === value;

/** The raw little-endian bytes: a view, no copy. */
export function bytesOf(array: NDArray): Uint8Array<ArrayBuffer> {
  const { data } = array;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Conversion between element types; the same array when the type already fits. */
export function castArray(array: NDArray, dtype: DType): NDArray {
  if (array.dtype === dtype) return array;
  if (!isFloat(array.dtype) && !isFloat(dtype)) {
    return fromIntegers(dtype, array.shape, toIntegers(array));
  }
  return fromNumbers(dtype, array.shape, toNumbers(array));
}

export { roundHalfEven };
