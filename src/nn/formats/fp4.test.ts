// FP4 against the paper's own formula, and what its levels are worth on known distributions.
import { describe, expect, it } from 'vitest';
import { gaussian, laplace, many, studentT, uniform } from '../../../tests/support/draw.js';
import { fromNumbers, ndarray, toNumbers } from '../../tensor/index.js';
import { leastError } from './encoding.js';
import { codeOf, FP4_LEVELS, fp4, searchStep } from './fp4.js';

type Element = keyof typeof FP4_LEVELS;
const MANTISSA: Readonly<Record<Element, number>> = { E3M0: 0, E2M1: 1, E1M2: 2 };
const elements = Object.keys(MANTISSA) as Element[];

/**
 * The paper's quantiser for M mantissa bits and exponent bias b (sections 1 and 2 of LLM-FP4):
 * clip to +-(2 - 2^-M) 2^(2^E - 1 - b), then s round(x / s) with s = 2^(p - M - b) and
 * p = max(floor(log2|x| + b), 1), ties to even.
 */
function paper(x: number, mantissa: number, bias: number): number {
  const exponents = 2 ** (3 - mantissa);
  const max = (2 - 2 ** -mantissa) * 2 ** (exponents - 1 - bias);
  const clipped = Math.min(max, Math.max(-max, x));
  if (clipped === 0) return 0;
  const p = Math.max(Math.floor(Math.log2(Math.abs(clipped)) + bias), 1);
  const s = 2 ** (p - mantissa - bias);
  const ratio = clipped / s;
  const floor = Math.floor(ratio);
  const rest = ratio - floor;
  const even = floor % 2 === 0 ? floor : floor + 1;
  return s * (rest === 0.5 ? even : Math.round(ratio));
}

const levelOf = (value: number, step: number, element: Element): number => {
  const code = codeOf(value, step, element);
  return (code & 8 ? -1 : 1) * FP4_LEVELS[element][code & 7];
};

describe.each(elements)('%s', (element) => {
  const mantissa = MANTISSA[element];

  it('has the levels of its sign, exponent and mantissa bits', () => {
    const values = Array.from({ length: 8 }, (_, code) => {
      const exponent = code >> mantissa;
      const fraction = (code % 2 ** mantissa) / 2 ** mantissa;
      // Subnormals share the exponent of 1; in units of the step 2^(1 - M).
      const value = exponent === 0 ? 2 * fraction : (1 + fraction) * 2 ** exponent;
      return (value * 2 ** mantissa) / 2;
    });
    expect(values).toEqual([...FP4_LEVELS[element]]);
  });

  it('rounds as the formula of the paper does: 100,000 values, subnormal to clipped', () => {
    const draw = gaussian(5);
    for (const bias of [-3, 0, 2]) {
      const step = 2 ** (1 - mantissa - bias);
      const top = FP4_LEVELS[element][7] * step;
      for (let i = 0; i < 100_000 / 3; i++) {
        const x = draw() * top * 0.4 * 2 ** -(i % 7);
        const found = levelOf(x, step, element) * step;
        if (found !== paper(x, mantissa, bias)) {
          expect.fail(`bias ${bias}: ${x} -> ${found}, paper ${paper(x, mantissa, bias)}`);
        }
      }
    }
  });

  it('rounds ties, zero, the ends and beyond as the formula does', () => {
    const levels = FP4_LEVELS[element];
    const ties = levels.slice(1).map((level, i) => (level + levels[i]) / 2);
    for (const x of [0, ...ties, ...levels, levels[7] * 1.0001, levels[7] * 1e6, 1e-30]) {
      for (const sign of [1, -1]) {
        const bias = 1 - mantissa; // step 1
        expect(levelOf(sign * x, 1, element) + 0).toBe(paper(sign * x, mantissa, bias) + 0);
      }
    }
  });

  it('packs two codes a byte, the even feature low, whatever the width', () => {
    const levels = FP4_LEVELS[element];
    for (const columns of [1, 2, 7, 16, 17]) {
      const values = Array.from(
        { length: columns },
        (_, k) => (k % 2 ? -1 : 1) * levels[7 - (k % 8)] + 0, // no -0
      );
      const matrix = fromNumbers('f32', [1, columns], values);
      const o = { element, group: 0 as const, accuracy: 1 as const };
      const { qweight, step } = fp4.encode(matrix, o);
      expect(toNumbers(step)).toEqual(Float64Array.of(1));
      expect(qweight.shape).toEqual([1, Math.ceil(columns / 2)]);
      const nibbles = [...toNumbers(qweight)].flatMap((byte) => [byte & 15, byte >> 4]);
      const read = nibbles.slice(0, columns).map((n) => (n & 8 ? -1 : 1) * levels[n & 7]);
      expect(read.map((v) => v + 0)).toEqual(values);
      if (columns % 2 === 1) expect(nibbles[columns]).toBe(0);
      expect(fp4.decode({ qweight, step }, { rows: 1, columns }, o)).toEqual(matrix);
    }
  });
});

it('gives every row its own step, and every group with groups', () => {
  const draw = gaussian(2);
  const values = many(2 * 64, draw).map((v, i) => v * (i < 64 ? 1 : 1000));
  const matrix = fromNumbers('f32', [2, 64], values);
  const rows = fp4.encode(matrix, { element: 'E2M1', group: 0, accuracy: 1 }).step;
  expect(rows.shape).toEqual([2, 1]);
  expect(Number(rows.data[1]) / Number(rows.data[0])).toBeGreaterThan(300);
  const groups = fp4.encode(matrix, { element: 'E2M1', group: 16, accuracy: 1 }).step;
  expect(groups.shape).toEqual([2, 4]);
  expect(groups.dtype).toBe('f16');
});

it('weighs errors by the importance of features', () => {
  const matrix = fromNumbers('f32', [1, 64], many(64, studentT(3, 3)));
  const importance = Float64Array.from({ length: 64 }, (_, k) => (k < 8 ? 1000 : 1));
  const o = { element: 'E2M1', group: 0, accuracy: 1 } as const;
  const missOf = (given: Parameters<typeof fp4.encode>[2]) => {
    const back = toNumbers(fp4.decode(fp4.encode(matrix, o, given), { rows: 1, columns: 64 }, o));
    const x = toNumbers(matrix);
    return back.reduce((a, v, k) => a + importance[k] * (v - x[k]) ** 2, 0);
  };
  expect(missOf({ importance })).toBeLessThan(missOf({}));
  for (const bad of [[1, 2], Array(64).fill(Number.NaN), Array(64).fill(-1)]) {
    expect(() => fp4.encode(matrix, o, { importance: bad })).toThrowError(
      expect.objectContaining({ code: 'format/importance' }),
    );
  }
});

it('refuses weights beyond the range of a float16 step', () => {
  const matrix = ndarray('f32', [1, 16], new Float32Array(16).fill(1e7));
  expect(() => fp4.encode(matrix, { element: 'E1M2', group: 16, accuracy: 1 })).toThrowError(
    expect.objectContaining({ code: 'format/range' }),
  );
  expect(() => fp4.encode(matrix, { element: 'E1M2', group: 0, accuracy: 1 })).not.toThrow();
});

describe('relative squared error on 4096 numbers that share one searched step', () => {
  const square = (run: Float64Array) => run.reduce((a, v) => a + v * v, 0);
  const errorOf = (run: Float64Array, element: Element) =>
    searchStep(run, { element, group: 0 }).error / square(run);
  /** Integers -8..7 over the same search range, the extreme value at either end. */
  const integer = (run: Float64Array): number => {
    const max = run.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    const ratios = Array.from({ length: 37 }, (_, i) => (12 + i) / 40);
    const steps = [-8, 7, 8, -7].flatMap((end) => ratios.map((r) => (max / end) * r));
    const errorOf = (step: number) =>
      square(run.map((v) => v - Math.max(-8, Math.min(7, Math.round(v / step))) * step));
    return leastError(run, undefined, steps, errorOf).error / square(run);
  };
  const mean = (of: (seed: number) => number) =>
    [1, 2, 3, 4, 5, 6, 7, 8].reduce((a, seed) => a + of(seed), 0) / 8;

  it('Gaussian: E2M1 <= 0.013, within 10 % of integers', () => {
    const e2m1 = mean((seed) => errorOf(many(4096, gaussian(seed)), 'E2M1'));
    const int4 = mean((seed) => integer(many(4096, gaussian(seed))));
    expect(e2m1).toBeLessThanOrEqual(0.013);
    expect(Math.abs(int4 / e2m1 - 1)).toBeLessThanOrEqual(0.1);
  });

  it('Student-t with 3 degrees: E2M1 <= 0.7x integers', () => {
    const draw = (seed: number) => many(4096, studentT(seed, 3));
    const ratio = mean((seed) => errorOf(draw(seed), 'E2M1')) / mean((seed) => integer(draw(seed)));
    expect(ratio).toBeLessThanOrEqual(0.7);
  });

  it('Laplace: E2M1 <= 0.8x integers', () => {
    const draw = (seed: number) => many(4096, laplace(seed));
    const ratio = mean((seed) => errorOf(draw(seed), 'E2M1')) / mean((seed) => integer(draw(seed)));
    expect(ratio).toBeLessThanOrEqual(0.8);
  });

  it('uniform: E1M2 beats E2M1', () => {
    const draw = (seed: number) => {
      const next = uniform(seed);
      return many(4096, () => next() * 2 - 1);
    };
    expect(mean((seed) => errorOf(draw(seed), 'E1M2'))).toBeLessThanOrEqual(0.005);
    expect(mean((seed) => errorOf(draw(seed), 'E2M1'))).toBeGreaterThanOrEqual(0.008);
  });
});
