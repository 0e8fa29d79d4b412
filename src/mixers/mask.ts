// How attention-like mixers keep a query from a key. Scores that are masked become the lowest finite
// number, whose weight after a softmax is exactly 0. With -infinity a query that may see no key (a
// padded place) would get NaN, and NaN spreads: it becomes a key and a value of the next layer, where
// a weight of 0 does not undo it. Such a query gets the mean of all values: finite, and to be read by
// nobody.
import type { DType, Tensor } from '../tensor/index.js';

const LOWEST: Partial<Record<DType, number>> = {
  f64: -Number.MAX_VALUE,
  f32: -(2 - 2 ** -23) * 2 ** 127,
  f16: -65504,
  bf16: -(2 - 2 ** -7) * 2 ** 127,
};

/**
 * Scores of real tokens, pushed far below the others where `mask` (bool, broadcast) does not hold. A
 * sum with a bias that all layers share is several times faster than a choice, forwards and
 * backwards; the scores themselves must be of ordinary size.
 */
export const biasScores = (scores: Tensor, mask: Tensor | undefined): Tensor =>
  mask ? scores.add(mask.where(scores.operand(0), scores.dtype === 'f16' ? -3e4 : -1e30)) : scores;

/**
 * Scores where `mask` (bool, broadcast) holds, the lowest number elsewhere: for keys that may be
 * anything, such as the unused places of a cache. NaN is masked too.
 */
export const maskScores = (scores: Tensor, mask: Tensor | undefined): Tensor =>
  mask ? mask.where(scores, LOWEST[scores.dtype] ?? Number.NEGATIVE_INFINITY) : scores;

/**
 * A sliding window (Beltagy et al. 2020): each query keeps the last `window` of the keys that `mask`
 * (bool[..., queries, keys], keys in the order of their places) lets it see. Counted over the keys
 * that are seen, so that padding and the unused places of a cache take no room.
 */
export function lastKeys(mask: Tensor, window: number): Tensor {
  const after = mask.cast('i64').cumsum(-1, { exclusive: true, reverse: true });
  return mask.and(after.less(window));
}
