// Pooling over a grid, against a loop over the neighbours; the conformance suite has the line.
import { expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { expectNear, maskOf } from '../../tests/support/mixer-run.js';
import { Scope } from '../nn/index.js';
import { fromNumbers, graph, input, interpret, type NDArray, toNumbers } from '../tensor/index.js';
import { resolveMixer } from './registry.js';

const [batch, rows, columns, width] = [2, 4, 5, 3];
const seq = rows * columns;

function pooled(x: NDArray, options: object, mask?: NDArray): Float64Array {
  const resolved = resolveMixer('pooling', options);
  const t = input('x', 'f32', [x.shape[0], x.shape[1], x.shape[2]]);
  const given = mask ? input('mask', 'bool', mask.shape) : undefined;
  const y = resolved.mixer.mix(Scope.root(), t, resolved.options, { mask: given });
  const found = interpret(graph({ y }), mask ? { x, mask } : { x }).outputs.get('y');
  return toNumbers(found as NDArray);
}

function naive(x: NDArray, sees: (b: number, i: number, j: number) => boolean): number[] {
  const values = toNumbers(x);
  const out: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < seq; i++) {
      const near: number[] = [];
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const [r, c] = [Math.floor(i / columns) + dy, (i % columns) + dx];
          const j = r * columns + c;
          if (r >= 0 && r < rows && c >= 0 && c < columns && sees(b, i, j)) near.push(j);
        }
      }
      for (let f = 0; f < width; f++) {
        const at = (j: number) => values[(b * seq + j) * width + f];
        out.push(near.reduce((sum, j) => sum + at(j), 0) / near.length - at(i));
      }
    }
  }
  return out;
}

const x = normalArray([batch, seq, width], 1);

it('is the mean of up to nine neighbours minus the token: a corner has four', () => {
  expectNear(
    pooled(x, { columns }),
    naive(x, () => true),
    1e-6,
  );
});

it('with a mask counts the neighbours that are seen', () => {
  const sees = (b: number, i: number, j: number) => i === j || (7 * i + 3 * j + b) % 4 !== 0;
  expectNear(pooled(x, { columns }, maskOf(batch, seq, seq, sees)), naive(x, sees), 1e-6);
});

it('of a constant picture is exactly nothing', () => {
  const flat = fromNumbers('f32', [1, seq, 1], new Float64Array(seq).fill(0.3));
  expect([...pooled(flat, { columns })].every((value) => value === 0)).toBe(true);
});

it('refuses an even window', () => {
  expect(() => resolveMixer('pooling', { window: 2 })).toThrowError(
    expect.objectContaining({ code: 'mixer/options', what: expect.stringContaining('window') }),
  );
});
