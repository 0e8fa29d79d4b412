// What is learned: from a model's output to one number, over inputs that a batch feeds.
import { isDecoder, type Model, wholeSequences, wrongKind } from '../models/model.js';
import type { Scope } from '../nn/index.js';
import { input, type Tensor } from '../tensor/index.js';
import { type CrossEntropyOptions, crossEntropy, weightedMean } from './losses.js';

export type Learned = {
  /** A scalar: a mean over what `weight` counts. */
  loss: Tensor;
  /** f32 scalar: the places or rows that loss and metrics are means over; each batch 1 unless told. */
  weight?: Tensor;
  /** Scalars, means as the loss is. */
  metrics?: Readonly<Record<string, Tensor>>;
};

/** Builds the loss and metrics of a model over a scope. */
export type Objective = (s: Scope, model: Model) => Learned;

/**
 * Next-token prediction: input_ids and attention_mask i64[batch, seq]; places whose next token is
 * padding do not count. Metric: accuracy.
 */
export const causalLm =
  (options: CrossEntropyOptions = {}): Objective =>
  (s, model) => {
    if (!isDecoder(model)) throw wrongKind(model, 'decoder');
    const inputs = wholeSequences();
    const logits = model.family.logits(s, model.config, inputs);
    // Targets move one place to the left; the last place of a row has none, and no weight.
    const next = (x: Tensor) => x.slice(1, 1).pad(1, 0, 1); // [batch, seq]
    const targets = next(inputs.ids);
    const stands = input('attention_mask', 'i64', ['batch', 'seq']);
    const weights = next(stands).cast('f32');
    const right = logits.argMax(-1).equal(targets).cast('f32');
    return {
      loss: weightedMean(crossEntropy(logits, targets, options), weights),
      weight: weights.sum(),
      metrics: { accuracy: weightedMean(right, weights) },
    };
  };
