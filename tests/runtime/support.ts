// Runs a graph on a device and through the reference interpreter, and compares.
import { expect } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import {
  type DType,
  dtypes,
  fromNumbers,
  graph,
  input,
  interpret,
  type NDArray,
  ndarray,
  type Tensor,
  toNumbers,
} from '../../src/tensor/index.js';

/** Numbers in [low, high), the same for the same seed (mulberry32). */
export function numbers(count: number, seed: number, low = -2, high = 2): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return low + (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (high - low);
  });
}

export type Range = { low?: number; high?: number; seed?: number };

/** Random values; integers of a type without signs start at 0. */
export function random(dtype: DType, shape: readonly number[], range: Range = {}): NDArray {
  const { kind } = dtypes[dtype];
  const whole = kind !== 'float';
  const unsigned = kind === 'uint' || kind === 'bool';
  const low = range.low ?? (unsigned ? 0 : whole ? -9 : -2);
  const high = range.high ?? (kind === 'bool' ? 2 : whole ? 10 : 2);
  const count = shape.reduce((a, b) => a * b, 1);
  const values = numbers(count, range.seed ?? 1, low, high);
  return fromNumbers(dtype, shape, whole ? values.map(Math.floor) : values);
}

/** The same values in memory of their own: runs take the memory of their feeds. */
export const copy = ({ dtype, shape, data }: NDArray): NDArray =>
  ndarray(dtype, shape, data.slice());

export const copies = (arrays: Readonly<Record<string, NDArray>>): Record<string, NDArray> =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, copy(array)]));

/** Relative to 1 + |reference|: rounding of the type times what short sums and kernels lose. */
export const tolerances: Readonly<Record<DType, number>> = {
  f64: 1e-12,
  f32: 2e-6,
  f16: 2e-3,
  bf16: 2e-2,
  i8: 0,
  u8: 0,
  i32: 0,
  u32: 0,
  i64: 0,
  u64: 0,
  bool: 0,
};

export function expectClose(found: NDArray, reference: NDArray, tolerance?: number): void {
  expect(found.dtype).toBe(reference.dtype);
  expect(found.shape).toEqual(reference.shape);
  if (dtypes[reference.dtype].wide) {
    expect(found.data).toEqual(reference.data);
    return;
  }
  const allowed = tolerance ?? tolerances[reference.dtype];
  const [x, y] = [toNumbers(found), toNumbers(reference)];
  for (let i = 0; i < y.length; i++) {
    const same = Object.is(x[i], y[i]) || x[i] === y[i];
    if (same || Math.abs(x[i] - y[i]) <= allowed * (1 + Math.abs(y[i]))) continue;
    expect.fail(`element ${i}: found ${x[i]}, reference ${y[i]}, tolerance ${allowed}`);
  }
}

/** Inputs of the arrays' own types. */
export const inputsOf = (arrays: Readonly<Record<string, NDArray>>): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, { dtype, shape }]) => [name, input(name, dtype, shape)]),
  );

/** Compiles, runs and compares every output with the interpreter's. */
export async function expectParity(
  device: Device,
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, NDArray>>,
  tolerance?: number,
): Promise<void> {
  const g = graph(outputs);
  const reference = interpret(g, feeds).outputs;
  await using program = await device.compile(g);
  const found = await program.run(copies(feeds));
  expect(Object.keys(found).sort()).toEqual(Object.keys(outputs).sort());
  for (const [name, array] of reference) expectClose(found[name], array, tolerance);
}
