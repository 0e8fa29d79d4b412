// Running maxima, by doubling and by a scan, against a loop.
import { describe, expect, it } from 'vitest';
import {
  cummax,
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  type NDArray,
  type Tensor,
  toNumbers,
} from './index.js';

const values = [3, 1, 4, 1, -5, 9, 2, 6, 5, 3, 5, 8, 9, 7];
const x = fromNumbers('f64', [2, 7], values);
const run = (y: Tensor) =>
  Array.from(toNumbers(interpret(graph({ y }), { x }).outputs.get('y') as NDArray));

describe('cummax', () => {
  const fixed = input('x', 'f64', [2, 7]);
  const named = input('x', 'f64', ['n', 'm']);

  it.each([
    ['fixed', fixed],
    ['named', named],
  ])('of a %s size', (_, leaf) => {
    expect(run(cummax(leaf, 1))).toEqual([3, 3, 4, 4, 4, 9, 9, 6, 6, 6, 6, 8, 9, 9]);
    expect(run(cummax(leaf, -1, { reverse: true }))).toEqual([
      9, 9, 9, 9, 9, 9, 2, 9, 9, 9, 9, 9, 9, 7,
    ]);
    expect(run(cummax(leaf, 0))).toEqual([...values.slice(0, 7), 6, 5, 4, 5, 8, 9, 7]);
    // Every place takes the gradient of those where it is the largest so far.
    expect(run(grad(cummax(leaf, 1).sum(), [leaf])[0])).toEqual([
      2, 0, 3, 0, 0, 2, 0, 4, 0, 0, 0, 1, 2, 0,
    ]);
  });

  it('of integers, in few nodes', () => {
    const whole = input('x', 'i32', [1000]);
    const g = graph({ y: cummax(whole, 0) });
    expect(g.nodes.length).toBeLessThan(60);
    const data = Int32Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1009);
    const y = interpret(g, { x: { dtype: 'i32', shape: [1000], data } }).outputs.get(
      'y',
    ) as NDArray;
    let largest = -1;
    expect(Array.from(y.data, Number)).toEqual(
      Array.from(data, (v) => {
        largest = Math.max(largest, v);
        return largest;
      }),
    );
  });
});
