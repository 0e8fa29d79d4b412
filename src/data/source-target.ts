// Sources and targets as batches of the sequence-to-sequence objective.
import { castArray, type NDArray } from '../tensor/index.js';
import { type PaddedBatch, type PaddedOptions, paddedBatches } from './padded.js';

export type SourcesAndTargets = {
  /** Token ids of each source. */
  readonly sources: readonly (readonly number[])[];
  /** Token ids of each target, its end token included. */
  readonly targets: readonly (readonly number[])[];
};

/**
 * Feeds `input_ids` and `attention_mask` i64[batch, longest source], `labels` i64 and `label_weights`
 * f32[batch, longest target], padded on the right without weight. Errors: those of `paddedBatches`.
 */
export function sourceTargetBatches(
  { sources, targets }: SourcesAndTargets,
  options: PaddedOptions,
): { readonly count: number; at(i: number): PaddedBatch } {
  const pairs = paddedBatches({ ids: sources, others: targets }, options);
  return {
    count: pairs.count,
    at: (i) => {
      const { other_ids: labels, other_mask: mask, ...feeds } = pairs.at(i);
      return { ...feeds, labels, label_weights: weightsOf(mask) };
    },
  };
}

const weightsOf = (mask: NDArray): NDArray => castArray(mask, 'f32');
