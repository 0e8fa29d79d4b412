// The channel mixers against their definitions in plain loops, and the names they give to weights.
import { expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { frozen } from '../../tests/support/frozen.js';
import { Scope } from '../nn/index.js';
import { graph, input, interpret, type NDArray, type Tensor, toNumbers } from '../tensor/index.js';
import { gatedMlp } from './gated-mlp.js';
import { mlp } from './mlp.js';

const width = 5;
const hidden = 7;
const x = normalArray([2, 3, width], 1);

function run(channel: (s: Scope, x: Tensor) => Tensor) {
  const root = Scope.root();
  const y = channel(root.at('h.0.mlp'), input('x', 'f32', ['batch', 'seq', width]));
  const stored = new Map<string, NDArray>();
  for (const [i, { name, shape }] of [...root.declarations.stored.values()].entries()) {
    stored.set(name, normalArray(shape, 10 + i));
  }
  const g = graph({ y });
  const found = interpret(g, { x }, frozen(g, root.declarations, stored)).outputs.get('y');
  /** W v + b of the linear map of a name. */
  const apply = (name: string, v: readonly number[]): number[] => {
    const weight = stored.get(`h.0.mlp.${name}.weight`) as NDArray;
    const bias = stored.get(`h.0.mlp.${name}.bias`);
    const rows = toNumbers(weight);
    return Array.from({ length: weight.shape[0] }, (_, r) =>
      v.reduce((a, value, k) => a + value * rows[r * v.length + k], Number(bias?.data[r] ?? 0)),
    );
  };
  return { g, stored, apply, y: toNumbers(found as NDArray) };
}

function expectTokens(y: Float64Array, define: (v: readonly number[]) => readonly number[]): void {
  const values = toNumbers(x);
  for (let t = 0; t < 6; t++) {
    const wanted = define([...values.subarray(t * width, (t + 1) * width)]);
    for (const [i, value] of wanted.entries()) expect(y[t * width + i]).toBeCloseTo(value, 4);
  }
}

it.each([true, false])('mlp: down(act(up(x))), bias %s', (bias) => {
  const names = { up: 'c_fc', down: 'c_proj' };
  const { g, stored, apply, y } = run(mlp({ hidden, activation: 'relu', bias, names }));
  expectTokens(y, (v) =>
    apply(
      'c_proj',
      apply('c_fc', v).map((u) => Math.max(0, u)),
    ),
  );
  expect(stored.has('h.0.mlp.c_fc.bias')).toBe(bias);
  expect(stored.get('h.0.mlp.c_proj.weight')?.shape).toEqual([width, hidden]);
  for (const tag of ['h.0.mlp', 'h.0.mlp.hidden']) expect([...g.tags.keys()]).toContain(tag);
});

it('gated mlp: down(act(gate(x)) * up(x)), without biases unless told', () => {
  const names = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };
  const { stored, apply, y } = run(gatedMlp({ hidden, activation: 'silu', names }));
  expectTokens(y, (v) => {
    const [gate, up] = [apply('gate_proj', v), apply('up_proj', v)];
    return apply(
      'down_proj',
      gate.map((u, i) => (u / (1 + Math.exp(-u))) * up[i]),
    );
  });
  expect([...stored.keys()].sort()).toEqual(
    Object.values(names)
      .map((name) => `h.0.mlp.${name}.weight`)
      .sort(),
  );
});
