// Rows of equal length cut out of a corpus, without padding: batch number i is a pure function of
// (corpus, seed, i), so that a resumed run goes on with the very next batch. Attention may look over
// the ends of documents, which a token marks.
import { AnyformerError, bitsAt, type NDArray, ndarray, permutation } from '../tensor/index.js';
import type { Corpus } from './corpus.js';

/** input_ids and attention_mask, both i64[batch, seq]. */
export type TokenBatch = { input_ids: NDArray; attention_mask: NDArray };

export type TokenBatches = {
  /** Batches in which every token is predicted once. */
  readonly count: number;
  /** Batch `i`, from 0; in arrays of its own. */
  at(i: number): TokenBatch;
};

export type PackedOptions = { batch: number; seq: number; seed?: number };

/**
 * An endless series of batches. Row k holds tokens k (seq - 1) + 0..seq-1: the last token of a row is
 * the first of the next, so that each is predicted once a pass. Each pass has its own order, and its
 * cuts lie at other places (the corpus is read as a ring). Errors: `data/too-short` for a corpus of
 * fewer than `seq` tokens, `data/batch`.
 */
export function packedBatches(corpus: Corpus, options: PackedOptions): TokenBatches {
  const { batch, seq, seed = 0 } = checked(options);
  const { tokens } = corpus;
  const stride = seq - 1;
  const rows = Math.floor((tokens.length - 1) / stride);
  if (rows === 0) throw tooShort(tokens.length, seq);
  let pass = -1;
  let order: readonly number[] = [];
  let offset = 0;
  const rowAt = (index: number): number => {
    const wanted = Math.floor(index / rows);
    if (wanted !== pass) {
      pass = wanted;
      order = permutation(rows, bitsAt(seed, 2 * pass));
      offset = bitsAt(seed, 2 * pass + 1) % tokens.length;
    }
    return offset + order[index % rows] * stride;
  };
  return {
    count: Math.ceil(rows / batch),
    at: (i) => {
      const ids = new BigInt64Array(batch * seq);
      for (let r = 0; r < batch; r++) {
        const start = rowAt(i * batch + r);
        for (let k = 0; k < seq; k++) {
          ids[r * seq + k] = BigInt(tokens[(start + k) % tokens.length]);
        }
      }
      return whole(ids, [batch, seq]);
    },
  };
}

/**
 * The corpus in its order, once: every token but the first is predicted exactly once. The last row
 * may be padded, the last batch may have fewer rows. Errors as above.
 */
export function orderedBatches(corpus: Corpus, options: PackedOptions): TokenBatches {
  const { batch, seq } = checked(options);
  const { tokens } = corpus;
  if (tokens.length < 2) throw tooShort(tokens.length, 2);
  const rows = Math.ceil((tokens.length - 1) / (seq - 1));
  return {
    count: Math.ceil(rows / batch),
    at: (i) => {
      const from = i * batch;
      const held = Math.min(batch, rows - from);
      const ids = new BigInt64Array(held * seq);
      const mask = new BigInt64Array(held * seq);
      for (let r = 0; r < held; r++) {
        const start = (from + r) * (seq - 1);
        const length = Math.min(seq, tokens.length - start);
        for (let k = 0; k < length; k++) {
          ids[r * seq + k] = BigInt(tokens[start + k]);
          mask[r * seq + k] = 1n;
        }
      }
      const shape = [held, seq];
      return {
        input_ids: ndarray('i64', shape, ids),
        attention_mask: ndarray('i64', shape, mask),
      };
    },
  };
}

const whole = (ids: BigInt64Array<ArrayBuffer>, shape: readonly number[]): TokenBatch => ({
  input_ids: ndarray('i64', shape, ids),
  attention_mask: ndarray('i64', shape, new BigInt64Array(ids.length).fill(1n)),
});

function checked(options: PackedOptions): PackedOptions {
  const { batch, seq } = options;
  if (Number.isInteger(batch) && batch > 0 && Number.isInteger(seq) && seq > 1) return options;
  throw new AnyformerError('data/batch', {
    what: 'the size of batches',
    expected: 'at least one row of at least two tokens',
    found: `${batch} rows of ${seq}`,
  });
}

const tooShort = (found: number, seq: number): AnyformerError =>
  new AnyformerError('data/too-short', {
    what: 'the data are shorter than one sequence',
    expected: `at least ${seq} tokens`,
    found: `${found} tokens`,
    hint: 'give more text, or train on shorter sequences',
  });
