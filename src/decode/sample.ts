// Choosing the next token from scores. Sampling narrows as Hugging Face's `generate` does: divide by
// the temperature, keep the k best (Fan et al. 2018), of these the smallest set of probability p
// (Holtzman et al. 2020), and draw from what is left.
import { AnyformerError } from '../tensor/index.js';

export type Sampling = {
  temperature: number;
  /** How many of the best to keep; all unless told. */
  topK?: number | undefined;
  /** The joint probability to keep; all of it unless told. */
  topP?: number | undefined;
};

export type Choice = {
  id: number;
  /** Natural logarithm of the model's own probability, before temperature and narrowing. */
  logprob: number;
};

/** The best token; of equal ones the first. Errors: `decode/not-finite`. */
export function best(scores: ArrayLike<number>): Choice {
  const { at, logSum } = peak(scores);
  return { id: at, logprob: scores[at] - logSum };
}

/** Draws a token; `u` is a number in [0, 1). Errors: `decode/not-finite`. */
export function draw(scores: ArrayLike<number>, sampling: Sampling, u: number): Choice {
  const { temperature, topK, topP } = sampling;
  const { at, logSum } = peak(scores);
  const weights = Float64Array.from(scores, (score) =>
    Math.exp((score - scores[at]) / temperature),
  );
  let ids =
    topK === undefined || topK >= scores.length
      ? Array.from({ length: scores.length }, (_, id) => id)
      : bestFew(scores, topK);
  if (topP !== undefined && topP < 1) ids = nucleus(weights, ids, topP);
  let left = u * massOf(weights, ids);
  let id = ids[0];
  for (const candidate of ids) {
    if (weights[candidate] > 0) id = candidate;
    left -= weights[candidate];
    if (left < 0) break;
  }
  return { id, logprob: scores[id] - logSum };
}

const massOf = (weights: Float64Array, ids: readonly number[]): number =>
  ids.reduce((sum, id) => sum + weights[id], 0);

/** Where the largest score stands, and log(sum(exp(scores))). */
function peak(scores: ArrayLike<number>): { at: number; logSum: number } {
  let at = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[at]) at = i;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += Math.exp(scores[i] - scores[at]);
  const logSum = scores[at] + Math.log(sum);
  if (Number.isFinite(logSum)) return { at, logSum };
  throw new AnyformerError('decode/not-finite', {
    what: 'the model scores the next token with numbers that are not finite',
    expected: 'finite scores',
    found: `${scores[at]} among ${scores.length} scores`,
    hint: 'the weights may overflow their type: measure the model before it is used',
  });
}

/** The k best, best first; of equal ones the first. One pass: few scores enter a short list. */
function bestFew(scores: ArrayLike<number>, k: number): number[] {
  const few: number[] = [];
  for (let id = 0; id < scores.length; id++) {
    if (few.length === k && scores[id] <= scores[few[k - 1]]) continue;
    let [low, high] = [0, few.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (scores[few[middle]] >= scores[id]) low = middle + 1;
      else high = middle;
    }
    few.splice(low, 0, id);
    if (few.length > k) few.pop();
  }
  return few;
}

/**
 * The likeliest ids that together reach the share p, at least one. Ids below the (1 - p)-th part of
 * the mean weight cannot be among them, all together being less than 1 - p: only the others are
 * sorted.
 */
function nucleus(weights: Float64Array, ids: readonly number[], p: number): number[] {
  const mass = massOf(weights, ids);
  const floor = ((1 - p) * mass) / ids.length;
  const likely = ids.filter((id) => weights[id] >= floor).sort((a, b) => weights[b] - weights[a]);
  let reached = 0;
  const end = likely.findIndex((id) => {
    reached += weights[id];
    return reached >= p * mass;
  });
  return end < 0 ? likely : likely.slice(0, end + 1);
}
