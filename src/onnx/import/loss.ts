// Losses over class scores [batch, classes, ...] with targets [batch, ...].
import type { Tensor } from '../../tensor/index.js';
import type { Builder, NodeReader } from './node-reader.js';

/** -weight[target] * logProbability[target], reduced; targets of `ignore_index` count for nothing. */
function negativeLogLikelihood(n: NodeReader, logs: Tensor): Tensor {
  const target = n.tensor(1).cast('i64');
  const ignored = n.optionalInt('ignore_index');
  const reduction = n.text('reduction', 'mean');
  const skip = ignored === undefined ? undefined : target.equal(ignored);
  const safe = skip ? skip.where(0, target) : target;
  const taken = logs.gatherElements(safe.unsqueeze(1), 1).squeeze(1);
  const weights = n.optional(2);
  const one = weights ? weights.gather(safe, 0) : taken.operand(1).broadcastTo(...taken.shape);
  const weight = skip ? skip.where(0, one) : one;
  const loss = taken.neg().mul(weight);
  if (reduction === 'none') return loss;
  return reduction === 'sum' ? loss.sum() : loss.sum().div(weight.sum());
}

export const losses: Readonly<Record<string, Builder>> = {
  NegativeLogLikelihoodLoss: (n) => negativeLogLikelihood(n, n.tensor(0)),
  SoftmaxCrossEntropyLoss: (n) => {
    const logs = n.tensor(0).logSoftmax(1);
    return [negativeLogLikelihood(n, logs), logs];
  },
};
