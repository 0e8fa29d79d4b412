// From the tokens of a text to one vector: the first token, or the mean or the maximum over those that
// stand (Reimers and Gurevych 2019).
import type { Scope } from '../../nn/index.js';
import { concat, iota, type Tensor } from '../../tensor/index.js';
import { type PoolingMode, plainSentence, type SentenceEncoder } from '../pooling-config.js';

/** Places 0, 1, ... of the tokens that stand: i64[batch, seq], or [1, seq] where all do. */
export function textPlaces(ids: Tensor, mask: Tensor | undefined): Tensor {
  if (!mask) return iota(ids.size(1)).unsqueeze(0);
  return mask.cast('i64').cumsum(1).sub(1).maximum(0);
}

/** The first token that stands: [batch, seq, width] -> [batch, width]. */
export function firstToken(tokens: Tensor, mask: Tensor | undefined): Tensor {
  if (!mask) return tokens.slice(1, 0, 1).squeeze(1);
  const first = mask.cast('i64').cumsum(1).equal(1).and(mask); // [batch, seq]
  return first.cast('f32').unsqueeze(1).matmul(tokens).squeeze(1);
}

/** tokens[batch, seq, width], mask bool[batch, seq] -> [batch, width for each way of pooling]. */
export const sentenceVector = (
  s: Scope,
  tokens: Tensor,
  mask: Tensor | undefined,
  { pooling, normalize }: SentenceEncoder = plainSentence,
): Tensor =>
  s.module('sentenceVector', () => {
    const parts = pooling.map((mode) => pooled[mode](tokens, mask));
    const vector = concat(parts, -1);
    return normalize ? vector.div(vector.sumSquares(-1, true).sqrt().maximum(1e-12)) : vector;
  });

const sumOver = (x: Tensor, mask: Tensor | undefined): Tensor =>
  (mask ? x.mul(mask.cast('f32').unsqueeze(-1)) : x).sum(1);

/** How many tokens stand: [batch, 1], or a number for all. */
const countOf = (x: Tensor, mask: Tensor | undefined): Tensor =>
  mask ? mask.cast('f32').sum(1, true).maximum(1e-9) : iota(x.size(1)).cast('f32').max().add(1);

const pooled: Record<PoolingMode, (x: Tensor, mask: Tensor | undefined) => Tensor> = {
  cls: firstToken,
  max: (x, mask) => (mask ? mask.unsqueeze(-1).where(x, -1e9) : x).max(1),
  mean: (x, mask) => sumOver(x, mask).div(countOf(x, mask)),
  mean_sqrt_len: (x, mask) => sumOver(x, mask).div(countOf(x, mask).sqrt()),
};
