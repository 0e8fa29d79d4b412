import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { uniformAt } from '../tensor/random.js';
import { inverse, median, medianEstimate, medianInterval, pairedRatio, quantile } from './stats.js';

const binomial = (n: number, k: number): number =>
  Array.from({ length: k }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1);

describe('quantiles', () => {
  it('are the textbook values', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
    expect(quantile([1, 2, 3, 4], 1)).toBe(4);
    expect(median(new Float32Array([10, 9]))).toBe(9.5);
  });

  it('refuse nothing and NaN', () => {
    expect(() => median([])).toThrow(AnyformerError);
    expect(() => medianInterval([1, Number.NaN])).toThrow(AnyformerError);
    expect(() => pairedRatio([1, 2], [1])).toThrow(AnyformerError);
  });

  it('do not change the input, do not depend on order, lie between the extremes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (samples, q) => {
          const before = [...samples];
          const value = quantile(samples, q);
          expect(samples).toEqual(before);
          expect(value).toBe(quantile(samples.toReversed(), q));
          expect(value).toBeGreaterThanOrEqual(Math.min(...samples));
          expect(value).toBeLessThanOrEqual(Math.max(...samples));
        },
      ),
    );
  });
});

describe('the interval of the median', () => {
  it('takes the order statistics of the published tables', () => {
    const ranks = (n: number) => {
      const { low, high } = medianInterval(Array.from({ length: n }, (_, i) => i + 1));
      return [low, high];
    };
    // Ranks for 95 %: n = 6 is the first that has any; 10: 2 and 9; 15: 4 and 12; 20: 6 and 15; 100: 40 and 61.
    expect([5, 6, 10, 15, 20, 100].map(ranks)).toEqual([
      [1, 5],
      [1, 6],
      [2, 9],
      [4, 12],
      [6, 15],
      [40, 61],
    ]);
  });

  it('reports the exact coverage', () => {
    const coverage = (n: number) => medianInterval(Array.from({ length: n }, (_, i) => i)).coverage;
    expect(coverage(1)).toBe(0);
    expect(coverage(2)).toBeCloseTo(0.5, 12);
    expect(coverage(5)).toBeCloseTo(1 - 2 / 2 ** 5, 12);
    let tail = 0;
    for (let k = 0; k < 6; k++) tail += binomial(20, k);
    expect(coverage(20)).toBeCloseTo(1 - (2 * tail) / 2 ** 20, 12);
    expect(coverage(5000)).toBeGreaterThanOrEqual(0.95);
    expect(coverage(5000)).toBeLessThan(0.96);
  });

  it('covers the true median of a skewed law as often as it says', () => {
    const trials = 4000;
    const n = 12;
    let covered = 0;
    let promised = 0;
    for (let trial = 0; trial < trials; trial++) {
      // Exponential: median ln 2.
      const samples = Array.from({ length: n }, (_, i) => -Math.log1p(-uniformAt(trial, i)));
      const { low, high, coverage } = medianInterval(samples);
      if (low <= Math.LN2 && Math.LN2 <= high) covered++;
      promised = coverage;
    }
    expect(promised).toBeGreaterThanOrEqual(0.95);
    // Five standard deviations of the count.
    const slack = 5 * Math.sqrt((promised * (1 - promised)) / trials);
    expect(Math.abs(covered / trials - promised)).toBeLessThan(slack);
  });

  it('has none for one sample', () => {
    expect(medianEstimate([2])).toEqual({ value: 2 });
  });
});

describe('paired ratios', () => {
  it('see through a drift that separate medians do not', () => {
    // The machine slows down eightfold in the middle; the candidate always takes 0.6 of the baseline.
    const load = Array.from({ length: 31 }, (_, i) => (i >= 10 && i < 21 ? 8 : 1));
    const noise = (seed: number, i: number) => 1 + 0.02 * (uniformAt(seed, i) - 0.5);
    const baseline = load.map((l, i) => 10 * l * noise(1, i));
    const candidate = load.map((l, i) => 6 * l * noise(2, i));
    const { value, low, high } = pairedRatio(candidate, baseline);
    expect(value).toBeCloseTo(0.6, 2);
    expect(low).toBeGreaterThan(0.585);
    expect(high).toBeLessThan(0.615);
  });

  it('are exactly 1 for a candidate against itself', () => {
    expect(pairedRatio([3, 4, 5], [3, 4, 5])).toMatchObject({ value: 1, low: 1, high: 1 });
  });

  it('invert with the ends exchanged', () => {
    expect(inverse({ value: 0.5, low: 0.25, high: 1 }, 10)).toEqual({
      value: 20,
      low: 10,
      high: 40,
    });
    expect(inverse({ value: 4 })).toEqual({ value: 0.25 });
  });
});
