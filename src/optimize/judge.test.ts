import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { parseBudget } from './budget.js';
import { judge, meets, requireMeasured, showVerdict } from './judge.js';

const baseline = {
  size: { value: 28e6 },
  latency: { value: 0.02 },
  quality: { value: 1 },
  accuracy: { value: 0.9 },
};

const show = (budget: string, measured: Parameters<typeof judge>[1]) =>
  judge(parseBudget(budget), measured, baseline).map(showVerdict);

describe('judge', () => {
  it('judges ratios against the original and amounts as they are', () => {
    const verdicts = judge(
      parseBudget('size<=0.3x, size<=8MB, latency<=0.6x, accuracy>=0.98x, accuracy>=89%'),
      { size: { value: 7.7e6 }, latency: { value: 0.0144 }, accuracy: { value: 0.885 } },
      baseline,
    );
    expect(verdicts.map((v) => v.holds)).toEqual([true, true, false, true, false]);
    expect(verdicts[0].value).toBeCloseTo(0.275, 12);
    expect(verdicts[0].margin).toBeCloseTo((0.3 - 0.275) / 0.3, 12);
    expect(verdicts[2].margin).toBeCloseTo((0.6 - 0.72) / 0.6, 12);
    expect(verdicts.map(showVerdict)).toEqual([
      'size 0.28x <= 0.3x',
      'size 7.7MB <= 8MB',
      'latency 0.72x > 0.6x',
      'accuracy 0.983x >= 0.98x',
      'accuracy 88.5% < 89%',
    ]);
    expect(meets(verdicts)).toBe(false);
  });

  it('prefers a ratio measured in pairs and says when an interval crosses the limit', () => {
    const [verdict] = judge(
      parseBudget('latency<=0.6x'),
      { latency: { value: 0.02, ratio: { value: 0.59, low: 0.57, high: 0.61 } } },
      baseline,
    );
    expect(verdict).toMatchObject({ value: 0.59, holds: true, sure: false });
  });

  it('never rounds a value onto the other side of its limit', () => {
    expect(show('latency<=0.6x', { latency: { value: 0, ratio: { value: 0.60004 } } })).toEqual([
      'latency 0.60004x > 0.6x',
    ]);
    expect(show('quality>57%', { quality: { value: 0.57 } })).toEqual(['quality 57% <= 57%']);
  });

  it('holds nothing that was not measured', () => {
    const [verdict] = judge(parseBudget('memory<=200MB'), {}, baseline);
    expect(verdict).toMatchObject({ holds: false, value: undefined });
    expect(showVerdict(verdict)).toBe('memory was not measured (memory<=200MB)');
    expect(judge(parseBudget('size<=0.5x'), { size: { value: 1 } }, {})[0].holds).toBe(false);
  });

  it('the text and the verdict agree', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1, noNaN: true }), (value) => {
        const [verdict] = judge(parseBudget('quality>=0.5'), { quality: { value } }, baseline);
        const [, shown, operator] = showVerdict(verdict).split(' ');
        expect(verdict.holds).toBe(value >= 0.5);
        expect(Number(shown) >= 0.5).toBe(verdict.holds);
        expect(operator).toBe(verdict.holds ? '>=' : '<');
      }),
    );
  });

  it('refuses a budget on what is not measured', () => {
    expect(() => requireMeasured(parseBudget('perplexity<=20'), ['size', 'cosine'])).toThrow(
      AnyformerError,
    );
    requireMeasured(parseBudget('size<=1MB'), ['size']);
  });
});
