// Sequence to sequence: every token of a target from the source and the target's tokens before it.
import { isEncoderDecoder, wrongKind } from '../models/model.js';
import { sourceMemory, targetLogits } from '../models/source.js';
import { concat, constant, fromNumbers, input, type Tensor } from '../tensor/index.js';
import { type CrossEntropyOptions, crossEntropy, weightedMean } from './losses.js';
import type { Objective } from './objectives.js';

/**
 * The inputs of `sourceMemory` and the targets: labels i64[batch, target], the end token included, and
 * label_weights f32[batch, target], 0 where a label is padding. The decoder reads the labels shifted by
 * one place to the right, the family's first tokens before them. Metric: accuracy.
 */
export const seq2seq =
  (options: CrossEntropyOptions = {}): Objective =>
  (s, model) => {
    if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
    const { family, config } = model;
    const labels = input('labels', 'i64', ['batch', 'target']);
    const weights = input('label_weights', 'f32', ['batch', 'target']);
    const start = family.start(config);
    const memory = sourceMemory(s, family, config);
    const read = shifted(labels, start);
    // What stands before the last first token is not learned.
    const keep = (hidden: Tensor) => hidden.slice(1, start.length - 1);
    const logits = targetLogits(s, family, config, memory, read, keep);
    const right = logits.argMax(-1).equal(labels).cast('f32');
    return {
      loss: weightedMean(crossEntropy(logits, labels, options), weights),
      weight: weights.sum(),
      metrics: { accuracy: weightedMean(right, weights) },
    };
  };

/** First tokens, then all labels but the last: i64[batch, first + target - 1]. */
function shifted(labels: Tensor, start: readonly number[]): Tensor {
  const first = constant(fromNumbers('i64', [1, start.length], start));
  const rows = first.broadcastTo(labels.size(0), start.length);
  return concat([rows, labels.slice(1, 0, -1)], 1);
}
