import { describe, expect, it } from 'vitest';
import { elements, f32, f64, i64, range } from '../../tests/support/arrays.js';
import {
  AnyformerError,
  bindShapes,
  constant,
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  iota,
  type NDArray,
  parameter,
  scalar,
  type Tensor,
  within,
} from './index.js';

const x = input('x', 'f32', ['n', 3]);
const w = parameter('w', 'f32', [3, 'm']);
const g = graph({ y: x.matmul(w) }, { w: w.mul(2) });

const failure = (run: () => unknown): AnyformerError => {
  try {
    run();
  } catch (error) {
    if (error instanceof AnyformerError) return error;
  }
  return expect.fail('nothing was refused');
};
const output = (from: Graph, feeds: Record<string, NDArray>, sizes = {}) =>
  elements(interpret(from, feeds, {}, sizes).outputs.get('y') ?? f32([0], []));

describe('interpret', () => {
  it('runs a graph on inputs and parameters, and gives their next values', () => {
    const { outputs, updates } = interpret(
      g,
      { x: f32([1, 3], [1, 2, 3]) },
      { w: f32([3, 1], [1, 10, 100]) },
    );
    expect([...outputs].map(([name, y]) => [name, y.shape, elements(y)])).toEqual([
      ['y', [1, 1], [321]],
    ]);
    expect([...updates].map(([name, y]) => [name, elements(y)])).toEqual([['w', [2, 20, 200]]]);
  });

  it('leaves what it was fed as it was', () => {
    const fed = f64([3], [3, 1, 2]);
    const a = input('a', 'f64', ['n']);
    const y = a.cumsum(0).mul(a.softmax()).scatterElements(iota('n'), a.neg(), 0, 'add');
    interpret(graph({ y, r: a.unsqueeze(1).neg() }), { a: fed });
    expect(elements(fed)).toEqual([3, 1, 2]);
  });

  it('refuses what does not fit, naming input, type and sizes', () => {
    const feeds = { x: f32([1, 3], [1, 2, 3]) };
    const held = { w: f32([3, 1], [1, 1, 1]) };
    const cases: readonly (readonly [
      Record<string, NDArray>,
      Record<string, NDArray>,
      string,
      RegExp,
    ])[] = [
      [{}, held, 'run/missing-input', /'x' was not given[\s\S]*f32\[n, 3\]/],
      [feeds, {}, 'run/missing-input', /'w' was not given/],
      [{ ...feeds, ids: i64([1], [1]) }, held, 'run/unknown-input', /no input 'ids'[\s\S]*x/],
      [{ x: f32([3], [1, 2, 3]) }, held, 'run/shape', /f32\[n, 3\][\s\S]*f32\[3\]/],
      [{ x: f64([1, 3], [1, 2, 3]) }, held, 'run/shape', /f64\[1, 3\]/],
      [{ x: f32([1, 2], [1, 2]) }, held, 'run/shape', /n = 1[\s\S]*f32\[1, 2\]/],
    ];
    for (const [fed, parameters, code, message] of cases) {
      const error = failure(() => interpret(g, fed, parameters));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
    }
  });

  it('refuses one name with two sizes, also in a derived size', () => {
    const y = input('y', 'f32', ['n']);
    const long = x.pad(0, 1, 0).size(0);
    const z = input('z', 'f32', [long]);
    const sum = graph({ y: x.sum().add(y.sum()).add(z.sum()) });
    const feeds = { x: f32([2, 3], range(6)), y: f32([2], [1, 1]), z: f32([3], [1, 1, 1]) };
    expect(output(sum, feeds)).toEqual([20]);
    expect(failure(() => interpret(sum, { ...feeds, y: f32([3], [1, 1, 1]) })).code).toBe(
      'run/shape',
    );
    const error = failure(() => interpret(sum, { ...feeds, z: f32([2], [1, 1]) }));
    expect(error.message).toMatch(/'z' does not fit[\s\S]*f32\[n \+ 1\] with n = 2[\s\S]*f32\[2\]/);
  });

  it('takes sizes that no input tells', () => {
    const counting = graph({ y: iota('n') });
    expect(output(counting, {}, { n: 3 })).toEqual([0n, 1n, 2n]);
    expect(failure(() => output(counting, {})).code).toBe('tensor/unbound');
    const error = failure(() =>
      interpret(graph({ x }), { x: f32([1, 3], [1, 2, 3]) }, {}, { n: 2 }),
    );
    expect(error.message).toMatch(/n = 2/);
  });

  it('refuses at run time what named sizes hid when the graph was built', () => {
    const a = input('a', 'f32', ['n']);
    const run =
      (y: Tensor, n = 3) =>
      () =>
        output(graph({ y }), { a: f32([n], range(n)) });
    expect(failure(run(a.slice(0, 0, 5))).message).toMatch(/leaves the tensor/);
    expect(failure(run(a.topK(4).values)).message).toMatch(/no 4 elements/);
    expect(failure(run(a.slice(0, 0, -4))).message).toMatch(/size n \+ -4 is negative/);
    expect(failure(run(a.gather(constant(i64([1], [3]))))).code).toBe('tensor/index');
    expect(failure(run(a.gather(constant(i64([1], [-4]))))).message).toMatch(
      /position -4[\s\S]*-3\.\.2/,
    );
    const bad = a.scatterNd(constant(i64([1, 1], [9])), constant(f32([1], [1])));
    expect(failure(run(bad)).code).toBe('tensor/index');
    const placed = within('layers.2', 'mixer', () => a.gather(constant(i64([1], [3]))));
    expect(failure(run(placed)).message).toMatch(
      /^layers\.2 > gather: f32\[n\] x i64\[1\]: position 3/,
    );
    const whole = a.cast('i32');
    expect(failure(run(whole.div(whole))).code).toBe('tensor/division');
    expect(failure(run(whole.mod(0))).code).toBe('tensor/division');
  });

  it('rounds every value to its type', () => {
    // The f16 next to 1/3 is 1365 / 4096; kept in float64, the product would be 1.
    const third = graph({ y: input('a', 'f16', []).div(3).cast('f64').mul(3) });
    expect(output(third, { a: fromNumbers('f16', [], [1]) })).toEqual([4095 / 4096]);
    const sum = graph({ y: input('a', 'f32', []).add(2 ** -25) });
    expect(output(sum, { a: f32([], [1]) })).toEqual([1]);
  });

  it('runs nothing for a graph of leaves', () => {
    const leaves = graph({ y: scalar('i64', -4) });
    expect(output(leaves, {})).toEqual([-4n]);
  });
});

describe('bindShapes', () => {
  it('reads named sizes off arrays and keeps what is known', () => {
    const leaves = new Map([['x', x]]);
    const arrays = new Map([['x', { dtype: 'f32' as const, shape: [5, 3] }]]);
    expect(bindShapes(leaves, arrays, { m: 2 })).toEqual({ n: 5, m: 2 });
    expect(failure(() => bindShapes(leaves, arrays, { n: 4 })).code).toBe('run/shape');
  });

  it('does not take names from the prototype of objects', () => {
    const odd = input('odd', 'f32', ['constructor', 'toString']);
    const arrays = new Map([['odd', { dtype: 'f32' as const, shape: [5, 3] }]]);
    expect(bindShapes(new Map([['odd', odd]]), arrays)).toEqual({ constructor: 5, toString: 3 });
  });
});
