// Dropout over a scope: masks, scale, gradient, evaluation.
import { describe, expect, it } from 'vitest';
import {
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  type NDArray,
  toNumbers,
} from '../tensor/index.js';
import { dropout } from './dropout.js';
import { Scope } from './scope.js';

const s = Scope.root();
const step = input('step', 'i64', []);
const x = input('x', 'f32', ['batch', 32]);
const run = (tensors: Record<string, typeof x>, t = 0) => {
  const g = graph(tensors);
  const feeds: Record<string, NDArray> = {
    x: fromNumbers('f32', [64, 32], new Float32Array(2048).fill(1)),
    ...(g.inputs.has('step') ? { step: fromNumbers('i64', [], [t]) } : {}),
  };
  const { outputs } = interpret(g, feeds);
  return Object.keys(tensors).map((name) => Array.from(toNumbers(outputs.get(name) as NDArray)));
};

describe('dropout', () => {
  const state = { seed: 4, step };

  it('zeroes a share of the elements and scales the rest, the same in the gradient', () => {
    const y = dropout(s.at('mlp', 'drop'), x, 0.25, state);
    const [values, slopes] = run({ y, dx: grad(y.sum(), [x])[0] });
    expect(new Set(values)).toEqual(new Set([0, Math.fround(4 / 3)]));
    expect(slopes).toEqual(values);
    const dropped = values.filter((v) => v === 0).length;
    expect(Math.abs(dropped - 512)).toBeLessThan(5 * Math.sqrt(2048 * 0.25 * 0.75));
  });

  it('has another mask at another step and path, and the same one for the same', () => {
    const draw = (path: string, t: number) =>
      run({ y: dropout(s.at(path), x, 0.5, state) }, t)[0].join();
    expect(draw('a', 1)).toBe(draw('a', 1));
    expect(draw('a', 1)).not.toBe(draw('a', 2));
    expect(draw('a', 1)).not.toBe(draw('b', 1));
  });

  it('is the identity in evaluation and at rate 0', () => {
    expect(dropout(s, x, 0.5, undefined)).toBe(x);
    expect(dropout(s, x, 0, state)).toBe(x);
  });

  it('scales by what it really keeps', () => {
    const [values] = run({ y: dropout(s, x, 1 / 3, state) });
    const kept = Math.round((2 / 3) * 65536) / 65536;
    expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / kept)]));
  });

  it.each([1, -0.1, Number.NaN])('refuses the rate %f', (rate) => {
    expect(() => dropout(s, x, rate, state)).toThrowError(
      expect.objectContaining({ code: 'nn/dropout' }),
    );
  });
});
