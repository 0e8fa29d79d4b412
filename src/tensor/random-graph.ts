// Randomness inside a graph, without state: element i of a draw is a pure function of (seed, step,
// path, i), so the same on every device and after a resume. Counter-based (Salmon et al. 2011: "as
// easy as 1, 2, 3"), with the 32-bit mix of random.ts, whose `wordAt` gives the same bits on the
// host. Not for secrets. A path names one draw: two draws of one path and step are equal.
import { ceilDiv, type DimLike, dim, shapeSize } from './dim.js';
import type { DType } from './dtype.js';
import { isInteger } from './dtype.js';
import { AnyformerError } from './error.js';
import { concat, iota } from './leaves.js';
import { pathKeys, stepKeys } from './random.js';
import { scalar, type Tensor } from './tensor.js';

export type Randomness = {
  /** A whole number; 53 bits of it count. */
  seed: number;
  /** 0-D, of an integer type, or a number. Absent, the draw is the same at every run. */
  step?: Tensor | number;
  /** Names the draw, as `layers.3.mlp.drop`. */
  path: string;
};

/** Independent 32-bit words: u32 of this shape. */
export function randomBits(shape: readonly DimLike[], randomness: Randomness): Tensor {
  const sizes = shape.map(dim);
  const [first, second] = keysOf(randomness);
  // wordAt, written as a graph.
  const start = iota(shapeSize(sizes)).cast('u32').mul(0x85ebca77).add(first);
  const once = start.bitXor(start.shiftRight(16)).mul(0x85ebca6b);
  const twice = once.bitXor(once.shiftRight(13)).bitXor(second).mul(0xc2b2ae35);
  return twice.bitXor(twice.shiftRight(16)).reshape(...sizes);
}

/** stepKeys, as 0-D u32 tensors. */
function keysOf({ seed, step = 0, path }: Randomness): [Tensor, Tensor] {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new AnyformerError('random/seed', {
      what: `${seed} is not a seed`,
      expected: 'a whole number from 0 to 2^53 - 1',
      found: String(seed),
    });
  }
  const keys = pathKeys(seed, path);
  if (typeof step === 'number') {
    const { first, second } = stepKeys(keys, step);
    return [scalar('u32', first), scalar('u32', second)];
  }
  if (step.rank !== 0 || !isInteger(step.dtype)) {
    throw new AnyformerError('random/step', {
      what: 'the step is one whole number',
      expected: 'a 0-D tensor of an integer type',
      found: String(step),
    });
  }
  const first = mix(step.cast('u32').mul(0x9e3779b1).add(keys.first));
  return [first, first.bitXor(keys.second)];
}

function mix(value: Tensor): Tensor {
  const once = value.bitXor(value.shiftRight(16)).mul(0x85ebca6b);
  const twice = once.bitXor(once.shiftRight(13)).mul(0xc2b2ae35);
  return twice.bitXor(twice.shiftRight(16));
}

/** Numbers in [0, 1): multiples of 2^-32 in f64, of 2^-24 in f32. Equal on every device. */
export function uniform(
  shape: readonly DimLike[],
  randomness: Randomness,
  dtype: 'f32' | 'f64' = 'f32',
): Tensor {
  return toUniform(randomBits(shape, randomness), dtype);
}

const toUniform = (bits: Tensor, dtype: DType): Tensor =>
  dtype === 'f64'
    ? bits.cast('f64').mul(2 ** -32)
    : bits
        .shiftRight(8)
        .cast('f32')
        .mul(2 ** -24);

/**
 * Normally distributed numbers of mean 0 and variance 1 (Box and Muller 1958, both numbers of each
 * pair). Equal on every device up to the rounding of log, sin and cos.
 */
export function normal(
  shape: readonly DimLike[],
  randomness: Randomness,
  dtype: 'f32' | 'f64' = 'f32',
): Tensor {
  const sizes = shape.map(dim);
  const count = shapeSize(sizes);
  const pairs = ceilDiv(count, 2);
  const bits = randomBits([2, pairs], randomness);
  const [u, v] = [0, 1].map((row) => toUniform(bits.slice(0, row, row + 1).squeeze(0), dtype));
  // 1 - u is in (0, 1]: its logarithm is finite.
  const radius = u.neg().add(1).log().mul(-2).sqrt();
  const angle = v.mul(2 * Math.PI);
  const both = concat([radius.mul(angle.cos()), radius.mul(angle.sin())], 0);
  return both.slice(0, 0, count).reshape(...sizes);
}

/** The probability that `bernoulli` really has: a multiple of 2^-16. */
export const roundedProbability = (probability: number): number =>
  Math.round(probability * 2 ** 16) / 2 ** 16;

/**
 * True with this probability (rounded to 2^-16, see `roundedProbability`): bool of this shape. One
 * 32-bit word decides two elements. Equal on every device.
 */
export function bernoulli(
  shape: readonly DimLike[],
  probability: number,
  randomness: Randomness,
): Tensor {
  if (!(probability >= 0 && probability <= 1)) {
    throw new AnyformerError('random/probability', {
      what: `${probability} is not a probability`,
      expected: 'a number from 0 to 1',
      found: String(probability),
    });
  }
  const sizes = shape.map(dim);
  const count = shapeSize(sizes);
  const limit = roundedProbability(probability) * 2 ** 32;
  const words = randomBits([ceilDiv(count, 2)], randomness);
  // The upper half of each word, then the lower one; below 2^32 always.
  const below = (bits: Tensor) =>
    limit === 2 ** 32 ? bits.lessEqual(2 ** 32 - 1) : bits.less(limit);
  return concat([below(words), below(words.shiftLeft(16))], 0)
    .slice(0, 0, count)
    .reshape(...sizes);
}
