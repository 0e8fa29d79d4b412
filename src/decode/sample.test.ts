import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { best, draw, type Sampling } from './sample.js';

// On a grid: equal scores are exactly equal, and others differ by more than rounding.
const scores = fc.array(
  fc.integer({ min: -32, max: 32 }).map((n) => n / 4),
  { minLength: 1, maxLength: 30 },
);

/** The distribution that is drawn from, by the definitions: whole arrays sorted. */
function distribution(x: readonly number[], { temperature, topK, topP }: Sampling): number[] {
  const softmax = (values: readonly number[]) => {
    const weights = values.map((value) => Math.exp(value));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / total);
  };
  let scaled = x.map((value) => value / temperature);
  const ranked = [...x.keys()].sort((a, b) => scaled[b] - scaled[a] || a - b);
  const keep = (ids: readonly number[]) => {
    scaled = scaled.map((value, id) => (ids.includes(id) ? value : Number.NEGATIVE_INFINITY));
  };
  if (topK !== undefined) keep(ranked.slice(0, topK));
  if (topP !== undefined && topP < 1) {
    const p = softmax(scaled);
    let reached = 0;
    const needed = ranked.filter((id) => {
      const before = reached;
      reached += p[id];
      return before < topP;
    });
    keep(needed);
  }
  return softmax(scaled);
}

describe('choosing a token', () => {
  it('draws each token as often as the narrowed distribution says', () => {
    const sampling = fc.record({
      temperature: fc.double({ min: 0.3, max: 3, noNaN: true }),
      topK: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
      topP: fc.option(
        fc.integer({ min: 50, max: 999 }).map((n) => n / 1000 + 1.23e-5),
        {
          nil: undefined,
        },
      ),
    });
    fc.assert(
      fc.property(scores, sampling, (x, how) => {
        const expected = distribution(x, how);
        const counts = new Array<number>(x.length).fill(0);
        const draws = 500;
        for (let i = 0; i < draws; i++) counts[draw(x, how, (i + 0.5) / draws).id]++;
        counts.forEach((count, id) => {
          expect(Math.abs(count / draws - expected[id])).toBeLessThan(3 / draws);
        });
      }),
    );
  });

  it('gives the probability before narrowing', () => {
    fc.assert(
      fc.property(scores, fc.double({ min: 0, max: 0.999, noNaN: true }), (x, u) => {
        const total = Math.log(x.reduce((sum, value) => sum + Math.exp(value), 0));
        for (const { id, logprob } of [
          best(x),
          draw(x, { temperature: 0.7, topK: 3, topP: 0.5 }, u),
        ]) {
          expect(logprob).toBeCloseTo(x[id] - total, 8);
        }
      }),
    );
  });

  it('takes the best token, of equal ones the first', () => {
    expect(best([1, 3, 3, 2]).id).toBe(1);
    expect(best([Number.NEGATIVE_INFINITY, -1]).id).toBe(1);
    expect(draw([1, 3, 3, 2], { temperature: 1, topK: 1 }, 0.999).id).toBe(1);
  });

  it('refuses scores that are not finite', () => {
    const infinite = Number.POSITIVE_INFINITY;
    for (const x of [
      [1, Number.NaN],
      [Number.NaN, 1],
      [1, infinite],
      [-infinite, -infinite],
    ]) {
      expect(() => best(x)).toThrow(/not finite/);
      expect(() => draw(x, { temperature: 1 }, 0.5)).toThrow(/not finite/);
    }
  });
});
