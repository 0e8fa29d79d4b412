// Draws inside a graph: equal to the host's words bit for bit, and statistically sound.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bernoulli,
  fromNumbers,
  graph,
  input,
  interpret,
  type NDArray,
  normal,
  pathKeys,
  randomBits,
  stepKeys,
  type Tensor,
  toNumbers,
  uniform,
  wordAt,
} from './index.js';

const step = input('step', 'i64', []);
const at = (value: number) => ({ step: fromNumbers('i64', [], [value]) });
const run = (tensor: Tensor, feeds: Record<string, NDArray> = {}) =>
  Array.from(toNumbers(interpret(graph({ tensor }), feeds).outputs.get('tensor') as NDArray));
const words = (seed: number, t: number, path: string, count: number) => {
  const keys = stepKeys(pathKeys(seed, path), t);
  return Uint32Array.from({ length: count }, (_, i) => wordAt(keys, i));
};

describe('draws inside a graph', () => {
  it('are the words of the host, for every seed, step and path', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 53 - 1),
        fc.nat(2 ** 32 - 1),
        fc.string({ maxLength: 9 }),
        (seed, t, path) => {
          const expected = Array.from(words(seed, t, path, 6));
          expect(run(randomBits([2, 3], { seed, step, path }), at(t))).toEqual(expected);
          expect(run(randomBits([6], { seed, step: t, path }))).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('are known numbers: a change of the function would break every resumed run', () => {
    expect(Array.from(words(0, 0, '', 2))).toEqual([2588416907, 253494317]);
    expect(Array.from(words(42, 7, 'layers.3.mlp.drop', 2))).toEqual([744079322, 25503288]);
  });

  it('take a step of any integer type, and no step', () => {
    const bits = (dtype: 'u32' | 'i32') => {
      const s = input('s', dtype, []);
      return run(randomBits([4], { seed: 1, step: s, path: 'p' }), {
        s: fromNumbers(dtype, [], [9]),
      });
    };
    expect(bits('u32')).toEqual(run(randomBits([4], { seed: 1, step, path: 'p' }), at(9)));
    expect(bits('i32')).toEqual(bits('u32'));
    expect(run(randomBits([4], { seed: 1, path: 'p' }))).toEqual(
      run(randomBits([4], { seed: 1, step: 0, path: 'p' })),
    );
  });

  it('fill symbolic and odd shapes', () => {
    const x = input('x', 'f32', ['batch', 3]);
    const feeds = { x: fromNumbers('f32', [5, 3], new Float32Array(15)) };
    const zero = x.mul(0);
    const here = { seed: 3, path: 'q' };
    const expected = Array.from(words(3, 0, 'q', 15), (w) => (w >>> 8) / 2 ** 24);
    expect(run(zero.add(uniform(x.shape, here)), feeds)).toEqual(expected);
    const kept = bernoulli(x.shape, 0.25, here).cast('f32').add(zero);
    const halves = Array.from(words(3, 0, 'q', 8));
    const bits = [...halves.map((w) => w >>> 16), ...halves.map((w) => w & 0xffff)];
    expect(run(kept, feeds)).toEqual(bits.slice(0, 15).map((b) => Number(b < 2 ** 14)));
    expect(run(normal(x.shape, here).add(zero), feeds).every(Number.isFinite)).toBe(true);
  });

  it('have f64 numbers of all 32 bits', () => {
    expect(run(uniform([3], { seed: 5, path: '' }, 'f64'))).toEqual(
      Array.from(words(5, 0, '', 3), (w) => w / 2 ** 32),
    );
  });

  it('decide for sure at probability 0 and 1', () => {
    const draw = (p: number) => run(bernoulli([3, 33], p, { seed: 1, path: 'r' }).cast('f32'));
    expect(new Set(draw(0))).toEqual(new Set([0]));
    expect(new Set(draw(1))).toEqual(new Set([1]));
  });

  it('refuse what is no seed, step or probability', () => {
    const draw = (seed: number, s: Tensor) => () => randomBits([1], { seed, step: s, path: '' });
    expect(draw(0.5, step)).toThrowError(expect.objectContaining({ code: 'random/seed' }));
    expect(draw(-1, step)).toThrowError(expect.objectContaining({ code: 'random/seed' }));
    const vector = input('v', 'i64', [1]);
    expect(draw(1, vector)).toThrowError(expect.objectContaining({ code: 'random/step' }));
    const float = input('f', 'f32', []);
    expect(draw(1, float)).toThrowError(expect.objectContaining({ code: 'random/step' }));
    expect(() => bernoulli([1], 1.5, { seed: 1, path: '' })).toThrowError(
      expect.objectContaining({ code: 'random/probability' }),
    );
  });

  it('cost few nodes', () => {
    expect(graph({ y: randomBits([8], { seed: 1, step, path: '' }) }).nodes.length).toBeLessThan(
      48,
    );
  });
});

/** Standard deviations between a count and what is expected of `n` trials of probability p. */
const deviations = (count: number, n: number, p: number) =>
  Math.abs(count - n * p) / Math.sqrt(n * p * (1 - p));

/** (chi-square - degrees) / sqrt(2 degrees): about normal. */
const chiSquare = (counts: ArrayLike<number>, n: number) => {
  const expected = n / counts.length;
  const sum = Array.from(counts).reduce((a, c) => a + (c - expected) ** 2 / expected, 0);
  return (sum - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
};

const ones = (x: number) => {
  let count = 0;
  for (let rest = x >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
};

describe('the words', () => {
  const n = 2 ** 18;
  const draws = [0, 1, 2, 1000, 2 ** 31].map((t) => words(11, t, 'h.0.drop', n));

  it('have bytes that are equally frequent, and so have pairs of neighbours', () => {
    for (const draw of draws) {
      for (const shift of [0, 8, 16, 24]) {
        const bytes = new Float64Array(256);
        const pairs = new Float64Array(256);
        draw.forEach((w, i) => {
          bytes[(w >>> shift) & 255]++;
          pairs[(((w >>> shift) & 15) << 4) | ((draw[(i + 1) % n] >>> shift) & 15)]++;
        });
        expect(Math.abs(chiSquare(bytes, n))).toBeLessThan(5);
        expect(Math.abs(chiSquare(pairs, n))).toBeLessThan(5);
      }
    }
  });

  it('have the mean and variance of uniform numbers', () => {
    for (const draw of draws) {
      const u = Array.from(draw, (w) => w / 2 ** 32 - 0.5);
      const mean = u.reduce((a, b) => a + b, 0) / n;
      const variance = u.reduce((a, b) => a + b * b, 0) / n;
      expect(Math.abs(mean) * Math.sqrt(12 * n)).toBeLessThan(5);
      expect(Math.abs(variance - 1 / 12) * Math.sqrt(180 * n)).toBeLessThan(5);
    }
  });

  const agreeing = (a: Uint32Array, b: Uint32Array, lag = 0) => {
    let equal = 0;
    for (let i = 0; i + lag < n; i++) equal += 32 - ones(a[i] ^ b[i + lag]);
    return deviations(equal, 32 * (n - lag), 0.5);
  };

  it('are not correlated between places, steps, paths and seeds', () => {
    const other = ['h.0.drop2', 'h.1.drop', 'h.0', ''].map((path) => words(11, 0, path, n));
    const seeds = [0, 10, 12, 11 + 2 ** 32].map((seed) => words(seed, 0, 'h.0.drop', n));
    const [draw] = draws;
    for (const lag of [1, 2, 3, 64, 256, 1000]) expect(agreeing(draw, draw, lag)).toBeLessThan(5);
    for (const b of [...draws.slice(1), ...other, ...seeds]) {
      for (const lag of [0, 1, 256]) expect(agreeing(draw, b, lag)).toBeLessThan(5);
    }
  });

  it('change half of their bits with any bit of the step', () => {
    for (let bit = 0; bit < 32; bit++) {
      const changed = words(11, (1 << bit) >>> 0, 'h.0.drop', 4096);
      let count = 0;
      for (let i = 0; i < 4096; i++) count += ones(changed[i] ^ draws[0][i]);
      expect(deviations(count, 32 * 4096, 0.5)).toBeLessThan(5);
    }
  });

  it('repeat a word as often as chance does', () => {
    // Birthdays: n^2 / 2^33 pairs of equal words are expected, which is 8.
    const seen = new Set(draws[3]);
    expect(n - seen.size).toBeLessThan(30);
  });
});

describe('the distributions', () => {
  it('normal: mean 0, variance 1, kurtosis 3, and both halves of the pairs', () => {
    const x = run(normal([2, 4096], { seed: 2, step, path: 'noise' }), at(3));
    const moment = (k: number, list = x) => list.reduce((a, b) => a + b ** k, 0) / list.length;
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(8192));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / 8192));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / 8192));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / 8192));
    const [a, b] = [x.slice(0, 4096), x.slice(4096)];
    const product = a.reduce((sum, v, i) => sum + v * b[i], 0) / 4096;
    expect(Math.abs(product)).toBeLessThan(5 / Math.sqrt(4096));
  });

  it.each([0.1, 0.5, 0.9])('bernoulli %f', (p) => {
    const kept = run(bernoulli([8192], p, { seed: 8, step, path: 'd' }).cast('f32'), at(1));
    const count = kept.reduce((a, b) => a + b, 0);
    expect(deviations(count, 8192, p)).toBeLessThan(5);
    const both = kept.slice(0, 4096).filter((k, i) => k && kept[4096 + i]).length;
    expect(deviations(both, 4096, p * p)).toBeLessThan(5);
  });
});
