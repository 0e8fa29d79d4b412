// What a PolyReLU net computes exactly, by weights set by hand: x^2 = R(x)^2 + R(-x)^2, so xy =
// ((x+y)^2 - (x-y)^2) / 4 with four hidden units, and x^8 by three squarings. A ReLU net with as many
// units can only bend; its best fit is found by training it.
import { linear, polyReluOf } from '../../nn/index.js';
import { constant, fromNumbers, graph, input, type Tensor, toNumbers } from '../../tensor/index.js';
import type { MeasureContext } from '../system.js';
import { fit, only } from './descent.js';

const row = (values: readonly number[]) => constant(fromNumbers('f32', [values.length], values));
const matrix = (rows: number, columns: number, values: readonly number[]) =>
  constant(fromNumbers('f32', [rows, columns], values));

/** The square of the positive part of every element: PolyReLU with coefficients 0, 0, 1, 0. */
const squared = (x: Tensor): Tensor => polyReluOf(x, row([0, 1, 0]), row([0]));

const grid = Array.from({ length: 41 }, (_, i) => 0.4973 * (i - 20));
const pairs = grid.flatMap((x) => grid.map((y) => [x, y] as const));
const pairArray = () => fromNumbers('f32', [pairs.length, 2], pairs.flat());

/** Largest |xy - net(x, y)| on a grid over [-10, 10]^2. */
export async function productError({ device }: MeasureContext): Promise<number> {
  const x = input('x', 'f32', [pairs.length, 2]);
  // Hidden units: x + y, -(x + y), x - y, -(x - y).
  const up = matrix(2, 4, [1, -1, 1, -1, 1, -1, -1, 1]);
  const down = matrix(4, 1, [0.25, 0.25, -0.25, -0.25]);
  await using program = await device.compile(graph({ y: squared(x.matmul(up)).matmul(down) }));
  const { y } = await program.run({ x: pairArray() });
  const found = toNumbers(y);
  return Math.max(...pairs.map(([a, b], i) => Math.abs(found[i] - a * b)));
}

/** Largest relative error of x^8 as three squarings, x in [-10, 10]. */
export async function powerError({ device }: MeasureContext): Promise<number> {
  const both = matrix(1, 2, [1, -1]);
  const add = matrix(2, 1, [1, 1]);
  const square = (x: Tensor) => squared(x.matmul(both)).matmul(add);
  const x = input('x', 'f32', [grid.length, 1]);
  await using program = await device.compile(graph({ y: square(square(square(x))) }));
  const { y } = await program.run({ x: fromNumbers('f32', [grid.length, 1], grid) });
  const found = toNumbers(y);
  return Math.max(
    ...grid.map((v, i) => (v === 0 ? Math.abs(found[i]) : Math.abs(found[i] / v ** 8 - 1))),
  );
}

/** The largest error of a ReLU net of the same size after fitting it to xy: the best of three. */
export async function reluProductError(context: MeasureContext): Promise<number> {
  const steps = context.mode === 'quick' ? 500 : 3000;
  let best = Number.POSITIVE_INFINITY;
  for (let seed = 0; seed < 3; seed++) {
    const { worst } = await fit(context, {
      build: (s) => {
        const x = input('x', 'f32', [pairs.length, 2]);
        const target = input('target', 'f32', [pairs.length, 1]);
        const hidden = linear(s.at('up'), x, 4, { bias: true }).relu();
        const error = linear(s.at('down'), hidden, 1, { bias: true }).sub(target);
        return { loss: error.mul(error).mean(), asked: { worst: error.abs().max() } };
      },
      feeds: () => ({
        x: pairArray(),
        target: fromNumbers(
          'f32',
          [pairs.length, 1],
          pairs.map(([a, b]) => a * b),
        ),
      }),
      steps,
      rate: 0.05,
      seed: context.seed + seed,
    });
    best = Math.min(best, only(worst));
  }
  return best;
}
