import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { permutation, sampleIndices, uniformAt } from '../tensor/random.js';
import { readLabelled } from './labelled.js';
import { readLines, readTexts } from './lines.js';
import { type Labelled, sampleLabelled, sampleTexts, splitLabelled } from './split.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-data-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(content: string | Uint8Array): Promise<string> {
  const path = join(folder, 'data.tsv');
  await writeFile(path, content);
  return path;
}

async function refused(content: string | Uint8Array): Promise<AnyformerError> {
  try {
    await readLabelled(await file(content));
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
  throw new Error('accepted');
}

const rows = (count: number, row: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => row(i)).join('\n');
const good = rows(20, (i) => `${i % 2 ? 'ham' : 'spam'}\ttext ${i}`);

describe('lines', () => {
  test('any text splits into the same lines, wherever the chunks fall', async () => {
    const line = fc.string({ unit: 'grapheme' }).filter((s) => !/[\n\r]/.test(s));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.constantFrom('\n', '\r\n'), async (lines, end) => {
        const read: string[] = [];
        const path = await file(lines.map((l) => l + end).join(''));
        for await (const { number, text } of readLines(path)) {
          read.push(text);
          expect(number).toBe(read.length);
        }
        expect(read).toEqual(lines.map((l, i) => (i === 0 ? l.replace(/^\ufeff/, '') : l)));
      }),
      { numRuns: 60 },
    );
  });

  test('characters across chunk borders stay whole, the last line needs no end', async () => {
    const lines = Array.from({ length: 60_000 }, (_, i) => `${i} äöü 漢字 🙂`);
    const path = await file(lines.join('\n'));
    expect(await readTexts(path)).toEqual(lines);
    expect(await readTexts(path, { limit: 3 })).toEqual(lines.slice(0, 3));
  });

  test('blank files and endless lines are errors', async () => {
    await expect(readTexts(await file(' \n\r\n'))).rejects.toMatchObject({ code: 'data/no-rows' });
    await expect(readTexts(await file('x'.repeat(3e6)))).rejects.toMatchObject({
      code: 'data/line-length',
    });
  });
});

describe('labelled texts', () => {
  test('plain rows, with a byte order mark, blank lines, CRLF and tabs in the text', async () => {
    const text = `\ufeff${good}\n\nham\ta\tb\n`.replaceAll('\n', '\r\n');
    const data = await readLabelled(await file(text));
    expect(data.classes).toEqual(['ham', 'spam']);
    expect(data.texts).toHaveLength(21);
    expect(data.labels.slice(0, 2)).toEqual([1, 0]);
    expect(data.texts.at(-1)).toBe('a\tb');
  });

  test('a first row names the columns', async () => {
    const body = rows(10, (i) => `${i}\ttext ${i}\t${i % 2 ? 'b' : 'a'}`);
    const data = await readLabelled(await file(`id\tText\tLabel\n${body}`));
    expect(data.classes).toEqual(['a', 'b']);
    expect(data.texts[3]).toBe('text 3');
    const short = await refused(`id\ttext\tlabel\n${body}\n11\tonly`);
    expect([short.code, short.what.endsWith('line 12')]).toEqual(['data/columns', true]);
  });

  test.each([
    ['nothing', '', 'data/no-rows'],
    ['only a header', 'label\ttext\n', 'data/no-rows'],
    ['one class', rows(20, (i) => `ham\ttext ${i}`), 'data/one-class'],
    ['four rows', 'a\tx\nb\ty\na\tz\nb\tw', 'data/too-few-rows'],
    ['a class of one row', `${good}\nrare\tx`, 'data/too-few-rows'],
    ['columns swapped', rows(20, (i) => `text ${i}\tham`), 'data/too-few-rows'],
  ])('%s', async (_, text, code) => {
    expect((await refused(text)).code).toBe(code);
  });

  test.each([
    ['no tab', 'no tab here', 'data/no-tab'],
    ['no text', 'ham\t  ', 'data/empty'],
    ['no label', '\ttext', 'data/empty'],
    ['bytes that are not UTF-8', Uint8Array.of(0x68, 9, 0xe4, 0x62), 'data/utf8'],
  ])('line 21 has %s', async (_, line, code) => {
    const tail = typeof line === 'string' ? Buffer.from(line) : line;
    const error = await refused(Buffer.concat([Buffer.from(`${good}\n`), tail]));
    expect(error.code).toBe(code);
    expect(error.what).toContain('data.tsv, line 21');
  });

  test('UTF-16 is recognised', async () => {
    const error = await refused(Buffer.from(`\ufeff${good}`, 'utf16le'));
    expect([error.code, error.found]).toEqual(['data/utf8', 'UTF-16']);
  });
});

describe('splits and samples', () => {
  const labelled = fc
    .array(fc.integer({ min: 2, max: 30 }), { minLength: 1, maxLength: 5 })
    .map((counts): Labelled => {
      const labels = counts.flatMap((count, label) => Array<number>(count).fill(label));
      const order = permutation(labels.length, 7);
      return {
        texts: order.map((i) => `t${i}`),
        labels: order.map((i) => labels[i]),
        classes: counts.map((_, i) => `c${i}`),
      };
    });
  const countsOf = ({ labels, classes }: Labelled) =>
    classes.map((_, c) => labels.filter((label) => label === c).length);

  test('a split is a partition, stratified, in order, and a function of the seed', () => {
    fc.assert(
      fc.property(
        labelled,
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.integer(),
        (data, test, seed) => {
          const split = splitLabelled(data, { test, seed });
          const label = new Map(data.texts.map((text, i) => [text, data.labels[i]]));
          const merged = new Set([...split.train.texts, ...split.test.texts]);
          expect(merged.size).toBe(data.texts.length);
          expect(split.train.texts.length + split.test.texts.length).toBe(data.texts.length);
          for (const part of [split.train, split.test]) {
            expect(part.labels).toEqual(part.texts.map((text) => label.get(text)));
            const at = part.texts.map((text) => data.texts.indexOf(text));
            expect(at).toEqual([...at].sort((a, b) => a - b));
          }
          countsOf(data).forEach((count, c) => {
            const inTest = countsOf(split.test)[c];
            expect(inTest).toBe(Math.min(count - 1, Math.max(1, Math.round(test * count))));
          });
          expect(splitLabelled(data, { test, seed })).toEqual(split);
        },
      ),
    );
  });

  test('a sample keeps the shares to within a row, or to the one row that a class must have', () => {
    fc.assert(
      fc.property(labelled, fc.integer({ min: 5, max: 150 }), fc.integer(), (data, count, seed) => {
        const sample = sampleLabelled(data, count, seed);
        if (count >= data.texts.length) {
          expect(sample).toBe(data);
          return;
        }
        expect(Math.abs(sample.texts.length - count)).toBeLessThan(data.classes.length);
        countsOf(sample).forEach((found, c) => {
          const share = (countsOf(data)[c] * count) / data.texts.length;
          expect(found).toBeGreaterThanOrEqual(1);
          expect(Math.abs(found - Math.max(1, share))).toBeLessThanOrEqual(1);
        });
        expect(sampleLabelled(data, count, seed)).toEqual(sample);
      }),
    );
  });

  test('wrong shares and classes of one row are errors', () => {
    const data = { texts: ['a', 'b', 'c'], labels: [0, 0, 1], classes: ['x', 'y'] };
    for (const test of [0, 1, -1, Number.NaN]) {
      expect(() => splitLabelled(data, { test, seed: 0 })).toThrow(AnyformerError);
    }
    expect(() => splitLabelled(data, { test: 0.5, seed: 0 })).toThrow("class 'y'");
  });

  test('permutations are permutations, differ by seed, and are even', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer(), (count, seed) => {
        const order = permutation(count, seed);
        expect([...order].sort((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, i) => i),
        );
      }),
    );
    expect(permutation(50, 1)).not.toEqual(permutation(50, 2));
    // Where element 0 of 8 ends up, over 8,000 seeds: chi-square with 7 degrees of freedom, p < 1e-6.
    const counts = Array<number>(8).fill(0);
    for (let seed = 0; seed < 8000; seed++) counts[permutation(8, seed).indexOf(0)]++;
    expect(counts.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)).toBeLessThan(41);
    let mean = 0;
    for (let i = 0; i < 10_000; i++) mean += uniformAt(3, i) / 10_000;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.015);
    expect(sampleIndices(5, 9, 1)).toEqual([0, 1, 2, 3, 4]);
    expect(sampleTexts(['a', 'b', 'c'], 0, 1)).toEqual([]);
  });
});

test('the committed files are what data/README.md says', async () => {
  const path = (name: string) => fileURLToPath(new URL(`../../data/${name}`, import.meta.url));
  const periods = await readLabelled(path('periods.tsv'));
  expect(periods.texts).toHaveLength(1200);
  expect(periods.classes).toHaveLength(4);
  expect(new Set(periods.texts).size).toBe(1200);
  const sentences = await readTexts(path('sentences.txt'));
  const lengths = sentences.map((text) => text.split(' ').length).sort((a, b) => a - b);
  expect(sentences).toHaveLength(2000);
  expect([lengths[0], lengths.at(-1)]).toEqual([3, 118]);
});
