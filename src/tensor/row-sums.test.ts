import { describe, expect, it } from 'vitest';
import { fromNumbers, grad, graph, input, interpret, type NDArray, toNumbers } from './index.js';
import { shareRowSums } from './row-sums.js';
import { simplify } from './simplify.js';

const random = (shape: readonly number[], seed: number): NDArray =>
  fromNumbers(
    'f64',
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + 1.3 * i)),
  );
const feeds = { q: random([2, 5, 3], 1), k: random([2, 7, 3], 2), v: random([2, 7, 4], 3) };

describe('row sums', () => {
  const q = input('q', 'f64', ['b', 'n', 3]);
  const k = input('k', 'f64', ['b', 'm', 3]);
  const v = input('v', 'f64', ['b', 'm', 4]);
  const scores = q.matmul(k.swap(-1, -2)).mul(0.5);
  const out = scores.softmax().matmul(v).mul(3);
  const gradients = grad(out.mul(out).sum(), [q, k, v]);
  const whole = graph(Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])));
  const numbers = (g: typeof whole) =>
    [...interpret(g, feeds).outputs.values()].map((array) => [...toNumbers(array)]);
  const isWide = (shape: readonly unknown[]) => shape.length === 3 && String(shape.at(-1)) === 'm';

  it('of a softmax gradient come from the output', () => {
    const simplified = simplify(whole);
    numbers(simplified).forEach((list, i) => {
      list.forEach((value, j) => {
        expect(value).toBeCloseTo(numbers(whole)[i][j], 10);
      });
    });
    const sums = simplified.nodes.filter(({ row }) => row.name === 'sum');
    expect(sums.length).toBeGreaterThan(0);
    for (const { inputs } of sums) expect(isWide(inputs[0].shape)).toBe(false);
  });

  it('stay where the other product is not computed, or lies otherwise', () => {
    const [a, p] = [q.matmul(k.swap(-1, -2)), scores.exp()];
    for (const other of [v, p.matmul(v), p.swap(-1, -2).matmul(q)]) {
      const g = simplify(graph({ y: a.mul(p).sum(-1), other }));
      expect(shareRowSums(g).nodes.length).toBe(g.nodes.length);
      const [y] = g.outputs.values();
      expect(isWide(y.node.inputs[0].shape)).toBe(true);
    }
  });

  it('keep scales and signs', () => {
    const p = scores.tanh();
    const g = graph({
      y: q.matmul(k.swap(-1, -2)).mul(2).mul(p).sum(-1),
      o: p.matmul(k).mul(-4),
      v,
    });
    const [before, after] = [numbers(g), numbers(simplify(g))];
    before[0].forEach((value, i) => {
      expect(after[0][i]).toBeCloseTo(value, 12);
    });
  });
});
