import { describe, expect, it } from 'vitest';
import {
  concat,
  cost,
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  type NDArray,
  parameter,
  recompute,
  type Tensor,
  tap,
  toNumbers,
} from './index.js';
import { simplify } from './simplify.js';

const WIDTH = 4;
const LAYERS = 6;
const random = (shape: readonly number[], seed: number): NDArray =>
  fromNumbers(
    'f64',
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + 1.7 * i)),
  );

const weight = (i: number): Tensor => parameter(`w${i}`, 'f64', [WIDTH, WIDTH]);
/** Wide inside, narrow at its edges. */
const layer = (x: Tensor, i: number, shift: Tensor): Tensor => {
  const h = concat(
    [1, 2, 3, 4].map((k) => x.matmul(weight(i)).mul(k).add(shift).tanh()),
    -1,
  );
  return h.mul(h.exp()).reshape(-1, 4, WIDTH).mean(1).add(x).tag(`layer.${i}`);
};

function loss(again: boolean): Tensor {
  const shift = input('shift', 'f64', [WIDTH]).mul(2);
  let x = input('x', 'f64', ['n', WIDTH]);
  for (let i = 0; i < LAYERS; i++) {
    const y = layer(x, i, shift);
    x = again ? recompute(x, y) : y;
  }
  return x.mul(x).sum();
}

const wrt = (): Tensor[] => [
  input('x', 'f64', ['n', WIDTH]),
  input('shift', 'f64', [WIDTH]),
  ...Array.from({ length: LAYERS }, (_, i) => weight(i)),
];
const feeds = { x: random([5, WIDTH], 1), shift: random([WIDTH], 2) };
const parameters = Object.fromEntries(
  Array.from({ length: LAYERS }, (_, i) => [`w${i}`, random([WIDTH, WIDTH], 10 + i)]),
);
const gradients = (again: boolean) => {
  const l = loss(again);
  return graph({ l, ...Object.fromEntries(grad(l, wrt()).map((g, i) => [`g${i}`, g])) });
};
const near = (found: readonly number[][], expected: readonly number[][]) => {
  expect(found.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  found.forEach((list, i) => {
    list.forEach((v, j) => {
      expect(Math.abs(v - expected[i][j])).toBeLessThan(1e-12 * (1 + Math.abs(expected[i][j])));
    });
  });
};
const values = (g: ReturnType<typeof graph>): number[][] =>
  [...interpret(g, feeds, parameters).outputs.values()].map((array) => [...toNumbers(array)]);

describe('recompute', () => {
  it('gives the same value and the same gradients', () => {
    near(values(gradients(true)), values(gradients(false)));
  });

  it('survives simplification, keeps less and computes more', () => {
    const [kept, again] = [simplify(gradients(false)), simplify(gradients(true))];
    near(values(again), values(kept));
    const [before, now] = [cost(kept, { n: 1000 }), cost(again, { n: 1000 })];
    expect(now.peakActivationBytes).toBeLessThan(before.peakActivationBytes / 2);
    expect(now.flops).toBeGreaterThan(before.flops);
    expect(now.flops).toBeLessThan(before.flops * 1.5);
  });

  it('can be differentiated twice', () => {
    const second = (again: boolean) => {
      const [g] = grad(loss(again), [weight(2)]);
      return graph({ d: grad(g.mul(g).sum(), [weight(1)])[0] });
    };
    near(values(second(true)), values(second(false)));
  });

  it('leaves one tag a module', () => {
    const g = gradients(true);
    expect([...g.tags.keys()]).toEqual(Array.from({ length: LAYERS }, (_, i) => `layer.${i}`));
    expect(tap(g, 'layer.3').shape.length).toBe(2);
  });
});
