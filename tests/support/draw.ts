// Numbers from distributions, the same for the same seed.
import { fromNumbers, type NDArray } from '../../src/tensor/index.js';

/** Numbers in [0, 1): mulberry32. */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers (Box and Muller 1958). */
export function gaussian(seed: number): () => number {
  const draw = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/** Student's t with `freedom` degrees: a normal number over the root of a mean of squares. */
export function studentT(seed: number, freedom: number): () => number {
  const draw = gaussian(seed);
  return () => {
    let squares = 0;
    for (let i = 0; i < freedom; i++) squares += draw() ** 2;
    return draw() / Math.sqrt(squares / freedom);
  };
}

export function laplace(seed: number): () => number {
  const draw = uniform(seed);
  return () => {
    const u = draw() - 0.5;
    return -Math.sign(u) * Math.log(1 - 2 * Math.abs(u));
  };
}

export const many = (count: number, draw: () => number): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: count }, () => draw());

/** A float32 array of standard normal numbers times `scale`. */
export function normalArray(shape: readonly number[], seed: number, scale = 1): NDArray {
  const draw = gaussian(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  return fromNumbers(
    'f32',
    shape,
    many(count, () => draw() * scale),
  );
}
