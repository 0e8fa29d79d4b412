// Where batches come from: a function of their number, which a resumed run asks for the next one; or
// anything that can be iterated, of which a resumed run skips what was used.
import { AnyformerError } from '../tensor/index.js';
import type { Batch } from './training.js';

/** Batch `i`, from 0, in arrays of its own: their memory moves to the device. */
export type NumberedBatches = { at(i: number): Batch | Promise<Batch> };

/** Numbered batches with an end, for evaluation. */
export type CountedBatches = NumberedBatches & { readonly count: number };

export type Batches = NumberedBatches | Iterable<Batch> | AsyncIterable<Batch>;

export type BatchReader = {
  /** Whether any batch can be had again. */
  readonly numbered: boolean;
  /** Undefined where the series has ended. An iterated series is asked in order. */
  read(i: number): Promise<Batch | undefined>;
  close(): Promise<void>;
};

export function readerOf(batches: Batches): BatchReader {
  if ('at' in batches && typeof batches.at === 'function' && !Array.isArray(batches)) {
    const { at } = batches as NumberedBatches;
    return { numbered: true, read: async (i) => await at(i), close: async () => {} };
  }
  const iterated = batches as Iterable<Batch> | AsyncIterable<Batch>;
  const iterator =
    Symbol.asyncIterator in iterated
      ? iterated[Symbol.asyncIterator]()
      : iterated[Symbol.iterator]();
  let next = 0;
  return {
    numbered: false,
    read: async (i) => {
      if (i < next) {
        throw new AnyformerError('train/batches', {
          what: `batch ${i} of a series that is at ${next}`,
          expected: 'numbered batches, which can be had again',
          found: 'an iterable',
        });
      }
      for (; ; next++) {
        const { done, value } = await iterator.next();
        if (done) return undefined;
        if (next === i) {
          next++;
          return value as Batch;
        }
      }
    },
    close: async () => {
      await iterator.return?.();
    },
  };
}
