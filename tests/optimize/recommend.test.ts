import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assess } from '../../src/optimize/assess.js';
import { parseBudget } from '../../src/optimize/budget.js';
import type { Candidate } from '../../src/optimize/candidate.js';
import { judge, meets } from '../../src/optimize/judge.js';
import { recommend } from '../../src/optimize/recommend.js';
import { original, candidates as tried } from './example-run.js';

const choose = (budget: string, more: { prefer?: string; candidates?: Candidate[] } = {}) =>
  recommend({ original, candidates: tried, budget: parseBudget(budget), ...more });

const make = (name: string, values: Record<string, number>): Candidate => ({
  name,
  passes: [{ pass: name, options: {} }],
  stage: 'confirmed',
  metrics: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value }])),
});

describe('a recommendation', () => {
  it('takes the smallest that meets the budget and says so', () => {
    const result = choose('latency<=0.6x, quality>=0.98x, size<=0.3x');
    expect(result.line).toBe('chosen: lowrank-192+int8  size 0.23x  latency 0.56x  quality 0.992');
    expect(result.reasons).toEqual([
      'lowrank-192+int8 meets every limit: latency 0.56x <= 0.6x, quality 0.992x >= 0.98x, size 0.23x <= 0.3x.',
      'Of the 3 candidates that meet the budget it has the smallest size: size 0.23x.',
    ]);
    const why = Object.fromEntries(result.rejected.map((one) => [one.name, one.why]));
    expect(why.int8).toBe('meets the budget, but size 0.27x against 0.23x of lowrank-192+int8');
    expect(why.int4).toBe('misses the budget: latency 0.62x > 0.6x');
    expect(why.original).toBe('misses the budget: latency 1x > 0.6x, size 1x > 0.3x');
    expect(why['lowrank-32']).toBe(
      'left after screening: quality 0.742 < 0.98x on the screening slice',
    );
    expect(why['int2<b>&"']).toMatch(/^failed: no kernel/);
    expect(result.rejected).toHaveLength(tried.length);
  });

  it('compares by quality first where the budget has no floor for it', () => {
    const result = choose('size<=0.3x, latency<=0.7x');
    expect(result.order).toEqual(['quality', 'size', 'latency']);
    expect(result.chosen).toBe('int8-b64');
  });

  it('follows prefer, and refuses one that nothing was measured for', () => {
    expect(choose('quality>=0.96', { prefer: 'throughput' }).chosen).toBe('lowrank-128+int8');
    expect(() => choose('quality>=0.96', { prefer: 'perplexity' })).toThrow(/perplexity/);
  });

  it('breaks ties within a percent by latency, then by quality', () => {
    const base = make('original', { size: 100, latency: 1, quality: 1 });
    const budget = parseBudget('quality>=0.9');
    const pick = (...list: Candidate[]) =>
      recommend({ original: base, candidates: list, budget }).chosen;
    const a = make('a', { size: 50, latency: 0.9, quality: 0.95 });
    expect(pick(a, make('b', { size: 50.4, latency: 0.5, quality: 0.91 }))).toBe('b');
    expect(pick(a, make('b', { size: 50.4, latency: 0.9, quality: 0.97 }))).toBe('b');
    expect(pick(a, make('b', { size: 51, latency: 0.5, quality: 0.97 }))).toBe('a');
    expect(pick(a, make('b', { size: 50, latency: 0.9, quality: 0.95 }))).toBe('a');
  });

  it('warns when the interval reaches across a limit', () => {
    const result = choose('latency<=0.562x, quality>=0.98');
    expect(result.chosen).toBe('lowrank-192+int8');
    expect(result.reasons.join(' ')).toContain('the interval reaches across the limit');
  });

  it('may say that the original needs nothing', () => {
    const result = choose('recall>=0.999');
    expect(result.chosen).toBe('original');
    expect(result.reasons.join(' ')).toContain('not needed');
  });
});

describe('a refusal', () => {
  it('names the nearest candidate, the binding limit and what it would meet', () => {
    const result = choose('latency<=0.4x, quality>=0.98x');
    expect(result.chosen).toBeUndefined();
    expect(result.line).toBe(
      'nothing meets the budget: latency<=0.4x, quality>=0.98x; nearest is lowrank-192+int8 (latency 0.56x > 0.4x)',
    );
    expect(result.nearest?.relaxed).toBe('latency<=0.57x, quality>=0.98x');
    expect(result.reasons).toContain(
      'latency<=0.4x is met by 0 of 13; the best is lowrank-128+int8 (latency 0.5x > 0.4x).',
    );
  });

  it('does not call a ruined model near', () => {
    const base = make('original', { size: 100, latency: 1, quality: 1 });
    const { nearest } = recommend({
      original: base,
      candidates: [
        make('ruined', { size: 20, latency: 0.4, quality: 0.8 }),
        make('slow', { size: 27, latency: 0.72, quality: 0.997 }),
      ],
      budget: parseBudget('latency<=0.6x, quality>=0.98x, size<=0.3x'),
    });
    expect(nearest).toMatchObject({
      name: 'slow',
      relaxed: 'latency<=0.72x, quality>=0.98x, size<=0.3x',
    });
  });

  it('survives having measured nothing', () => {
    const result = recommend({
      original: make('original', { size: 1 }),
      candidates: [],
      budget: parseBudget('memory<=1MB'),
    });
    expect(result.line).toBe(
      'nothing meets the budget: memory<=1MB; nothing was measured completely',
    );
  });

  it('properties: the chosen one meets the budget; without one nobody does; the relaxed budget is met', () => {
    const value = fc.double({ min: 0.05, max: 1.2, noNaN: true });
    const quality = fc.double({ min: 0.5, max: 1, noNaN: true });
    const row = fc.record({ size: value, latency: value, quality });
    const base = make('original', { size: 1, latency: 1, quality: 1 });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), value, value, quality, (rows, s, l, q) => {
        const list = rows.map((values, i) => make(`c${i}`, values));
        const budget = parseBudget(`size<=${s}x, latency<${l}x, quality>=${q}`);
        const result = recommend({ original: base, candidates: list, budget });
        const holds = (one: Candidate, text = budget) =>
          meets(judge(text, one.metrics, base.metrics));
        const everyone = [base, ...list];
        const chosen = everyone.find(({ name }) => name === result.chosen);
        expect(chosen === undefined ? everyone.some((one) => holds(one)) : !holds(chosen)).toBe(
          false,
        );
        expect(result.rejected.length + (chosen ? 1 : 0)).toBe(everyone.length);
        if (result.nearest !== undefined) {
          const near = everyone.find(({ name }) => name === result.nearest?.name) ?? base;
          expect(holds(near, parseBudget(result.nearest.relaxed))).toBe(true);
          expect(result.nearest.missed).toContain(result.nearest.binding);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('assess', () => {
  it('joins the front and the recommendation', () => {
    const { rows, front } = assess({
      original,
      candidates: tried,
      budget: parseBudget('latency<=0.6x, quality>=0.98x, size<=0.3x'),
    });
    expect(front.axes).toEqual(['size', 'latency', 'quality']);
    expect(rows.map((row) => row.candidate.name)).toEqual([
      'original',
      ...tried.map((c) => c.name),
    ]);
    expect(rows.filter((row) => row.chosen).map((row) => row.candidate.name)).toEqual([
      'lowrank-192+int8',
    ]);
    const int4 = rows.find((row) => row.candidate.name === 'int4');
    expect(int4?.onFront).toBe(true);
    const e3m0 = rows.find((row) => row.candidate.name === 'fp4-e3m0');
    expect(e3m0?.why).toContain('; lowrank-192+int4 is better on size, latency and quality');
    expect(rows.find((row) => row.candidate.stage === 'screened')?.onFront).toBe(false);
  });
});
