// Relative positions against plain definitions, and what makes them relative.
import { describe, expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { fromNumbers, graph, input, interpret, type NDArray, toNumbers } from '../tensor/index.js';
import { sinusoidPositions } from './position-table.js';
import { alibiBias, alibiSlopes, t5Bias, t5Bucket } from './relative-bias.js';
import { Scope } from './scope.js';

const read = (y: NDArray | undefined): Float64Array => (y ? toNumbers(y) : new Float64Array());
const feeds = (queries: number[][], keys: number[][]) => ({
  q: fromNumbers('i64', [queries.length, queries[0].length], queries.flat()),
  k: fromNumbers('i64', [keys.length, keys[0].length], keys.flat()),
});
const q = () => input('q', 'i64', ['batch', 'queries']);
const k = () => input('k', 'i64', ['batch', 'keys']);

describe('ALiBi', () => {
  it('has the published slopes for 8, 12 and 16 heads', () => {
    const halves = (count: number) => Array.from({ length: count }, (_, h) => 2 ** -(h + 1));
    expect(alibiSlopes(8)).toEqual(halves(8));
    const sixteen = Array.from({ length: 16 }, (_, h) => 2 ** (-(h + 1) / 2));
    alibiSlopes(16).forEach((slope, h) => {
      expect(slope).toBeCloseTo(sixteen[h], 12);
    });
    const between = [0.5, 1.5, 2.5, 3.5].map((power) => 2 ** -power);
    alibiSlopes(12).forEach((slope, h) => {
      expect(slope).toBeCloseTo([...halves(8), ...between][h], 12);
    });
    expect(alibiSlopes(1)).toEqual([2 ** -8]);
  });

  it('is -slope |i - j|, each batch row by its positions', () => {
    const [queries, keys] = [
      [
        [3, 4],
        [0, 9],
      ],
      [
        [0, 1, 4],
        [7, 8, 9],
      ],
    ];
    const g = graph({ y: alibiBias(q(), k(), 3) });
    const y = read(interpret(g, feeds(queries, keys)).outputs.get('y'));
    const wanted = queries.flatMap((row, b) =>
      alibiSlopes(3).flatMap((slope) =>
        row.flatMap((i) => keys[b].map((j) => -slope * Math.abs(i - j))),
      ),
    );
    wanted.forEach((value, at) => {
      expect(y[at]).toBeCloseTo(value, 6);
    });
  });

  it('gives the weights of the other convention, + slope j', () => {
    const n = 40;
    const places = [Array.from({ length: n }, (_, i) => i)];
    const slope = alibiSlopes(4)[1];
    const scores = [...normalArray([n], 3).data].map(Number);
    const g = graph({ y: alibiBias(q(), k(), 4) });
    const y = read(interpret(g, feeds([[n - 1]], places)).outputs.get('y'));
    const softmax = (values: number[]) => {
      const exps = values.map((v) => Math.exp(v - Math.max(...values)));
      return exps.map((e) => e / exps.reduce((a, b) => a + b, 0));
    };
    const ours = softmax(scores.map((score, j) => score + y[n + j]));
    const theirs = softmax(scores.map((score, j) => score + slope * j));
    ours.forEach((weight, j) => {
      expect(Math.abs(weight - theirs[j])).toBeLessThan(1e-6);
    });
  });
});

describe('T5 buckets', () => {
  // The causal table of 32 buckets up to 128: [first distance, bucket].
  const starts = [
    ...Array.from({ length: 16 }, (_, d) => d),
    ...[16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113],
  ];

  it('follow the table for distances 0..300', () => {
    for (let d = 0; d <= 300; d++) {
      const wanted = starts.filter((start) => start <= d).length - 1;
      expect([d, t5Bucket(d, { buckets: 32, maxDistance: 128 })]).toEqual([d, wanted]);
    }
    expect(t5Bucket(-5, { buckets: 32, maxDistance: 128 })).toBe(0);
  });

  it('of both directions use one half each', () => {
    const o = { buckets: 32, maxDistance: 128, bidirectional: true };
    expect([0, 3, 7, 8, 127, 500].map((d) => t5Bucket(d, o))).toEqual([0, 3, 7, 8, 15, 15]);
    expect([-1, -7, -500].map((d) => t5Bucket(d, o))).toEqual([17, 23, 31]);
  });

  it('read their row of the table for every head', () => {
    const root = Scope.root();
    const o = { heads: 2, buckets: 8, maxDistance: 20 };
    const g = graph({ y: t5Bias(root.at('rel'), q(), k(), o) });
    const table = normalArray([8, 2], 1);
    const [queries, keys] = [[[0, 5, 60]], [[0, 2, 5, 59]]];
    const { outputs } = interpret(g, feeds(queries, keys), { 'rel.weight': table });
    const rows = toNumbers(table);
    const wanted = [0, 1].flatMap((h) =>
      queries[0].flatMap((i) => keys[0].map((j) => rows[2 * t5Bucket(i - j, o) + h])),
    );
    expect([...read(outputs.get('y'))]).toEqual(wanted);
  });
});

it('sinusoids use base^(-2k/width), sines first', () => {
  const g = graph({ y: sinusoidPositions(input('p', 'i64', ['b', 'n']), 6) });
  const y = read(interpret(g, { p: fromNumbers('i64', [1, 2], [0, 31]) }).outputs.get('y'));
  const angles = [0, 1, 2].map((i) => 31 * 10000 ** (-i / 3));
  const wanted = [0, 0, 0, 1, 1, 1, ...angles.map(Math.sin), ...angles.map(Math.cos)];
  wanted.forEach((value, i) => {
    expect(y[i]).toBeCloseTo(value, 5);
  });
});
