// Losses as graph. Targets are positions of the right class; places without one carry no weight.
import { type Tensor, withGradient } from '../tensor/index.js';

export type CrossEntropyOptions = {
  /** Share of the target spread evenly over all classes (Szegedy et al. 2016). */
  smoothing?: number;
};

/**
 * -log softmax(logits)[target] for each place: logits [..., classes], targets i64[...] -> [...].
 * The gradient softmax(logits) - target is written directly: no one-hot matrix, no second softmax.
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  { smoothing = 0 }: CrossEntropyOptions = {},
): Tensor {
  const fixed = logits.stopGradient();
  const places = targets.unsqueeze(-1);
  const total = fixed.logSumExp(-1, true).squeeze(-1); // kept and squeezed: shared with the gradient's
  const right = fixed.gatherElements(places).squeeze(-1);
  const loss =
    smoothing === 0
      ? total.sub(right)
      : total.sub(right.mul(1 - smoothing)).sub(fixed.mean(-1).mul(smoothing));
  return withGradient(loss, [logits], (g, [x]) => {
    const share = x.sub(x.logSumExp(-1, true)).exp();
    const minus = places
      .cast(x.dtype)
      .mul(0)
      .sub(1 - smoothing);
    const difference = share.scatterElements(places, minus, -1, 'add');
    const classes = x.size(-1);
    const smoothed =
      smoothing === 0 || typeof classes !== 'number'
        ? difference
        : difference.sub(smoothing / classes);
    return [smoothed.mul(g.unsqueeze(-1))];
  });
}

/** Mean of losses over the places that `weights` counts; 0 where it counts none. */
export function weightedMean(losses: Tensor, weights: Tensor): Tensor {
  return losses.mul(weights).sum().div(weights.sum().maximum(1));
}
