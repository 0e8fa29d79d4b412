import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { parseBudget, showBudget } from './budget.js';
import { UNITS, unitsFor } from './budget-units.js';
import { METRICS } from './metric.js';

const limits = (text: string) =>
  parseBudget(text).constraints.map((c) => [c.metric.name, c.operator, c.limit, c.relative]);

const failure = (text: string): AnyformerError => {
  try {
    parseBudget(text);
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
};

describe('reading a budget', () => {
  it('reads every kind of unit', () => {
    expect(limits('latency<=0.6x, quality>=0.98x, size<=8MB, memory<=200 MiB')).toEqual([
      ['latency', '<=', 0.6, true],
      ['quality', '>=', 0.98, true],
      ['size', '<=', 8e6, false],
      ['memory', '<=', 200 * 2 ** 20, false],
    ]);
    expect(limits('throughput>=2x;throughput > 500/s ; latency<12ms')).toEqual([
      ['throughput', '>=', 2, true],
      ['throughput', '>', 500, false],
      ['latency', '<', 0.012, false],
    ]);
    expect(limits('accuracy>=57%, cosine ≥ .99, perplexity<=12.5, size<=1e-1×')).toEqual([
      ['accuracy', '>=', 0.57, false],
      ['cosine', '>=', 0.99, false],
      ['perplexity', '<=', 12.5, false],
      ['size', '<=', 0.1, true],
    ]);
  });

  it('reads names and units without regard to case', () => {
    expect(limits('Size<=8mb, LATENCY<=2S')).toEqual(limits('size<=8MB, latency<=2s'));
  });

  it('takes metrics that the caller adds', () => {
    const [metric] = METRICS;
    const f1 = {
      ...metric,
      name: 'f1',
      better: 'higher' as const,
      unit: 'share' as const,
      best: 1,
    };
    expect(parseBudget('f1>=90%', [f1]).constraints[0].limit).toBe(0.9);
  });
});

describe('refusing a budget', () => {
  it.each([
    ['', 'budget/empty'],
    [' \n ', 'budget/empty'],
    ['size<=8MB,', 'budget/syntax'],
    [',size<=8MB', 'budget/syntax'],
    ['size<=8MB latency<=0.5x', 'budget/syntax'],
    ['size<=1,000kB', 'budget/unit'],
    ['size<=8MB, 000', 'budget/syntax'],
    ['sise<=8MB', 'budget/unknown-metric'],
    ['__proto__<=1x', 'budget/unknown-metric'],
    ['size=8MB', 'budget/operator'],
    ['size<==8MB', 'budget/operator'],
    ['size', 'budget/operator'],
    ['size<=', 'budget/number'],
    ['size<=-1MB', 'budget/number'],
    ['size<=1.2.3MB', 'budget/number'],
    ['size<=1e999MB', 'budget/number'],
    ['size<=1e308GB', 'budget/number'],
    ['size<=NaN', 'budget/number'],
    ['size<=8', 'budget/unit'],
    ['size<=8ms', 'budget/unit'],
    ['size<=8toString', 'budget/unit'],
    ['size<=30%', 'budget/unit'],
    ['latency<=12', 'budget/unit'],
    ['size>=8MB', 'budget/direction'],
    ['quality<=0.5', 'budget/direction'],
    ['throughput<2x', 'budget/direction'],
    ['quality>=98', 'budget/impossible'],
    ['quality>1', 'budget/impossible'],
    ['size<=0x', 'budget/impossible'],
    ['latency<=0ms', 'budget/impossible'],
    ['perplexity<0.9', 'budget/impossible'],
    ['size<=8MB, size<=4MB', 'budget/duplicate'],
    ['size<=8MB, size<=8MB', 'budget/duplicate'],
    ['size<=4MB, size>=8MB', 'budget/contradiction'],
  ])('%s: %s', (text, code) => {
    expect(failure(text).code).toBe(code);
  });

  it('names the character, the nearest name and an example', () => {
    const typo = failure('size<=8MB, latancy<=0.6x');
    expect(typo.what).toBe("budget, character 12: unknown metric 'latancy'");
    expect(typo.hint).toContain("'latency'");
    expect(failure('speed>=2x').hint).toContain("'throughput'");
    expect(failure('size<=8MBB').hint).toContain("'MB'");
    expect(failure('size<=30%').hint).toContain('"size<=0.3x"');
    expect(failure('quality>=98').hint).toContain('"quality>=98%"');
    expect(failure('size>=8MB').hint).toContain('"size<=8MB"');
    expect(failure('throughput<2x').hint).toContain('"throughput>2x"');
    expect(failure('size<=8MB, 000').hint).toContain('thousands separator');
  });

  it('refuses a text too long to be one', () => {
    expect(failure('x'.repeat(3000)).code).toBe('budget/too-long');
  });

  it('allows what can just be reached', () => {
    expect(limits('quality>=1, perplexity<=1, accuracy>=100%')).toHaveLength(3);
    expect(limits('size<=8MB, size<=0.3x')).toHaveLength(2);
  });
});

const fragment = fc.constantFrom(
  ...METRICS.map((metric) => metric.name),
  ...UNITS.map((unit) => unit.name),
  ...[
    '<=',
    '>=',
    '<',
    '>',
    '≤',
    '=',
    ',',
    ';',
    ' ',
    '\n',
    '0',
    '1',
    '.5',
    '1e3',
    '-',
    '∞',
    '𝟙',
    '%%',
  ],
);

describe('properties', () => {
  const agrees = (text: string): void => {
    let budget: ReturnType<typeof parseBudget>;
    try {
      budget = parseBudget(text);
    } catch (error) {
      expect(error).toBeInstanceOf(AnyformerError);
      expect((error as AnyformerError).code).toMatch(/^budget\//);
      return;
    }
    expect(parseBudget(showBudget(budget))).toEqual(budget);
    expect(budget.constraints.length).toBeGreaterThan(0);
  };

  it('any string gives a budget or an AnyformerError', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), agrees), { numRuns: 1000 });
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 14 }), (parts) => agrees(parts.join(''))),
      { numRuns: 2000 },
    );
  });

  it('shows and reads back every well-formed budget', () => {
    const constraint = fc.constantFrom(...METRICS).chain((metric) =>
      fc.record({
        metric: fc.constant(metric),
        unit: fc.constantFrom(...unitsFor(metric.unit)),
        amount: fc.double({ min: 1, max: 1e9, noNaN: true }),
        strict: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(constraint, { selector: (c) => c.metric.name, minLength: 1 }),
        (wanted) => {
          const text = wanted
            .map(({ metric, unit, amount, strict }) => {
              const number =
                metric.unit === 'share' && unit.name !== 'x' ? amount / 2e9 : amount + 1;
              const operator = `${metric.better === 'lower' ? '<' : '>'}${strict ? '' : '='}`;
              return `${metric.name}${operator}${number}${unit.name}`;
            })
            .join(', ');
          const budget = parseBudget(text);
          expect(budget.constraints.map((c) => c.metric.name)).toEqual(
            wanted.map((c) => c.metric.name),
          );
          expect(parseBudget(showBudget(budget))).toEqual(budget);
        },
      ),
      { numRuns: 500 },
    );
  });
});
