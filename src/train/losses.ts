// Losses as graph. Targets are positions of the right class; places without one carry no weight.
import { type Tensor, withGradient } from '../tensor/index.js';

export type CrossEntropyOptions = {
  /** Share of the target spread evenly over all classes (Szegedy et al. 2016). */
  smoothing?: number;
};

/**
 * -log softmax(logits)[target] for each place: logits [..., classes], targets i64[...] -> [...].
 * The gradient softmax(logits) - target is written directly: no one-hot matrix, no second softmax.
 * The largest logit m and its share p give log(sum(exp)) = m - log(p), and p is at least 1 / classes:
 * one softmax serves both directions, and no share underflows.
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  { smoothing = 0 }: CrossEntropyOptions = {},
): Tensor {
  const fixed = logits.stopGradient();
  const places = targets.unsqueeze(-1);
  const at = (x: Tensor, place: Tensor) => x.gatherElements(place).squeeze(-1);
  const top = fixed.argMax().unsqueeze(-1);
  const total = at(fixed, top).sub(at(fixed.softmax(), top).log());
  const right = at(fixed, places);
  const loss =
    smoothing === 0
      ? total.sub(right)
      : total.sub(right.mul(1 - smoothing)).sub(fixed.mean(-1).mul(smoothing));
  return withGradient(loss, [logits], (g, [x]) => {
    const weight = g.unsqueeze(-1);
    const share = x.softmax();
    const classes = x.size(-1);
    const spread =
      smoothing === 0 || typeof classes !== 'number' ? share : share.sub(smoothing / classes);
    // Weighted first: what the targets are taken from has then one reader, and is written over.
    return [spread.mul(weight).scatterElements(places, weight.mul(smoothing - 1), -1, 'add')];
  });
}

/** Mean of losses over the places that `weights` counts; 0 where it counts none. */
export function weightedMean(losses: Tensor, weights: Tensor): Tensor {
  return losses.mul(weights).sum().div(weights.sum().maximum(1));
}
