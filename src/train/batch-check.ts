// What a batch must be before it goes to the device, where an index out of range would end the run
// with its parameters half written.
import { AnyformerError, type NDArray } from '../tensor/index.js';
import type { Batch } from './training.js';

export type BatchLimits = {
  /** Token ids are below this. */
  vocabulary: number;
  /** Labels of rows are below this, where rows have labels. */
  classes?: number | undefined;
};

/** Tokens of the batch, padding not counted. Errors: `train/token`, `train/label`. */
export function checkBatch(batch: Batch, { vocabulary, classes }: BatchLimits): number {
  for (const name of ['input_ids', 'other_ids']) {
    const ids = batch[name];
    if (ids) {
      checkRange(ids, vocabulary, 'train/token', {
        what: `${name} of a batch holds a token that the model does not have`,
        hint: 'check that the tokenizer belongs to the model: its vocabulary may be larger than the embedding',
      });
    }
  }
  const { labels } = batch;
  const limit = labels?.shape.length === 1 ? classes : vocabulary;
  if (labels && limit !== undefined) {
    checkRange(labels, limit, 'train/label', {
      what: 'a label of a batch is none of the classes',
      hint: 'number the classes from 0',
    });
  }
  return ['attention_mask', 'other_mask'].reduce((sum, name) => sum + ones(batch[name]), 0);
}

function checkRange(
  { data }: NDArray,
  limit: number,
  code: string,
  parts: { what: string; hint: string },
): void {
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (value >= 0 && value < limit) continue;
    throw new AnyformerError(code, {
      ...parts,
      expected: `whole numbers from 0 to ${limit - 1}`,
      found: String(value),
    });
  }
}

function ones(mask: NDArray | undefined): number {
  let count = 0;
  for (const value of mask?.data ?? []) if (value > 0) count++;
  return count;
}
