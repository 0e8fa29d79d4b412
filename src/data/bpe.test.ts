// The BPE trainer against a trainer that recounts everything after each merge, and its files through
// the tokenizer library.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainBpe } from './bpe.js';
import {
  byteCharacters,
  byteTokenizer,
  END_OF_TEXT,
  endOfText,
  PIECES,
  vocabularySize,
} from './byte-level.js';
import { corpusEncoder } from './piece-cache.js';

type Files = {
  model: { vocab: Record<string, number>; merges: string[] };
  added_tokens: { id: number; content: string }[];
};
const filesOf = (t: { files: { tokenizer: object } }) => t.files.tokenizer as Files;

/** Counts all pairs of all words before each merge; ties to the pair of smaller ids. */
function naive(texts: readonly string[], vocabulary: number, minCount: number): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [piece] of text.matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  const ids = new Map([...byteCharacters].sort().map((c, i) => [c, 1 + i]));
  const words = [...counts].map(([word, count]) => ({
    count,
    parts: [...new TextEncoder().encode(word)].map((b) => byteCharacters[b]),
  }));
  const merges: string[] = [];
  while (1 + ids.size < vocabulary) {
    const pairs = new Map<string, number>();
    for (const { parts, count } of words) {
      for (let i = 1; i < parts.length; i++) {
        const key = `${parts[i - 1]} ${parts[i]}`;
        pairs.set(key, (pairs.get(key) ?? 0) + count);
      }
    }
    const rank = (key: string) => key.split(' ').map((part) => ids.get(part) ?? -1);
    const [best] = [...pairs].sort(([x, n], [y, m]) => {
      const [a, b] = [rank(x), rank(y)];
      return m - n || a[0] - b[0] || a[1] - b[1];
    });
    if (!best || best[1] < minCount) break;
    const [a, b] = best[0].split(' ');
    if (!merges.includes(best[0])) merges.push(best[0]);
    if (!ids.has(a + b)) ids.set(a + b, 1 + ids.size);
    for (const word of words) {
      const out: string[] = [];
      for (let i = 0; i < word.parts.length; i++) {
        if (word.parts[i] === a && word.parts[i + 1] === b) {
          out.push(a + b);
          i++;
        } else out.push(word.parts[i]);
      }
      word.parts = out;
    }
  }
  return merges;
}

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '\n', 'é'), maxLength: 60 });

describe('training', () => {
  it('finds the merges of a trainer that recounts everything', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(letters, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 257, max: 300 }),
        fc.integer({ min: 1, max: 3 }),
        async (texts, vocabulary, minCount) => {
          fc.pre(texts.some((text) => text !== ''));
          const trained = await trainBpe(texts, { vocabulary, minCount });
          expect(filesOf(trained).model.merges).toEqual(naive(texts, vocabulary, minCount));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('gives any text back, and equal files for equal texts', async () => {
    const learned = [
      'the cat sat on the mat',
      'the other cat ran',
      "it's 1999, they said. They did!",
    ];
    const tokenizer = await trainBpe(learned, { vocabulary: 300 });
    const again = await trainBpe(learned, { vocabulary: 300 });
    expect(again.files).toEqual(tokenizer.files);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        fc.pre(!text.includes('<|'));
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(
          new TextDecoder().decode(new TextEncoder().encode(text)),
        );
        for (const id of ids) expect(id).toBeLessThan(vocabularySize(tokenizer));
      }),
    );
    expect(tokenizer.encode('the cat').length).toBeLessThan(7);
    expect(tokenizer.decode(tokenizer.encode('wait . what ?'))).toBe('wait . what ?');
  });

  it('numbers special tokens first, and never learns through them', async () => {
    const tokenizer = await trainBpe(['ab ab ab'], { vocabulary: 258 });
    expect(endOfText(tokenizer)).toBe(0);
    expect(tokenizer.encode(`a${END_OF_TEXT}b`)).toContain(0);
    expect(vocabularySize(tokenizer)).toBe(258);
    // The pair of the smaller ids among the equally frequent ones.
    expect(filesOf(tokenizer).model.merges).toEqual(['a b']);
  });

  it('survives one endless word, and stops on a signal', async () => {
    const tokenizer = await trainBpe(['a'.repeat(100_000)], { vocabulary: 270 });
    expect(tokenizer.decode(tokenizer.encode('aaaaaaaaa'))).toBe('aaaaaaaaa');
    const stop = AbortSignal.abort(new Error('stop'));
    await expect(trainBpe(['a'], { vocabulary: 300, signal: stop })).rejects.toThrow('stop');
  });

  it('refuses vocabularies without all bytes, and no text', async () => {
    await expect(trainBpe(['a'], { vocabulary: 256 })).rejects.toMatchObject({
      code: 'data/vocabulary',
    });
    await expect(trainBpe(['', ''], { vocabulary: 300 })).rejects.toMatchObject({
      code: 'data/no-rows',
    });
  });
});

describe('encoding a corpus', () => {
  it('gives what the tokenizer gives, piece by piece or not', async () => {
    const tokenizer = await trainBpe(["it's what  they said.\n\n  Didn't they?", 'ab 12 !! ab'], {
      vocabulary: 290,
    });
    const encode = corpusEncoder(tokenizer);
    const units = ['a', 'b', ' ', '  ', '\n', '\t', "'s", "'", '1', '!', 'é', '漢', '\u0000', '🎉'];
    const texts = fc.oneof(
      fc.string({ unit: fc.constantFrom(...units, END_OF_TEXT, '\u00a0', '\u3000') }),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(encode(text)).toEqual(tokenizer.encode(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('bytes', () => {
  it('are one token each, any text comes back', () => {
    const tokenizer = byteTokenizer();
    expect(vocabularySize(tokenizer)).toBe(257);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!text.includes('<|'));
        const bytes = new TextEncoder().encode(text);
        const ids = tokenizer.encode(text);
        expect(ids).toHaveLength(bytes.length);
        expect(tokenizer.decode(ids)).toBe(new TextDecoder().decode(bytes));
      }),
    );
  });
});
