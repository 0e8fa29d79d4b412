// The reader of TinyStories files: its numbers, its tokenizer, and what it refuses.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sentencePieceFiles } from '../src/models/import/sentencepiece-bpe.js';
import { importTinyStories, pairsToHalves } from '../src/models/import/tinystories.js';
import { declare } from '../src/models/model.js';
import { AnyformerError, fromNumbers, toNumbers } from '../src/tensor/index.js';
import { numbers } from './runtime/support.js';
import {
  hasTinyStories,
  smallPieces,
  smallSizes,
  tinyStoriesBytes,
  tinyStoriesFile,
  whereTinyStories,
} from './support/tinystories-file.js';

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof AnyformerError) return error.code;
    throw error;
  }
};

describe('rows of rotated pairs put into halves', () => {
  /** The vectors of heads, each pair of features turned by position / 10000^(2i/d). */
  const rotate = (x: readonly number[], d: number, position: number, partner: 'next' | 'half') => {
    const out = [...x];
    for (let head = 0; head < x.length; head += d) {
      for (let i = 0; i < d / 2; i++) {
        const [a, b] = partner === 'next' ? [2 * i, 2 * i + 1] : [i, i + d / 2];
        const angle = position / 10000 ** ((2 * i) / d);
        const [u, v] = [x[head + a], x[head + b]];
        out[head + a] = u * Math.cos(angle) - v * Math.sin(angle);
        out[head + b] = u * Math.sin(angle) + v * Math.cos(angle);
      }
    }
    return out;
  };
  const times = (matrix: ArrayLike<number>, x: readonly number[]): number[] =>
    Array.from({ length: matrix.length / x.length }, (_, row) =>
      x.reduce((sum, value, j) => sum + value * matrix[row * x.length + j], 0),
    );

  it('keeps every product of a query and a key', () => {
    const [heads, d, width] = [3, 6, 5];
    const matrix = (seed: number) =>
      fromNumbers('f32', [heads * d, width], numbers(heads * d * width, seed));
    const [wq, wk] = [matrix(1), matrix(2)];
    const score = (
      q: ArrayLike<number>,
      k: ArrayLike<number>,
      [m, n]: readonly [number, number],
      partner: 'next' | 'half',
      head: number,
    ) => {
      const query = rotate(times(q, numbers(width, 3)), d, m, partner);
      const key = rotate(times(k, numbers(width, 4)), d, n, partner);
      return query
        .slice(head * d, (head + 1) * d)
        .reduce((sum, value, i) => sum + value * key[head * d + i], 0);
    };
    for (const places of [
      [0, 0],
      [7, 2],
      [100, 511],
    ] as const) {
      for (let head = 0; head < heads; head++) {
        const before = score(toNumbers(wq), toNumbers(wk), places, 'next', head);
        const [q, k] = [wq, wk].map((w) => toNumbers(pairsToHalves(w, heads)));
        expect(score(q, k, places, 'half', head)).toBeCloseTo(before, 5);
        if (places[0] !== places[1]) {
          // Rotations of halves without the new order are something else.
          const wrong = score(toNumbers(wq), toNumbers(wk), places, 'half', head);
          expect(Math.abs(wrong - before)).toBeGreaterThan(1e-3);
        }
      }
    }
  });
});

describe('model files of llama2.ts', () => {
  it('become a model whose every tensor is there', () => {
    const model = importTinyStories(tinyStoriesFile());
    const { stored } = declare(model);
    expect([...stored.keys()].sort()).toEqual([...model.weights.names()].sort());
    expect(model.config).toMatchObject({ num_key_value_heads: 2, tie_word_embeddings: true });
  });

  it('are refused when cut off or extended, wherever', () => {
    const file = tinyStoriesFile();
    fc.assert(
      fc.property(fc.nat(file.length - 1), (length) => {
        expect(codeOf(() => importTinyStories(file.subarray(0, length)))).toMatch(
          /^(file\/truncated|tinystories\/size)$/,
        );
      }),
    );
    const longer = new Uint8Array(file.length + 4);
    longer.set(file);
    expect(codeOf(() => importTinyStories(longer))).toBe('tinystories/size');
  });

  it('with any bytes changed are read or refused with a code, and soon', () => {
    const file = tinyStoriesFile();
    const changes = fc.array(fc.tuple(fc.nat(2500), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(changes, (places) => {
        const changed = new Uint8Array(file);
        for (const [at, byte] of places) changed[at] = byte;
        codeOf(() => importTinyStories(changed));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(codeOf(() => importTinyStories(new Uint8Array(bytes)))).toBeDefined();
      }),
    );
  });

  it('say what does not fit', () => {
    const change = (at: number, value: number) => {
      const file = tinyStoriesFile();
      new DataView(file.buffer).setInt32(at, value, true);
      return codeOf(() => importTinyStories(file));
    };
    expect(change(10, -16)).toBe('tinystories/format');
    expect(change(10, 2 ** 30)).toBe('tinystories/format');
    expect(change(22, 2 ** 24)).toBe('file/truncated');
    expect(change(26, 2 ** 24)).toBe('tinystories/size');
    expect(change(30, 3)).toBe('tinystories/format');
    const pickle = new Uint8Array([0x80, 2, ...new Array(400).fill(0)]);
    expect(codeOf(() => importTinyStories(pickle))).toBe('tinystories/format');
    const twice = [...smallPieces(), ['he', -40] as const];
    const of = (pieces: Parameters<typeof tinyStoriesFile>[1]) =>
      codeOf(() => importTinyStories(tinyStoriesFile(smallSizes, pieces)));
    expect(of(twice)).toBe('tokenizer/pieces');
    expect(of([...smallPieces(), ['x', Number.NaN]])).toBe('tokenizer/pieces');
    expect(of([...smallPieces(), ['', -40]])).toBe('tokenizer/pieces');
    expect(of([...smallPieces(), ['__proto__', -40]])).toBeUndefined();
  });
});

/** SentencePiece's rule by itself: join the neighbours that make the best piece, from the left. */
function greedy(text: string, pieces: readonly (readonly [string, number])[]): number[] {
  const ids = new Map(pieces.map(([piece], id) => [piece, id]));
  const symbols = Array.from(`\u2581${text.replaceAll(' ', '\u2581')}`);
  for (;;) {
    let found = -1;
    let score = Number.NEGATIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = ids.get(symbols[i] + symbols[i + 1]);
      if (id !== undefined && pieces[id][1] > score) [found, score] = [i, pieces[id][1]];
    }
    if (found < 0) break;
    symbols.splice(found, 2, symbols[found] + symbols[found + 1]);
  }
  const bytes = (symbol: string) =>
    Array.from(new TextEncoder().encode(symbol), (byte) => byte + 3);
  return [1, ...symbols.flatMap((symbol) => ids.get(symbol) ?? bytes(symbol))];
}

describe('the tokenizer made of pieces and scores', () => {
  const { tokenizer } = importTinyStories(tinyStoriesFile());
  const text = fc.string({ unit: fc.constantFrom(...'the ainds. é', 'Ж', '😀'), maxLength: 60 });

  it("encodes as SentencePiece's rule does, unknown characters as bytes", () => {
    fc.assert(
      fc.property(text, (t) => {
        expect(tokenizer?.encode(t)).toEqual(t === '' ? [1] : greedy(t, smallPieces()));
      }),
    );
  });

  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(text, (t) => {
        expect(tokenizer?.decode(tokenizer.encode(t))).toBe(t);
      }),
    );
    expect(tokenizer?.decode([])).toBe('');
    expect(tokenizer?.decode([1])).toBe('');
  });

  it('needs the three special pieces', () => {
    expect(codeOf(() => sentencePieceFiles([{ text: 'a', score: 0 }], 'x'))).toBe(
      'tokenizer/pieces',
    );
  });
});

describe.skipIf(!hasTinyStories)(whereTinyStories, () => {
  it('has 260,032 parameters and encodes as its scores say', () => {
    const { tokenizer, weights } = importTinyStories(tinyStoriesBytes());
    let parameters = 0;
    for (const name of weights.names()) {
      parameters += weights.type(name).shape.reduce((a, b) => a * b, 1);
    }
    expect(parameters).toBe(260_032);
    const { model } = (tokenizer?.files.tokenizer ?? {}) as {
      model: { vocab: Record<string, number> };
    };
    const pieces: [string, number][] = [];
    // Scores fall by one from piece to piece after the bytes.
    for (const [piece, id] of Object.entries(model.vocab)) {
      pieces[id] = [piece, id < 259 ? 0 : 259 - id];
    }
    for (const sentence of [
      'Once upon a time, there was a little girl named Lily.',
      'The cat  sat; "why?" asked Zoë — 3 times!',
      'naïve café 日本語 😀',
      '   ',
    ]) {
      expect(tokenizer?.encode(sentence)).toEqual(greedy(sentence, pieces));
      expect(tokenizer?.decode(tokenizer.encode(sentence))).toBe(sentence);
    }
  });
});
