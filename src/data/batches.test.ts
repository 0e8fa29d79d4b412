// Batches as pure functions of (seed, number): what a pass covers, and that nothing depends on what was
// asked for before.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NDArray } from '../tensor/index.js';
import { byteTokenizer } from './byte-level.js';
import { type Corpus, readCorpus } from './corpus.js';
import { type DocumentRule, readDocuments } from './documents.js';
import { maskedBatches } from './masking.js';
import { orderedBatches, packedBatches } from './packed.js';
import { paddedBatches } from './padded.js';

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'batches-'));
});
afterAll(() => rm(place, { recursive: true }));

/** Token t at place t: what is in a batch tells where it came from. */
const counting = (length: number): Corpus => ({
  tokens: Uint32Array.from({ length }, (_, i) => i),
  documents: 1,
  bytes: length,
  sha256: '',
});

const numbers = ({ data }: NDArray) => Array.from(data, Number);
const sizes = fc.record({
  length: fc.integer({ min: 2, max: 90 }),
  batch: fc.integer({ min: 1, max: 5 }),
  seq: fc.integer({ min: 2, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

describe('packed', () => {
  it('a pass predicts every place but the remainder exactly once', () => {
    fc.assert(
      fc.property(sizes, ({ length, seq, seed }) => {
        fc.pre(length >= seq);
        const { count, at } = packedBatches(counting(length), { batch: 1, seq, seed });
        for (const pass of [0, 1, 3]) {
          const predicted: number[] = [];
          for (let i = 0; i < count; i++) {
            const { input_ids, attention_mask } = at(pass * count + i);
            const row = numbers(input_ids);
            expect(new Set(numbers(attention_mask))).toEqual(new Set([1]));
            for (let k = 1; k < seq; k++) {
              expect(row[k]).toBe((row[k - 1] + 1) % length);
              predicted.push(row[k]);
            }
          }
          expect(new Set(predicted).size).toBe(predicted.length);
          expect(length - predicted.length).toBeLessThan(seq);
        }
      }),
    );
  });

  it('depends on seed and number alone', () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(60), { maxLength: 9 }), (o, order) => {
        fc.pre(o.length >= o.seq);
        const batches = packedBatches(counting(o.length), o);
        for (const i of order) {
          expect(batches.at(i)).toEqual(packedBatches(counting(o.length), o).at(i));
        }
      }),
    );
    const rows = (seed: number) =>
      numbers(packedBatches(counting(900), { batch: 4, seq: 9, seed }).at(0).input_ids);
    expect(rows(1)).not.toEqual(rows(2));
  });

  it('in order, every token but the first is predicted once', () => {
    fc.assert(
      fc.property(sizes, ({ length, batch, seq }) => {
        const { count, at } = orderedBatches(counting(length), { batch, seq });
        const predicted: number[] = [];
        for (let i = 0; i < count; i++) {
          const { input_ids, attention_mask } = at(i);
          const [ids, mask] = [numbers(input_ids), numbers(attention_mask)];
          ids.forEach((id, k) => {
            if (k % seq !== 0 && mask[k] === 1) predicted.push(id);
          });
        }
        expect(predicted).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
      }),
    );
  });

  it('refuses a corpus shorter than one sequence, and sizes that are none', () => {
    const at = (length: number, batch: number, seq: number) => () =>
      packedBatches(counting(length), { batch, seq });
    expect(at(7, 1, 8)).toThrow(expect.objectContaining({ code: 'data/too-short' }));
    expect(at(8, 1, 8)).not.toThrow();
    expect(at(8, 0, 4)).toThrow(expect.objectContaining({ code: 'data/batch' }));
    expect(at(8, 1, 1)).toThrow(expect.objectContaining({ code: 'data/batch' }));
  });
});

describe('padded', () => {
  const ids = [[1], [2, 2], [3, 3, 3], [4], [5, 5]];
  const labels = [0, 1, 0, 1, 1];

  it('keeps rows with their labels and pairs, right-padded', () => {
    const { count, at } = paddedBatches({ ids, labels, others: ids }, { batch: 2, seed: 3 });
    expect(count).toBe(2);
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      const feeds = at(i);
      const [, longest] = feeds.input_ids.shape;
      const tokens = numbers(feeds.input_ids);
      expect(numbers(feeds.other_ids)).toEqual(tokens);
      numbers(feeds.labels).forEach((label, r) => {
        const row = tokens.slice(r * longest, (r + 1) * longest);
        seen.add(row[0]);
        expect(label).toBe(labels[row[0] - 1]);
        expect(row.filter((id) => id !== 0)).toEqual(ids[row[0] - 1]);
        expect(row[0]).not.toBe(0);
      });
    }
    expect(seen.size).toBe(4);
  });

  it('in order, all rows once', () => {
    const { count, at } = paddedBatches({ ids, labels }, { batch: 2, ordered: true });
    const all = Array.from({ length: count }, (_, i) => numbers(at(i).labels)).flat();
    expect(all).toEqual(labels);
  });

  it('refuses empty rows and lists that differ', () => {
    const made = (rows: Parameters<typeof paddedBatches>[0]) => () =>
      paddedBatches(rows, { batch: 2 });
    expect(made({ ids: [[1], []] })).toThrow(expect.objectContaining({ code: 'data/empty' }));
    expect(made({ ids, labels: [1] })).toThrow(expect.objectContaining({ code: 'data/labels' }));
    expect(made({ ids: [] })).toThrow(expect.objectContaining({ code: 'data/no-rows' }));
  });
});

describe('masking', () => {
  it('hides about its share, never padding, and is repeatable', () => {
    const rows = { ids: Array.from({ length: 40 }, (_, i) => Array(1 + (i % 30)).fill(7)) };
    const make = () =>
      maskedBatches(paddedBatches(rows, { batch: 20 }) as never, {
        mask: 99,
        vocabulary: 50,
        seed: 5,
      });
    const [feeds, again] = [make().at(1), make().at(1)];
    expect(again).toEqual(feeds);
    const [ids, was, weights, stands] = [
      feeds.input_ids,
      feeds.labels,
      feeds.label_weights,
      feeds.attention_mask,
    ].map(numbers);
    let hidden = 0;
    ids.forEach((id, k) => {
      if (weights[k] === 0) expect(id).toBe(was[k]);
      if (stands[k] === 0) expect(weights[k]).toBe(0);
      hidden += weights[k];
    });
    const tokens = stands.reduce((a, b) => a + b, 0);
    expect(hidden / tokens).toBeGreaterThan(0.08);
    expect(hidden / tokens).toBeLessThan(0.25);
    expect(ids.filter((id) => id === 99).length / hidden).toBeGreaterThan(0.6);
  });
});

describe('a corpus', () => {
  const of = async (content: string, rule: DocumentRule) => {
    const path = join(place, 'texts.txt');
    await writeFile(path, content);
    const found: string[] = [];
    for await (const document of readDocuments([path], rule)) found.push(document);
    return found;
  };

  it('cuts documents at lines, files, separators, blank lines', async () => {
    expect(await of('a\r\nb\n\n c\n', 'line')).toEqual(['a', 'b', ' c']);
    expect(await of('a\r\nb\n\nc\n', 'file')).toEqual(['a\nb\n\nc']);
    expect(await of('a\nb\n***\n***\nc', { separator: '***' })).toEqual(['a\nb', 'c']);
    expect(await of('\n\na\nb\n \nc', { separator: '' })).toEqual(['a\nb', 'c']);
    await expect(of(' \n\n', 'line')).rejects.toMatchObject({ code: 'data/no-rows' });
  });

  it('holds documents each ended by the token for it', async () => {
    const tokenizer = byteTokenizer();
    const corpus = await readCorpus(['ab', 'é'], tokenizer);
    expect(tokenizer.decode([...corpus.tokens], { skipSpecialTokens: false })).toBe(
      'ab<|endoftext|>é<|endoftext|>',
    );
    expect(corpus).toMatchObject({ documents: 2, bytes: 4 });
    const other = await readCorpus(['ab', 'e'], tokenizer);
    expect(other.sha256).not.toBe(corpus.sha256);
    const long = await readCorpus(['x'.repeat(70_000), 'y'], tokenizer);
    expect(long.tokens.length).toBe(70_003);
    await expect(readCorpus([], tokenizer)).rejects.toMatchObject({ code: 'data/no-rows' });
  });
});
