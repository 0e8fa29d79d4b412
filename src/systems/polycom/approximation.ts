// One hidden layer of 16 units fits sin(3x) + 0.3 x^3 on [-2, 2] by 2,000 Adam steps, with each
// activation; the median of the test error over seeds. A gated layer gets two thirds of the units.
import { activation, linear, type Scope } from '../../nn/index.js';
import { median } from '../../optimize/stats.js';
import { fromNumbers, input, type NDArray, type Tensor, uniformAt } from '../../tensor/index.js';
import { figureText } from '../figures.js';
import type { MeasureContext } from '../system.js';
import { fit, only } from './descent.js';

const HIDDEN = 16;
const POINTS = 256;
const curve = (x: number): number => Math.sin(3 * x) + 0.3 * x ** 3;

/** Points of training and of the test: drawn from one stream each. */
function points(stream: number): { x: NDArray; y: NDArray } {
  const xs = Float64Array.from({ length: POINTS }, (_, i) => 4 * uniformAt(stream, i) - 2);
  return {
    x: fromNumbers('f32', [POINTS, 1], xs),
    y: fromNumbers('f32', [POINTS, 1], xs.map(curve)),
  };
}

function net(s: Scope, x: Tensor, act: string): Tensor {
  if (act !== 'swiglu') {
    const hidden = linear(s.at('up'), x, HIDDEN, { bias: true });
    return linear(s.at('down'), activation(act, s.at('activation'))(hidden), 1, { bias: true });
  }
  // 5 numbers a unit against 3, and one more for the result in both.
  const units = Math.round((3 * HIDDEN) / 5);
  const gate = linear(s.at('gate'), x, units, { bias: true }).silu();
  return linear(s.at('down'), gate.mul(linear(s.at('up'), x, units, { bias: true })), 1, {
    bias: true,
  });
}

async function testError(
  context: MeasureContext,
  act: string,
  seed: number,
  rate: number,
): Promise<number> {
  const { error } = await fit(context, {
    build: (s) => {
      const squared = (x: string, y: string) => {
        const off = net(s, input(x, 'f32', [POINTS, 1]), act).sub(input(y, 'f32', [POINTS, 1]));
        return off.mul(off).mean();
      };
      return { loss: squared('x', 'y'), asked: { error: squared('test_x', 'test_y') } };
    },
    feeds: () => points(11 + seed),
    test: () => {
      const { x, y } = points(1000 + seed);
      return { test_x: x, test_y: y };
    },
    steps: context.mode === 'quick' ? 300 : 2000,
    rate,
    seed,
  });
  return only(error);
}

/**
 * Median test errors, each activation at the learning rate of three that suits it best, and what the
 * worse one of PolyCom is of ReLU's and of GELU's.
 */
export async function approximation(context: MeasureContext): Promise<Record<string, number>> {
  const [seeds, rates] = context.mode === 'quick' ? [3, [0.03]] : [5, [0.003, 0.01, 0.03]];
  const found: Record<string, number> = {};
  for (const act of ['polyrelu', 'polynorm', 'relu', 'gelu', 'swiglu']) {
    const medians: number[] = [];
    for (const rate of rates) {
      const errors: number[] = [];
      for (let seed = 0; seed < seeds; seed++) {
        context.progress(`approximation with ${act}, rate ${rate}, seed ${seed}`);
        errors.push(await testError(context, act, context.seed + seed, rate));
      }
      medians.push(median(errors));
    }
    found[act] = Math.min(...medians);
    context.note(`${act} at rates ${rates.join(', ')}: ${medians.map(figureText).join(', ')}`);
  }
  const worse = Math.max(found.polyrelu, found.polynorm);
  return { ...found, of_relu: worse / found.relu, of_gelu: worse / found.gelu };
}
