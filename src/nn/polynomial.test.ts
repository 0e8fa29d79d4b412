// PolyReLU and PolyNorm against their definitions in float64, their gradients against central
// differences, and the edges: a ReLU within PolyReLU, rows of zeros, scales.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gaussian, many, normalArray } from '../../tests/support/draw.js';
import {
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  type NDArray,
  type Tensor,
  toNumbers,
} from '../tensor/index.js';
import { activation } from './activation.js';
import { polyNormOf, polyReluOf } from './polynomial.js';
import { Scope } from './scope.js';

const width = 6;
const read = (array: NDArray | undefined): Float64Array =>
  array ? toNumbers(array) : new Float64Array();

type Kind = {
  of: (x: Tensor, weight: Tensor, bias: Tensor) => Tensor;
  define: (row: readonly number[], a: readonly number[]) => number[];
};
/** a = [cubic, square, linear, constant] in both. */
const kinds: Record<string, Kind> = {
  polyrelu: {
    of: polyReluOf,
    define: (row, [a3, a2, a1, a0]) =>
      row.map((v) => {
        const r = Math.max(v, 0);
        return a0 + a1 * r + a2 * r ** 2 + a3 * r ** 3;
      }),
  },
  polynorm: {
    of: polyNormOf,
    define: (row, [a3, a2, a1, a0]) => {
      const normed = (power: number) => {
        const v = row.map((value) => value ** power);
        const scale = Math.sqrt(v.reduce((sum, value) => sum + value ** 2, 0) / v.length + 1e-6);
        return v.map((value) => value / scale);
      };
      const [n1, n2, n3] = [normed(1), normed(2), normed(3)];
      return row.map((_, i) => a0 + a1 * n1[i] + a2 * n2[i] + a3 * n3[i]);
    },
  },
};

function run(kind: Kind, rows: readonly (readonly number[])[], a: readonly number[]) {
  const count = rows[0].length;
  const x = input('x', 'f64', ['batch', count]);
  const [weight, bias] = [input('weight', 'f64', [3]), input('bias', 'f64', [1])];
  const seed = input('seed', 'f64', ['batch', count]);
  const y = kind.of(x, weight, bias);
  const [dx, dw, db] = grad(y.mul(seed).sum(), [x, weight, bias]);
  const draw = gaussian(5);
  const feeds = {
    x: fromNumbers('f64', [rows.length, count], rows.flat()),
    weight: fromNumbers('f64', [3], a.slice(0, 3)),
    bias: fromNumbers('f64', [1], a.slice(3)),
    seed: fromNumbers('f64', [rows.length, count], many(rows.flat().length, draw)),
  };
  const { outputs } = interpret(graph({ y, dx, dw, db }), feeds);
  const [gx, gw, gb] = ['dx', 'dw', 'db'].map((name) => read(outputs.get(name)));
  return { y: read(outputs.get('y')), seed: read(feeds.seed), gradients: [...gx, ...gw, ...gb] };
}

describe.each(Object.entries(kinds))('%s', (name, kind) => {
  const number = fc.double({ min: -5, max: 5, noNaN: true });
  const row = fc.array(number, { minLength: width, maxLength: width });
  const coefficients = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), {
    minLength: 4,
    maxLength: 4,
  });

  it('is its definition', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 3 }), coefficients, (rows, a) => {
        const wanted = rows.flatMap((one) => kind.define(one, a));
        run(kind, rows, a).y.forEach((value, i) => {
          expect(Math.abs(value - wanted[i])).toBeLessThan(1e-9 * (1 + Math.abs(wanted[i])));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('has the gradients of its definition, for its input and its coefficients', () => {
    const rows = [
      [0.3, -1.2, 2.5, 0.7, -0.4, 1.9],
      [-3, 0.1, 0.2, 4.4, -2.2, 0.9],
    ];
    const a = [0.5, -0.3, 0.8, 0.1];
    const { gradients, seed } = run(kind, rows, a);
    const at = (values: readonly number[]): number => {
      const given = rows.map((_, b) => values.slice(b * width, (b + 1) * width));
      const y = given.flatMap((one) => kind.define(one, values.slice(2 * width)));
      return y.reduce((sum, v, i) => sum + v * seed[i], 0);
    };
    const start = [...rows.flat(), ...a];
    const h = 1e-5;
    start.forEach((value, i) => {
      const [up, down] = [value + h, value - h].map((v) => at(start.with(i, v)));
      expect(gradients[i]).toBeCloseTo((up - down) / (2 * h), 5);
    });
  });

  it('stands in a module with trained coefficients a third each', () => {
    const root = Scope.root();
    const act = activation(name, root.at('mlp', 'activation'));
    act(input('x', 'f32', ['n', 4]));
    const { stored } = root.declarations;
    expect([...stored.keys()]).toEqual(['mlp.activation.weight', 'mlp.activation.bias']);
    expect(stored.get('mlp.activation.weight')).toMatchObject({
      shape: [3],
      init: { kind: 'constant', value: 1 / 3 },
    });
    expect(() => activation(name)).toThrowError(
      expect.objectContaining({ code: 'nn/activation', what: expect.stringContaining(name) }),
    );
  });
});

it('PolyReLU with coefficients 0, 1, 0, 0 is ReLU to the bit', () => {
  const x = normalArray([400], 1, 3);
  const t = input('x', 'f32', [400]);
  const constants = { weight: [0, 0, 1], bias: [0] };
  const y = polyReluOf(t, input('weight', 'f32', [3]), input('bias', 'f32', [1]));
  const { outputs } = interpret(graph({ y, relu: t.relu() }), {
    x,
    weight: fromNumbers('f32', [3], constants.weight),
    bias: fromNumbers('f32', [1], constants.bias),
  });
  expect(outputs.get('y')?.data).toEqual(outputs.get('relu')?.data);
});

it('PolyNorm of a row of zeros is its constant, with a finite gradient', () => {
  const { y, gradients } = run(kinds.polynorm, [[0, 0, 0, 0]], [1, 1, 1, 0.25]);
  expect([...y]).toEqual([0.25, 0.25, 0.25, 0.25]);
  expect(gradients.every(Number.isFinite)).toBe(true);
});
