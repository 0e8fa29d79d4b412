// The smoothed n-gram model against one that counts strings in maps, and against the laws of
// probability.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniformAt } from '../tensor/random.js';
import { streamLoss, trainKneserNey } from './kneser-ney.js';

/** P(token | context), by the definition: every count is taken anew from all n-grams of the text. */
function naive(text: readonly number[], vocabulary: number, order: number) {
  const marked = [-1, ...text]; // what stands before the first token is a token of its own
  const tables = Array.from({ length: order }, (_, k) => {
    const n = k + 1;
    const seen = new Map<string, Set<string>>();
    const times = new Map<string, number>();
    for (let i = 1; i + n <= marked.length; i++) {
      const gram = marked.slice(i, i + n).join(' ');
      times.set(gram, (times.get(gram) ?? 0) + 1);
      seen.set(gram, (seen.get(gram) ?? new Set()).add(String(marked[i - 1])));
    }
    const counts = new Map<string, number>();
    for (const gram of times.keys()) {
      counts.set(gram, n === order ? (times.get(gram) ?? 0) : (seen.get(gram)?.size ?? 0));
    }
    const having = (c: number) => [...counts.values()].filter((count) => count === c).length;
    const [n1, n2, n3, n4] = [1, 2, 3, 4].map(having);
    const y = n1 / (n1 + 2 * n2);
    const d = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, 3 - (4 * y * n4) / n3];
    const sound = d.every((x, i) => x > 0 && x <= i + 1);
    return { counts, d: sound ? d : [0.5, 1, 1.5] };
  });
  const p = (context: readonly number[], token: number): number => {
    const k = Math.min(context.length, order - 1);
    const held = k === 0 ? [] : context.slice(-k);
    const shorter = k === 0 ? 1 / vocabulary : p(held.slice(1), token);
    const { counts, d } = tables[k];
    const after = [...counts].filter(
      ([gram]) => gram.split(' ').slice(0, -1).join(' ') === held.join(' '),
    );
    if (after.length === 0) return shorter;
    const total = after.reduce((sum, [, count]) => sum + count, 0);
    const off = (count: number) => (count === 0 ? 0 : d[Math.min(count, 3) - 1]);
    const free = after.reduce((sum, [, count]) => sum + off(count), 0);
    const count = counts.get([...held, token].join(' ')) ?? 0;
    return (count - off(count)) / total + (free / total) * shorter;
  };
  return p;
}

const VOCABULARY = 7;
const text = fc.array(fc.nat(VOCABULARY - 2), { minLength: 1, maxLength: 120 });
const contexts = fc.array(fc.nat(VOCABULARY - 1), { maxLength: 6 });
const order = fc.integer({ min: 1, max: 5 });

describe('Kneser-Ney', () => {
  it('agrees with counting by the definition', () => {
    fc.assert(
      fc.property(text, order, contexts, (tokens, n, context) => {
        const model = trainKneserNey(tokens, { vocabulary: VOCABULARY, order: n });
        const p = naive(tokens, VOCABULARY, n);
        for (const within of [context, tokens.slice(0, 3), tokens.slice(-4)]) {
          for (let token = 0; token < VOCABULARY; token++) {
            expect(model.probability(within, token)).toBeCloseTo(p(within, token), 12);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('takes its discounts from the counts of counts where they give some', () => {
    const many = Array.from({ length: 6000 }, (_, i) => Math.floor(19 * uniformAt(3, i) ** 3));
    const model = trainKneserNey(many, { vocabulary: 20, order: 4 });
    const p = naive(many, 20, 4);
    const [one, two, more] = model.discounts[3];
    expect([one, two, more]).not.toEqual([0.5, 1, 1.5]);
    for (let i = 4; i < 60; i++) {
      expect(model.probability(many.slice(i - 3, i), many[i])).toBeCloseTo(
        p(many.slice(i - 3, i), many[i]),
        12,
      );
    }
  });

  it('is a distribution after any context, and leaves something to every token', () => {
    fc.assert(
      fc.property(text, order, contexts, (tokens, n, context) => {
        const model = trainKneserNey(tokens, { vocabulary: VOCABULARY, order: n });
        const all = Array.from({ length: VOCABULARY }, (_, t) => model.probability(context, t));
        expect(all.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        for (const p of all) expect(p).toBeGreaterThan(0);
      }),
    );
  });

  it('reads an unseen context as the part of it that was seen', () => {
    const tokens = [0, 1, 2, 3, 0, 1, 2, 4, 0, 1, 3, 3];
    const model = trainKneserNey(tokens, { vocabulary: VOCABULARY });
    for (let t = 0; t < VOCABULARY; t++) {
      const plain = model.probability([1, 2], t);
      expect(model.probability([5, 1, 2], t)).toBe(plain);
      expect(model.probability([6, 6, 1, 2], t)).toBe(plain);
      expect(model.probability([6], t)).toBe(model.probability([], t));
      // Only the last four tokens of a context can matter.
      const long = [3, 0, 1, 2];
      expect(model.probability([4, 5, ...long], t)).toBe(model.probability(long, t));
    }
    expect(model.probability([0], 1)).toBeGreaterThan(model.probability([0], 2));
  });

  it('adds up the loss of a stream', () => {
    const tokens = Uint16Array.from({ length: 300 }, (_, i) => (i * i) % 11);
    const model = trainKneserNey(tokens, { vocabulary: 11, order: 3 });
    let nats = 0;
    for (let i = 1; i < tokens.length; i++) {
      nats -= Math.log(model.probability([...tokens.slice(Math.max(0, i - 2), i)], tokens[i]));
    }
    expect(streamLoss(model, tokens)).toBeCloseTo(nats, 9);
    expect(streamLoss(model, tokens, { from: 300 })).toBe(0);
  });

  it('refuses what it cannot count, and stops on a signal', () => {
    const refused = expect.objectContaining({ code: 'data/ngram' });
    expect(() => trainKneserNey([], { vocabulary: 4 })).toThrow(refused);
    expect(() => trainKneserNey([1, 4], { vocabulary: 4 })).toThrow(refused);
    expect(() => trainKneserNey([1, 2], { vocabulary: 4, order: 0 })).toThrow(refused);
    const signal = AbortSignal.abort(new Error('stop'));
    expect(() => trainKneserNey([1, 2], { vocabulary: 4, signal })).toThrow('stop');
  });
});
