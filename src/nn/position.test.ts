// Positions against plain definitions, and what makes rotations relative.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { fromNumbers, graph, input, interpret, type NDArray, toNumbers } from '../tensor/index.js';
import { type Rotary, rotaryTables, rotate, sinusoid } from './position.js';

const read = (y: NDArray | undefined): Float64Array => (y ? toNumbers(y) : new Float64Array());

/** The rotation of one head vector at a position, pair by pair. */
function naive(x: readonly number[], position: number, { base, width, layout }: Rotary): number[] {
  const out = [...x];
  for (let i = 0; i < width / 2; i++) {
    const [a, b] = layout === 'halves' ? [i, i + width / 2] : [2 * i, 2 * i + 1];
    const angle = position * base ** ((-2 * i) / width);
    out[a] = x[a] * Math.cos(angle) - x[b] * Math.sin(angle);
    out[b] = x[b] * Math.cos(angle) + x[a] * Math.sin(angle);
  }
  return out;
}

function rotated(x: NDArray, positions: readonly number[][], rotary: Rotary): Float64Array {
  const [batch, heads, , width] = x.shape;
  const at = input('at', 'i64', ['batch', 'seq']);
  const t = input('x', 'f32', ['batch', heads, 'seq', width]);
  const g = graph({ y: rotate(t, rotaryTables(at, rotary), rotary) });
  const feeds = { x, at: fromNumbers('i64', [batch, positions[0].length], positions.flat()) };
  return read(interpret(g, feeds).outputs.get('y'));
}

it('sinusoids are [sin p f, cos p f]', () => {
  const frequencies = [1, 0.1, 0.003];
  const positions = [0, 1, 7, 500];
  const g = graph({ y: sinusoid(input('p', 'i64', ['n']), frequencies) });
  const y = read(interpret(g, { p: fromNumbers('i64', [4], positions) }).outputs.get('y'));
  const wanted = positions.flatMap((p) => [
    ...frequencies.map((f) => Math.sin(p * f)),
    ...frequencies.map((f) => Math.cos(p * f)),
  ]);
  for (const [i, value] of wanted.entries()) expect(y[i]).toBeCloseTo(value, 4);
});

describe.each(['halves', 'pairs'] as const)('rotary positions, %s', (layout) => {
  it.each([8, 4, 2])(
    'turn the first %i of 8 features, each batch row by its positions',
    (width) => {
      const rotary = { base: 100, width, layout };
      const x = normalArray([2, 3, 4, 8], 1);
      const positions = [
        [0, 1, 2, 3],
        [9, 0, 100, 5],
      ];
      const found = rotated(x, positions, rotary);
      const values = toNumbers(x);
      for (let row = 0; row < 2 * 3 * 4; row++) {
        const position = positions[Math.floor(row / 12)][row % 4];
        const wanted = naive([...values.subarray(row * 8, row * 8 + 8)], position, rotary);
        for (const [i, value] of wanted.entries()) expect(found[row * 8 + i]).toBeCloseTo(value, 4);
      }
    },
  );

  it('give scores that depend on distance alone, and keep lengths', () => {
    const rotary = { base: 10000, width: 8, layout };
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 0, max: 200 }),
        (i, j, shift) => {
          const x = normalArray([1, 1, 2, 8], 3);
          const dot = (positions: number[]) => {
            const y = rotated(x, [positions], rotary);
            return y.subarray(0, 8).reduce((a, v, k) => a + v * y[8 + k], 0);
          };
          expect(dot([i + shift, j + shift])).toBeCloseTo(dot([i, j]), 3);
          const norm = (v: Float64Array) => v.subarray(0, 8).reduce((a, u) => a + u * u, 0);
          expect(norm(rotated(x, [[i, j]], rotary))).toBeCloseTo(norm(toNumbers(x)), 4);
        },
      ),
      { numRuns: 30 },
    );
  });
});

it('the layouts are one rotation in two orders of features', () => {
  const width = 8;
  const order = Array.from({ length: width }, (_, i) => (i % 2) * (width / 2) + (i >> 1));
  const x = normalArray([1, 1, 3, width], 4);
  const values = toNumbers(x);
  const shuffled = fromNumbers(
    'f32',
    x.shape,
    values.map((_, i) => values[i - (i % width) + order[i % width]]),
  );
  const halves = rotated(x, [[3, 4, 5]], { base: 50, width, layout: 'halves' });
  const pairs = rotated(shuffled, [[3, 4, 5]], { base: 50, width, layout: 'pairs' });
  pairs.forEach((value, i) => {
    expect(value).toBeCloseTo(halves[i - (i % width) + order[i % width]], 6);
  });
});
