// The gradient column against central finite differences in float64, over every case of the op table.
import { describe, expect, it } from 'vitest';
import { type OpCase, opCases } from '../../tests/support/op-cases/index.js';
import {
  castArray,
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  isFloat,
  type NDArray,
  parameter,
  rearrange,
  scalar,
  straightThrough,
  type Tensor,
  toNumbers,
  uniformAt,
  withGradient,
} from './index.js';

/** Rows that stop a gradient, packed products, and leaves. */
const WITHOUT = new Set([
  ...['stopGradient', 'withGradient', 'matmulNBits', 'dynamicQuantizeMatmul', 'matmulInteger'],
  ...['input', 'parameter', 'constant', 'iota'],
]);

/** Float inputs as float64, moved a little: cases like to stand on kinks and ties. */
function moved(array: NDArray, seed: number): NDArray {
  if (!isFloat(array.dtype)) return array;
  const values = toNumbers(castArray(array, 'f64')).map((x, i) => {
    const u = uniformAt(seed, i) - 0.5;
    return Number.isFinite(x) ? x * (1 + 0.02 * u) + 0.004 * u : 0.7;
  });
  return fromNumbers('f64', array.shape, values);
}

type Checked = { analytic: number[]; numeric: number[] };

/** dL/dx of `loss` both ways, at a few elements of each float input. */
function check(
  arrays: Readonly<Record<string, NDArray>>,
  loss: Tensor,
  wrt: Readonly<Record<string, Tensor>>,
  h = 1e-5,
): Checked {
  const names = Object.keys(wrt);
  const gradients = grad(loss, Object.values(wrt));
  const both = graph({
    loss,
    ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]])),
  });
  const only = graph({ loss });
  const used = (from: Readonly<Record<string, NDArray>>, g: typeof only) =>
    new Map(Object.entries(from).filter(([name]) => g.inputs.has(name)));
  const value = (from: Readonly<Record<string, NDArray>>) =>
    toNumbers(interpret(only, used(from, only)).outputs.get('loss') as NDArray)[0];
  const { outputs } = interpret(both, used(arrays, both));
  const checked: Checked = { analytic: [], numeric: [] };
  for (const name of names) {
    const slope = toNumbers(outputs.get(`d ${name}`) as NDArray);
    const x = toNumbers(arrays[name]);
    const stride = Math.max(1, Math.floor(x.length / 12));
    for (let i = 0; i < x.length; i += stride) {
      const shifted = (by: number) => {
        const values = Float64Array.from(x);
        values[i] += by;
        return value({ ...arrays, [name]: fromNumbers('f64', arrays[name].shape, values) });
      };
      checked.analytic.push(slope[i]);
      checked.numeric.push((shifted(h) - shifted(-h)) / (2 * h));
    }
  }
  return checked;
}

function near({ analytic, numeric }: Checked, tolerance: number): void {
  numeric.forEach((expected, i) => {
    if (!Number.isFinite(expected)) return;
    expect(Math.abs(analytic[i] - expected)).toBeLessThanOrEqual(
      tolerance * (1 + Math.abs(expected)),
    );
  });
}

/** A case in float64: its leaves, its arrays, and a loss that weighs every float output. */
function prepared(one: OpCase, seed: number) {
  const arrays: Record<string, NDArray> = {};
  const leaves: Record<string, Tensor> = {};
  for (const [name, array] of Object.entries(one.inputs)) {
    arrays[name] = moved(array, seed);
    leaves[name] = input(name, arrays[name].dtype, one.shapes?.[name] ?? array.shape);
  }
  const outputs = [one.build(leaves)].flat().filter((y) => isFloat(y.dtype)) as Tensor[];
  const wrt = Object.fromEntries(Object.entries(leaves).filter(([, x]) => isFloat(x.dtype)));
  const losses = outputs.map((y, k) => {
    const flat = y.cast('f64').reshape(-1);
    // Fixed weights that tell elements apart: sin(i + k).
    const weights = flat
      .operand(1)
      .broadcastTo(...flat.shape)
      .cumsum(0)
      .add(k)
      .sin();
    return flat.mul(weights).sum();
  });
  return { arrays, wrt, loss: losses.length === 0 ? undefined : losses.reduce((a, b) => a.add(b)) };
}

describe('the gradient column', () => {
  const counts = new Map<string, number>();
  for (const one of opCases) {
    const floats = Object.values(one.inputs).some(({ dtype }) => isFloat(dtype));
    // What wins where places are named twice is open, and so is its slope.
    const ambiguous = one.what.startsWith('none') && one.what.endsWith('named twice');
    if (!floats || ambiguous || WITHOUT.has(one.row)) continue;
    it(`${one.row}: ${one.what}`, () => {
      let made: ReturnType<typeof prepared>;
      try {
        made = prepared(one, 1);
      } catch {
        return; // the case is about one element type
      }
      const { arrays, wrt, loss } = made;
      if (!loss) return;
      let checked: Checked;
      try {
        checked = check(arrays, loss, wrt);
      } catch (error) {
        // A rule that is not written yet says so; anything else is a fault.
        expect(error).toMatchObject({ code: 'gradient/none' });
        return;
      }
      near(checked, 2e-5);
      if (checked.numeric.some((d) => Number.isFinite(d) && d !== 0)) {
        counts.set(one.row, (counts.get(one.row) ?? 0) + 1);
      }
    });
  }

  it('was checked for every row that has a slope', () => {
    const flat = [
      'sign',
      'floor',
      'ceil',
      'round',
      'not',
      'isNan',
      'stopGradient',
      'argMax',
      'argMin',
      'maxPoolIndices',
      'withGradient',
    ];
    const bools = ['mod', 'equal', 'less', 'lessEqual', 'greater', 'greaterEqual', 'and', 'or'];
    const integers = ['bitAnd', 'bitOr', 'bitXor', 'shiftLeft', 'shiftRight'];
    const exempt = new Set([...WITHOUT, ...flat, ...bools, ...integers, 'cast']);
    const rows = new Set(opCases.map(({ row }) => row).filter((row) => !exempt.has(row)));
    expect([...rows].filter((row) => !counts.has(row))).toEqual([]);
  });

  it.each([
    'tanh',
    'gelu',
    'silu',
    'softmax',
    'layerNorm',
    'rmsNorm',
    'matmul',
    'div',
    'logSumExp',
    'conv',
    'convTranspose',
    'convKernel',
  ])('has second derivatives: %s', (row) => {
    const one = opCases.find(
      (c) => c.row === row && Object.values(c.inputs).some(({ dtype }) => isFloat(dtype)),
    );
    const { arrays, wrt, loss } = prepared(one as OpCase, 2);
    const names = Object.keys(wrt);
    const first = grad(loss as Tensor, Object.values(wrt));
    const outer = first
      .map((g, k) =>
        g
          .mul(g)
          .sum()
          .mul(k + 1),
      )
      .reduce((a, b) => a.add(b));
    expect(names.length).toBeGreaterThan(0);
    near(check(arrays, outer, wrt), 1e-4);
  });
});

describe('grad', () => {
  const x = input('x', 'f64', [2, 3]);
  const run = (outputs: Record<string, Tensor>, feeds: Record<string, NDArray>, held = {}) =>
    interpret(graph(outputs), feeds, held).outputs;
  const numbers = (array: NDArray | undefined) => Array.from(toNumbers(array as NDArray));
  const feeds = { x: fromNumbers('f64', [2, 3], [1, -2, 3, 4, 5, -6]) };

  it('adds up where a weight is used twice, as one leaf or as two of one name', () => {
    const [a, b] = [parameter('w', 'f64', [3]), parameter('w', 'f64', [3])];
    const loss = x.mul(a).sum().add(b.mul(b).sum());
    const [once] = grad(loss, [a]);
    const w = fromNumbers('f64', [3], [1, 2, 3]);
    expect(numbers(run({ once }, feeds, { w }).get('once'))).toEqual([
      1 + 4 + 2,
      -2 + 5 + 4,
      3 - 6 + 6,
    ]);
  });

  it('is of any activation, and zeros where nothing flows', () => {
    const inner = x.mul(3);
    const loss = inner.mul(inner).sum();
    const other = input('unused', 'f64', [2]);
    const [d, nothing] = grad(loss, [inner, other]);
    expect(numbers(run({ d }, feeds).get('d'))).toEqual([6, -12, 18, 24, 30, -36]);
    expect(numbers(run({ nothing }, {}).get('nothing'))).toEqual([0, 0]);
  });

  it('stops, passes straight through, and takes a rule of your own', () => {
    const stopped = x.add(x.mul(x).stopGradient()).sum();
    const through = straightThrough(x.round(), x).mul(x).sum();
    const own = withGradient(x.sign(), [x], (g, [at]) => [
      g.mul(at.abs().less(2.5).cast('f64')),
    ]).sum();
    const outputs = Object.fromEntries(
      [stopped, through, own].map((loss, i) => [`d${i}`, grad(loss, [x])[0]]),
    );
    const results = run(outputs, { x: fromNumbers('f64', [2, 3], [0.4, 1.6, 2, 3, -0.7, 9]) });
    expect(numbers(results.get('d0'))).toEqual([1, 1, 1, 1, 1, 1]);
    expect(numbers(results.get('d1'))).toEqual([0.4, 3.6, 4, 6, -1.7, 18]);
    expect(numbers(results.get('d2'))).toEqual([1, 1, 1, 0, 1, 0]);
  });

  it('goes through casts between float types', () => {
    const [d] = grad(x.mul(0.5).cast('f32').cast('f64').mul(x).sum(), [x]);
    expect(numbers(run({ d }, feeds).get('d'))).toEqual([1, -2, 3, 4, 5, -6]);
  });

  it('reaches through patterns and symbolic sizes', () => {
    const y = input('y', 'f64', ['batch', 'seq', 8]);
    const heads = rearrange(y, 'b n (h d) -> b h n d', { h: 2 });
    const p = heads.matmul(heads.swap(-1, -2)).mul(0.3).softmax();
    const loss = rearrange(p.matmul(heads), 'b h n d -> b n (h d)').mul(y).mean();
    const array = fromNumbers(
      'f64',
      [2, 3, 8],
      Float64Array.from({ length: 48 }, (_, i) => Math.sin(i)),
    );
    near(check({ y: array }, loss, { y }), 1e-6);
  });

  it('refuses what is not a number, and operations without a slope', () => {
    expect(() => grad(x, [x])).toThrowError(expect.objectContaining({ code: 'gradient/loss' }));
    const codes = input('c', 'u8', [4, 1, 8]);
    const y = input('y', 'f32', [1, 16]).matmulNBits(codes, input('s', 'f32', [4, 1]), {
      rows: 4,
      columns: 16,
      bits: 4,
      block: 16,
      accuracy: 1,
    });
    const leaf = y.node.inputs[0];
    expect(() => grad(y.sum(), [leaf])).toThrowError(/matmulNBits has no gradient/);
    expect(grad(y.stopGradient().sum().add(leaf.sum()), [leaf])[0].shape).toEqual([1, 16]);
    expect(scalar('f64', 1).rank).toBe(0);
  });
});
