// What text encoders learn: classes of texts, which texts belong together, words that were hidden.
import type { EncoderOutputs } from '../models/family.js';
import { isEncoder, type Model, wrongKind } from '../models/model.js';
import { linear, type Scope } from '../nn/index.js';
import { AnyformerError, graph, input, iota, type Tensor, tap } from '../tensor/index.js';
import { type CrossEntropyOptions, crossEntropy, weightedMean } from './losses.js';
import type { Objective } from './objectives.js';

/** ids and mask i64[batch, seq] under the names given. */
function encoded(s: Scope, model: Model, ids: string, mask: string, seq: string): EncoderOutputs {
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  return model.family.encode(s, model.config, {
    ids: input(ids, 'i64', ['batch', seq]),
    mask: input(mask, 'i64', ['batch', seq]).greater(0),
  });
}

const sentences = (...given: Parameters<typeof encoded>): Tensor => encoded(...given).sentence;

/** As many as the batch has rows. */
const rowsOf = (x: Tensor): Tensor => x.mean(-1).mul(0).add(1).sum();

/**
 * Classes of texts by the model's own head, or where it has none by a linear one over the sentence's
 * vector, `classifier.weight` and `.bias`: input_ids, attention_mask i64[batch, seq], labels i64[batch]
 * from 0. Metric: accuracy. Errors: `train/classes` for a head of another number of classes.
 */
export const classification =
  ({ classes, ...options }: CrossEntropyOptions & { classes: number }): Objective =>
  (s, model) => {
    const { sentence, scores } = encoded(s, model, 'input_ids', 'attention_mask', 'seq');
    if (scores && scores.size(-1) !== classes) {
      throw new AnyformerError('train/classes', {
        what: `'${model.name}' has a head of another number of classes`,
        expected: `${classes} classes`,
        found: String(scores.size(-1)),
        hint: 'take id2label and the architecture ...ForSequenceClassification out of config.json for a fresh head',
      });
    }
    const logits = scores ?? linear(s.at('classifier'), sentence, classes, { bias: true });
    const labels = input('labels', 'i64', ['batch']);
    return {
      loss: crossEntropy(logits, labels, options).mean(),
      weight: rowsOf(sentence),
      metrics: { accuracy: logits.argMax(-1).equal(labels).cast('f32').mean() },
    };
  };

/**
 * Pairs that belong together against all other pairings of the batch (InfoNCE, van den Oord et al.
 * 2018; both ways, as Radford et al. 2021): `other_ids` and `other_mask` hold the second texts.
 * Metric: accuracy, how often the right partner is the nearest.
 */
export const contrastive =
  ({ temperature = 0.05 }: { temperature?: number } = {}): Objective =>
  (s, model) => {
    const one = unit(sentences(s, model, 'input_ids', 'attention_mask', 'seq'));
    const other = unit(sentences(s, model, 'other_ids', 'other_mask', 'other_seq'));
    const scores = one.matmul(other.swap(0, 1)).mul(1 / temperature); // [batch, batch]
    const right = iota(one.size(0));
    const ways = [scores, scores.swap(0, 1)].map((x) => crossEntropy(x, right).mean());
    return {
      loss: ways[0].add(ways[1]).mul(0.5),
      weight: rowsOf(one),
      metrics: { accuracy: scores.argMax(-1).equal(right).cast('f32').mean() },
    };
  };

const unit = (x: Tensor): Tensor => x.div(x.mul(x).sum(-1, true).maximum(1e-12).sqrt());

/**
 * Hidden tokens from what stands around them (Devlin et al. 2019), by a head `mlm_head` over the last
 * layer: batches of `maskedBatches`. `path` is the module whose activations it reads, the last layer
 * unless told. Metric: accuracy over the hidden tokens.
 */
export const maskedLm =
  ({ path, ...options }: CrossEntropyOptions & { path?: string } = {}): Objective =>
  (s, model) => {
    const sentence = sentences(s, model, 'input_ids', 'attention_mask', 'seq');
    const inside = graph({ sentence });
    const last = [...inside.tags.keys()].filter((tag) => /(^|\.)layers?\.\d+$/.test(tag)).at(-1);
    const from = path ?? last;
    if (from === undefined) {
      throw new AnyformerError('train/layer', {
        what: `'${model.name}' has no module that is called a layer`,
        expected: 'the path of one whose activations are [batch, seq, width]',
        found: [...inside.tags.keys()].slice(0, 5).join(', '),
        hint: 'give `path`',
      });
    }
    const vocabulary = model.family.vocabulary(model.config);
    const logits = linear(s.at('mlm_head'), tap(inside, from), vocabulary, { bias: true });
    const labels = input('labels', 'i64', ['batch', 'seq']);
    const weights = input('label_weights', 'f32', ['batch', 'seq']);
    const right = logits.argMax(-1).equal(labels).cast('f32');
    return {
      loss: weightedMean(crossEntropy(logits, labels, options), weights),
      weight: weights.sum(),
      metrics: { accuracy: weightedMean(right, weights) },
    };
  };
