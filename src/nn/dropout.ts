// Dropout (Srivastava et al. 2014): elements are zeroed at random, the others scaled up so that the
// mean stays (inverted: nothing to do in evaluation). The mask is a function of the seed, the step
// and the scope's path; it is recomputed by whoever asks for the same ones.
import { AnyformerError, bernoulli, roundedProbability, type Tensor } from '../tensor/index.js';
import type { Scope } from './scope.js';

/** What makes masks differ from step to step; absent in evaluation. */
export type DropoutState = {
  seed: number;
  /** 0-D, of an integer type: an input or a parameter that counts the steps. */
  step: Tensor;
};

/**
 * x with a share `rate` of its elements set to 0 and the others divided by 1 - rate; x itself without
 * a state or at rate 0. The share is rounded to a multiple of 2^-16, and the scale belongs to the
 * rounded one. Dropouts of one scope and step have one mask: give each its own, `s.at('drop')`.
 */
export function dropout(
  s: Scope,
  x: Tensor,
  rate: number,
  state: DropoutState | undefined,
): Tensor {
  if (!(rate >= 0 && rate < 1)) {
    throw new AnyformerError('nn/dropout', {
      what: `${rate} is not a dropout rate`,
      expected: 'a number from 0 up to, but not including, 1',
      found: String(rate),
    });
  }
  const kept = Math.max(2 ** -16, roundedProbability(1 - rate));
  if (!state || kept === 1) return x;
  const mask = bernoulli(x.shape, kept, { ...state, path: s.path });
  return mask.where(x.mul(1 / kept), 0);
}
