// Linear maps, embeddings, activations and norms against plain definitions; errors that say where.
import { describe, expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { frozen } from '../../tests/support/frozen.js';
import {
  AnyformerError,
  fromNumbers,
  graph,
  input,
  interpret,
  type NDArray,
  type Tensor,
  tap,
  toNumbers,
} from '../tensor/index.js';
import { activation, activations } from './activation.js';
import { embedding, linear } from './linear.js';
import { layerNorm, rmsNorm } from './norm.js';
import { Scope } from './scope.js';

function run(
  build: (root: Scope) => Tensor,
  feeds: Readonly<Record<string, NDArray>>,
  stored: Readonly<Record<string, NDArray>> = {},
): number[] {
  const root = Scope.root();
  const g = graph({ y: build(root) });
  const parameters = frozen(g, root.declarations, new Map(Object.entries(stored)));
  const y = interpret(g, feeds, parameters).outputs.get('y');
  return y ? [...toNumbers(y)] : [];
}

const close = (found: readonly number[], wanted: readonly number[], digits = 5): void => {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, digits);
};

const rowsOf = (array: NDArray): number[][] => {
  const width = array.shape.at(-1) ?? 1;
  const values = [...toNumbers(array)];
  return Array.from({ length: values.length / width }, (_, i) =>
    values.slice(i * width, (i + 1) * width),
  );
};

it('linear is x W^T + b, and tags what enters and leaves', () => {
  const x = normalArray([2, 3, 5], 1);
  const [weight, bias] = [normalArray([4, 5], 2), normalArray([4], 3)];
  const stored = { 'fc.weight': weight, 'fc.bias': bias };
  const build = (root: Scope) =>
    linear(root.at('fc'), input('x', 'f32', ['b', 's', 5]), 4, { bias: true });
  const wanted = rowsOf(x).flatMap((row) =>
    rowsOf(weight).map((w, i) => w.reduce((a, v, k) => a + v * row[k], Number(bias.data[i]))),
  );
  close(run(build, { x }, stored), wanted);
  const g = graph({ y: build(Scope.root()) });
  expect([...g.tags.keys()]).toEqual(['fc.input', 'fc']);
  expect(String(tap(g, 'fc.input'))).toBe('f32[b, s, 5]');
  expect([...g.parameters.keys()]).toEqual(['fc.weight', 'fc.bias']);
});

it('embedding takes rows, and a tied head is one stored matrix with both roles', () => {
  const table = normalArray([7, 3], 4);
  const ids = fromNumbers('i64', [1, 4], [6, 0, 6, 2]);
  const build = (root: Scope) => embedding(root.at('wte'), input('ids', 'i64', ['b', 's']), 7, 3);
  const rows = rowsOf(table);
  close(
    run(build, { ids }, { 'wte.weight': table }),
    [6, 0, 6, 2].flatMap((id) => rows[id]),
    6,
  );
  const tied = Scope.root();
  linear(tied.at('wte'), build(tied), 7);
  expect([...tied.declarations.stored.keys()]).toEqual(['wte.weight']);
  expect(tied.declarations.matrices.get('wte')?.roles.size).toBe(2);
});

describe('norms', () => {
  const x = normalArray([3, 6], 5, 3);
  const [gain, bias] = [normalArray([6], 6), normalArray([6], 7)];
  const mean = (row: readonly number[]) => row.reduce((a, v) => a + v, 0) / row.length;
  const entry = (root: Scope) => ({ s: root.at('n'), x: input('x', 'f32', ['b', 6]) });

  it.each([true, false])('layer norm, bias %s', (withBias) => {
    const wanted = rowsOf(x).flatMap((row) => {
      const m = mean(row);
      const deviation = Math.sqrt(mean(row.map((v) => (v - m) ** 2)) + 0.1);
      return row.map(
        (v, i) =>
          ((v - m) / deviation) * Number(gain.data[i]) + (withBias ? Number(bias.data[i]) : 0),
      );
    });
    const stored: Record<string, NDArray> = { 'n.weight': gain };
    if (withBias) stored['n.bias'] = bias;
    const build = (root: Scope) => {
      const { s, x: t } = entry(root);
      return layerNorm({ eps: 0.1, bias: withBias })(s, t);
    };
    close(run(build, { x }, stored), wanted);
  });

  it('RMS norm', () => {
    const wanted = rowsOf(x).flatMap((row) => {
      const root = Math.sqrt(mean(row.map((v) => v * v)) + 0.1);
      return row.map((v, i) => (v / root) * Number(gain.data[i]));
    });
    const build = (root: Scope) => {
      const { s, x: t } = entry(root);
      return rmsNorm({ eps: 0.1 })(s, t);
    };
    close(run(build, { x }, { 'n.weight': gain }), wanted);
  });
});

/** 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x, by Simpson's rule. */
function erf(x: number): number {
  const step = x / 1000;
  let sum = 0;
  for (let i = 0; i < 1000; i += 2) {
    sum += Math.exp(-((i * step) ** 2)) + 4 * Math.exp(-(((i + 1) * step) ** 2));
    sum += Math.exp(-(((i + 2) * step) ** 2));
  }
  return (2 / Math.sqrt(Math.PI)) * (step / 3) * sum;
}

describe('activations', () => {
  const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
  const tanhGelu = (v: number) =>
    0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  const definitions: Readonly<Record<string, (v: number) => number>> = {
    relu: (v) => Math.max(0, v),
    relu2: (v) => Math.max(0, v) ** 2,
    gelu: (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
    gelu_new: tanhGelu,
    gelu_pytorch_tanh: tanhGelu,
    quick_gelu: (v) => v * sigmoid(1.702 * v),
    silu: (v) => v * sigmoid(v),
    swish: (v) => v * sigmoid(v),
    tanh: Math.tanh,
    sigmoid,
    identity: (v) => v,
  };

  it('are all defined here', () => {
    expect(Object.keys(definitions).sort()).toEqual(Object.keys(activations).sort());
  });

  it.each(Object.keys(definitions))('%s', (name) => {
    const values = [-30, -3, -1, -0.2, 0, 0.2, 1, 3, 30];
    const x = fromNumbers('f32', [values.length], values);
    const build = () => activation(name)(input('x', 'f32', [values.length]));
    close(run(build, { x }), [...toNumbers(x)].map(definitions[name]), 5);
  });

  it('suggests a name for an unknown one, and takes none from the prototype', () => {
    expect(() => activation('gelo')).toThrowError(
      expect.objectContaining({ code: 'nn/activation', hint: 'did you mean gelu?' }),
    );
    expect(() => activation('constructor')).toThrow(AnyformerError);
  });
});

describe('errors', () => {
  it('name the module path, the kinds of modules and the operands', () => {
    const s = Scope.root().at('h', 3, 'mlp');
    const broken = () =>
      s.module('mlp', () =>
        s
          .at('c_fc')
          .module('linear', () => input('x', 'f32', [2, 8]).matmul(input('w', 'f32', [4, 9]))),
      );
    expect(broken).toThrow(/h\.3\.mlp\.c_fc > linear > matmul: f32\[2, 8\] x f32\[4, 9\]/);
  });

  it('say that a width must be known', () => {
    const x = input('x', 'f32', [2, 'width']);
    expect(() => linear(Scope.root().at('h.0.fc'), x, 4)).toThrowError(
      expect.objectContaining({
        code: 'nn/width',
        what: expect.stringContaining('h.0.fc'),
        found: 'f32[2, width]',
      }),
    );
  });

  it('name the matrix whose format is unknown or has a wrong option', () => {
    const build = (format: string, more = {}) => {
      const s = Scope.root({ format: () => ({ format, ...more }) });
      return () => linear(s.at('h.0.fc'), input('x', 'f32', [2, 8]), 4);
    };
    expect(build('fp5')).toThrowError(
      expect.objectContaining({
        code: 'format/unknown',
        what: expect.stringContaining('h.0.fc'),
        hint: 'did you mean fp4?',
      }),
    );
    for (const more of [
      {},
      { bits: 3, block: 32 },
      { bits: 4, block: 512 },
      { bits: 4, block: 32, size: 1 },
    ]) {
      expect(build('block-int', more)).toThrowError(
        expect.objectContaining({
          code: 'format/options',
          what: expect.stringContaining('h.0.fc'),
        }),
      );
    }
  });
});
