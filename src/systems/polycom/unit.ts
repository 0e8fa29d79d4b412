// PolyReLU and PolyNorm on the device: values against float64, gradients against central differences,
// what equals a ReLU to the bit, and what scaling the input does.
import { mlp } from '../../channels/mlp.js';
import { polyNormOf, polyReluOf, Scope } from '../../nn/index.js';
import { median } from '../../optimize/stats.js';
import {
  cost,
  type DType,
  fromNumbers,
  type Graph,
  grad,
  graph,
  input,
  type NDArray,
  normalAt,
  parameter,
  simplify,
  sizeOf,
  type Tensor,
  toNumbers,
  uniformAt,
} from '../../tensor/index.js';
import type { MeasureContext } from '../system.js';

type Of = (x: Tensor, weight: Tensor, bias: Tensor) => Tensor;
type Coefficients = readonly [cubic: number, square: number, linear: number, constant: number];

const ROWS = 16;
const WIDTH = 64;
const SOME: Coefficients = [0.4, -0.7, 0.9, 0.2];

const drawn = (stream: number): Float64Array =>
  Float64Array.from({ length: ROWS * WIDTH }, (_, i) => 10 * uniformAt(stream, i) - 5);

type Run = { values: Float64Array; gradients: Float64Array };

async function run(
  { device }: MeasureContext,
  of: Of,
  values: Float64Array,
  a: Coefficients,
  dtype: DType,
): Promise<Run> {
  const x = input('x', dtype, [ROWS, WIDTH]);
  const [weight, bias] = [input('weight', dtype, [3]), input('bias', dtype, [1])];
  const pull = input('pull', dtype, [ROWS, WIDTH]);
  const y = of(x, weight, bias);
  const [dx, dw, db] = grad(y.mul(pull).sum(), [x, weight, bias]);
  await using program = await device.compile(graph({ y, dx, dw, db }));
  const results = await program.run({
    x: fromNumbers(dtype, [ROWS, WIDTH], values),
    weight: fromNumbers(dtype, [3], a.slice(0, 3)),
    bias: fromNumbers(dtype, [1], a.slice(3)),
    pull: fromNumbers(dtype, [ROWS, WIDTH], pulls),
  });
  const all = [results.dx, results.dw, results.db].map((array: NDArray) => [...toNumbers(array)]);
  return { values: toNumbers(results.y), gradients: Float64Array.from(all.flat()) };
}

const pulls = Float64Array.from({ length: ROWS * WIDTH }, (_, i) => normalAt(3, i));

/** The definitions, row by row in float64. */
const definitions: Readonly<Record<string, (row: Float64Array, a: Coefficients) => Float64Array>> =
  {
    polyrelu: (row, [a3, a2, a1, a0]) =>
      row.map((v) => {
        const r = Math.max(0, v);
        return a0 + a1 * r + a2 * r ** 2 + a3 * r ** 3;
      }),
    polynorm: (row, [a3, a2, a1, a0]) => {
      const powers = [1, 2, 3].map((power) => {
        const v = row.map((value) => value ** power);
        const root = Math.sqrt(v.reduce((sum, u) => sum + u * u, 0) / v.length + 1e-6);
        return v.map((u) => u / root);
      });
      return row.map((_, i) => a0 + a1 * powers[0][i] + a2 * powers[1][i] + a3 * powers[2][i]);
    },
  };
const kinds: readonly (readonly [string, Of])[] = [
  ['polyrelu', polyReluOf],
  ['polynorm', polyNormOf],
];

function define(name: string, values: Float64Array, a: Coefficients): Float64Array {
  const rows = Array.from({ length: ROWS }, (_, r) => values.slice(r * WIDTH, (r + 1) * WIDTH));
  return Float64Array.from(rows.flatMap((row) => [...definitions[name](row, a)]));
}

/** Largest |a - b| / max(1, |b|). */
const relative = (found: Float64Array, wanted: ArrayLike<number>): number =>
  found.reduce(
    (worst, value, i) =>
      Math.max(worst, Math.abs(value - wanted[i]) / Math.max(1, Math.abs(wanted[i]))),
    0,
  );

/** Largest relative error of the values, x in [-5, 5]. */
export async function valueErrors(context: MeasureContext): Promise<Record<string, number>> {
  const x = drawn(1);
  const found: Record<string, number> = {};
  for (const [name, of] of kinds) {
    const { values } = await run(context, of, x, SOME, 'f32');
    const exact = define(name, Float64Array.from(new Float32Array(x)), SOME);
    found[name] = relative(values, exact);
  }
  return found;
}

/** Largest relative error of all gradients, for x and the four coefficients. */
export async function gradientErrors(context: MeasureContext): Promise<Record<string, number>> {
  // Away from the bend of a ReLU, where no difference is a derivative.
  const x = drawn(2).map((v) => (Math.abs(v) < 0.01 ? v + 0.02 : v));
  const h = 1e-5;
  const found: Record<string, number> = {};
  for (const [name, of] of kinds) {
    const at = (values: Float64Array, a: Coefficients): number =>
      define(name, values, a).reduce((sum, v, i) => sum + v * pulls[i], 0);
    const wanted: number[] = [];
    for (let i = 0; i < x.length; i++) {
      const [up, down] = [x[i] + h, x[i] - h].map((v) => at(x.with(i, v), SOME));
      wanted.push((up - down) / (2 * h));
    }
    for (let i = 0; i < SOME.length; i++) {
      const [up, down] = [h, -h].map((d) => at(x, SOME.with(i, SOME[i] + d) as never));
      wanted.push((up - down) / (2 * h));
    }
    found[name] = relative((await run(context, of, x, SOME, 'f32')).gradients, wanted);
  }
  return found;
}

/** Elements in which PolyReLU with coefficients 0, 1, 0, 0 differs from ReLU. */
export async function reluDifferences({ device }: MeasureContext): Promise<number> {
  const x = input('x', 'f32', [ROWS, WIDTH]);
  const y = polyReluOf(x, input('weight', 'f32', [3]), input('bias', 'f32', [1]));
  await using program = await device.compile(graph({ y, relu: x.relu() }));
  const results = await program.run({
    x: fromNumbers('f32', [ROWS, WIDTH], drawn(4)),
    weight: fromNumbers('f32', [3], [0, 0, 1]),
    bias: fromNumbers('f32', [1], [0]),
  });
  const relu = toNumbers(results.relu);
  return toNumbers(results.y).filter((value, i) => !Object.is(value, relu[i])).length;
}

const THIRDS: Coefficients = [1 / 3, 1 / 3, 1 / 3, 0];

/** What an input 100 times as large does: PolyNorm hardly moves, PolyReLU grows with the cube. */
export async function scaling(context: MeasureContext): Promise<Record<string, number>> {
  const x = drawn(5);
  const size = (values: Float64Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  const at = async (of: Of, values: Float64Array) =>
    (await run(context, of, values, THIRDS, 'f32')).values;
  const [norm, scaled] = [
    await at(polyNormOf, x),
    await at(
      polyNormOf,
      x.map((v) => 100 * v),
    ),
  ];
  const relu = await at(polyReluOf, x);
  const grown = await at(
    polyReluOf,
    x.map((v) => 100 * v),
  );
  return {
    polynorm: size(norm.map((v, i) => v - scaled[i])) / size(norm),
    polyrelu: Math.log(size(grown) / size(relu)) / Math.log(100),
  };
}

const FEED = { tokens: 1024, width: 128, hidden: 512 };

/**
 * Peak bytes of a perceptron's training step (loss and all gradients) with PolyNorm over the same with
 * GELU, by the cost model; and the times of both on the device, steps taken in turn.
 */
export async function activationCost({ device }: MeasureContext): Promise<Record<string, number>> {
  const { tokens, width, hidden } = FEED;
  const shape = [tokens, width];
  const step = (act: string) => {
    const s = Scope.root();
    const build = mlp({ hidden, activation: act, names: { up: 'up', down: 'down' } });
    const y = build(s, input('x', 'f32', shape));
    const loss = y.mul(y).mean();
    const leaves = [...s.declarations.parameters.values()];
    const gradients = grad(
      loss,
      leaves.map(({ name, dtype, shape: size }) => parameter(name, dtype, size)),
    );
    const named = gradients.map((g, i) => [`g${i}`, g] as const);
    const values = leaves.map(({ name, shape: size }, at) => {
      const numbers = Float64Array.from({ length: sizeOf(size) }, (_, i) => normalAt(at, i) / 10);
      return [name, fromNumbers('f32', size, numbers)] as const;
    });
    return { g: graph({ loss, ...Object.fromEntries(named) }), parameters: new Map(values) };
  };
  const steps = { polynorm: step('polynorm'), gelu: step('gelu') };
  const peak = ({ g }: { g: Graph }) => cost(simplify(g)).peakActivationBytes;
  const x = Float64Array.from({ length: tokens * width }, (_, i) => normalAt(6, i));
  const times = { polynorm: [] as number[], gelu: [] as number[] };
  await using polynorm = await device.compile(steps.polynorm.g, steps.polynorm);
  await using gelu = await device.compile(steps.gelu.g, steps.gelu);
  for (let round = -2; round < 12; round++) {
    for (const [name, program] of [['polynorm', polynorm] as const, ['gelu', gelu] as const]) {
      const feeds = { x: fromNumbers('f32', shape, x) };
      const start = performance.now();
      await program.run(feeds);
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  return {
    bytes: peak(steps.polynorm) / peak(steps.gelu),
    time: median(times.polynorm) / median(times.gelu),
  };
}
