// Batches of texts of their own lengths: right-padded to the longest of the batch. Batch number i is a
// pure function of (rows, seed, i), as for packed rows.
import { feedsOf } from '../models/encoder.js';
import { AnyformerError, bitsAt, fromNumbers, type NDArray, permutation } from '../tensor/index.js';

export type PaddedRows = {
  /** Token ids of each row. */
  readonly ids: readonly (readonly number[])[];
  /** Class of each row, from 0. */
  readonly labels?: readonly number[];
  /** The other half of each row's pair, for contrastive learning. */
  readonly others?: readonly (readonly number[])[];
};

export type PaddedBatch = Readonly<Record<string, NDArray>>;

export type PaddedOptions = {
  batch: number;
  seed?: number;
  /** Rows in their order, once; the last batch may have fewer. */
  ordered?: boolean;
};

/**
 * Feeds `input_ids` and `attention_mask` i64[batch, longest], `labels` i64[batch] where rows have
 * them, `other_ids` and `other_mask` where they are pairs. A pass drops the rows that fill no batch.
 * Errors: `data/no-rows`, `data/empty`, `data/labels` for lists of different length.
 */
export function paddedBatches(
  rows: PaddedRows,
  { batch, seed = 0, ordered = false }: PaddedOptions,
): { readonly count: number; at(i: number): PaddedBatch } {
  const { ids, labels, others } = rows;
  check(rows, batch);
  const size = Math.min(batch, ids.length);
  const count = ordered ? Math.ceil(ids.length / size) : Math.floor(ids.length / size);
  let pass = -1;
  let order: readonly number[] = ids.map((_, i) => i);
  const rowsAt = (i: number): readonly number[] => {
    const wanted = Math.floor(i / count);
    if (!ordered && wanted !== pass) {
      pass = wanted;
      order = permutation(ids.length, bitsAt(seed, pass));
    }
    const from = (i % count) * size;
    return order.slice(from, from + size);
  };
  return {
    count,
    at: (i) => {
      const chosen = rowsAt(i);
      const feeds: Record<string, NDArray> = { ...feedsOf(chosen, ids) };
      if (labels) {
        feeds.labels = fromNumbers(
          'i64',
          [chosen.length],
          chosen.map((at) => labels[at]),
        );
      }
      if (others) {
        const { input_ids, attention_mask } = feedsOf(chosen, others);
        feeds.other_ids = input_ids;
        feeds.other_mask = attention_mask;
      }
      return feeds;
    },
  };
}

function check({ ids, labels, others }: PaddedRows, batch: number): void {
  if (ids.length === 0 || !(batch >= 1)) {
    throw new AnyformerError('data/no-rows', {
      what: 'no batch can be made',
      expected: 'at least one row, and a batch of at least one',
      found: `${ids.length} rows, a batch of ${batch}`,
    });
  }
  for (const list of [labels, others]) {
    if (!list || list.length === ids.length) continue;
    throw new AnyformerError('data/labels', {
      what: 'the rows and what belongs to them differ in number',
      expected: `${ids.length}`,
      found: `${list.length}`,
    });
  }
  const empty = [...ids, ...(others ?? [])].findIndex((row) => row.length === 0);
  if (empty === -1) return;
  throw new AnyformerError('data/empty', {
    what: `row ${empty % ids.length} has no tokens`,
    expected: 'at least one token a row',
    found: 'none',
  });
}
