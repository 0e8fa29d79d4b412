// Masked language modelling's batches (Devlin et al. 2019): of the tokens chosen, 80 % become the mask
// token, 10 % a random one, 10 % stay. Which ones is a function of (seed, batch number, place).
import { bitsAt, type NDArray, ndarray, uniformAt } from '../tensor/index.js';

export type MaskingOptions = {
  mask: number;
  /** Random tokens are below this. */
  vocabulary: number;
  /** Share of the tokens that are to be predicted. */
  share?: number;
  seed?: number;
};

/**
 * Adds to batches of `input_ids` and `attention_mask`: `labels` i64[batch, seq], the tokens as they
 * were, and `label_weights` f32[batch, seq], 1 where one is to be predicted. Each batch has at least
 * one such place.
 */
export function maskedBatches<
  B extends Readonly<Record<string, NDArray>> & { input_ids: NDArray; attention_mask: NDArray },
>(
  batches: { readonly count: number; at(i: number): B },
  { mask, vocabulary, share = 0.15, seed = 0 }: MaskingOptions,
): { readonly count: number; at(i: number): Readonly<Record<string, NDArray>> } {
  return {
    count: batches.count,
    at: (i) => {
      const batch = batches.at(i);
      const { shape } = batch.input_ids;
      const labels = batch.input_ids.data as BigInt64Array<ArrayBuffer>;
      const stands = batch.attention_mask.data as BigInt64Array<ArrayBuffer>;
      const ids = labels.slice();
      const weights = new Float32Array(ids.length);
      const stream = bitsAt(seed, i);
      let chosen = 0;
      let first = -1;
      const hide = (k: number) => {
        weights[k] = 1;
        chosen++;
        const what = uniformAt(stream, 3 * k + 1);
        if (what < 0.8) ids[k] = BigInt(mask);
        else if (what < 0.9) ids[k] = BigInt(bitsAt(stream, 3 * k + 2) % vocabulary);
      };
      for (let k = 0; k < ids.length; k++) {
        if (stands[k] === 0n) continue;
        if (first === -1) first = k;
        if (uniformAt(stream, 3 * k) < share) hide(k);
      }
      if (chosen === 0 && first !== -1) hide(first);
      return {
        ...batch,
        input_ids: ndarray('i64', shape, ids),
        labels: ndarray('i64', shape, labels),
        label_weights: ndarray('f32', shape, weights),
      };
    },
  };
}
