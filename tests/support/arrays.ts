// Small arrays for tests: seeded numbers, element access by coordinates, comparison.
import { expect } from 'vitest';
import {
  type DType,
  fromNumbers,
  isFloat,
  type NDArray,
  toNumbers,
} from '../../src/tensor/index.js';

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Uniform numbers in [low, high) on a grid of 1/1024, the same for the same seed. */
export function seeded(seed: number, count: number, low = -2, high = 2): number[] {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + Math.floor((state / 2 ** 32) * (high - low) * 1024) / 1024;
  });
}

/** An array of seeded numbers; whole ones for integer types. */
export function randomArray(
  dtype: DType,
  shape: readonly number[],
  seed: number,
  low = -2,
  high = 2,
): NDArray {
  const values = seeded(seed, product(shape), low, high);
  return fromNumbers(dtype, shape, isFloat(dtype) ? values : values.map(Math.floor));
}

export const f32 = (shape: readonly number[], values: readonly number[]): NDArray =>
  fromNumbers('f32', shape, values);
export const f64 = (shape: readonly number[], values: readonly number[]): NDArray =>
  fromNumbers('f64', shape, values);
export const i64 = (shape: readonly number[], values: readonly number[]): NDArray =>
  fromNumbers('i64', shape, values);
export const bools = (shape: readonly number[], values: readonly number[]): NDArray =>
  fromNumbers('bool', shape, values);

/** The raw elements, as a list. */
export const elements = ({ data }: NDArray): (number | bigint)[] => [...data];

/** Reads elements by coordinates: Horner's rule, independent of the library's strides. */
export function reader(array: NDArray): (...at: readonly number[]) => number {
  const values = toNumbers(array);
  return (...at) => values[at.reduce((flat, c, axis) => flat * array.shape[axis] + c, 0)];
}

/** The values of a function of coordinates, in row-major order. */
export function table(
  shape: readonly number[],
  value: (...at: readonly number[]) => number,
): number[] {
  const out: number[] = [];
  const visit = (at: readonly number[]) => {
    if (at.length === shape.length) out.push(value(...at));
    else for (let i = 0; i < shape[at.length]; i++) visit([...at, i]);
  };
  visit([]);
  return out;
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
export const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** |a - b| <= tolerance * max(1, |b|) for every element; NaN equals NaN, infinities themselves. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = '',
): void {
  expect(actual.length, `${what}: count`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i], expected[i]];
    const close =
      Object.is(a, b) || a === b || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));
    if (!close)
      expect.fail(`${what}: element ${i} is ${a}, expected ${b} (tolerance ${tolerance})`);
  }
}
