// Learning rates as graph: a function of the step, so that a resumed run goes on where it was.
import type { Tensor } from '../tensor/index.js';

/** step: f32 scalar, 1 at the first step -> the factor of the learning rate, f32 scalar. */
export type Schedule = (step: Tensor) => Tensor;

type Decay = {
  /** Steps over which the rate grows linearly from 0. */
  warmup?: number;
  /** Steps of the whole run. */
  steps: number;
  /** The factor at the end. */
  floor?: number;
};

const ramp = (step: Tensor, warmup: number): Tensor =>
  warmup > 0 ? step.div(warmup).minimum(1) : step.mul(0).add(1);

/** 0..1 over the steps after the warm-up. */
const done = (step: Tensor, { warmup = 0, steps }: Decay): Tensor =>
  step
    .sub(warmup)
    .div(Math.max(1, steps - warmup))
    .clip(0, 1);

export const constantRate =
  ({ warmup = 0 }: { warmup?: number } = {}): Schedule =>
  (step) =>
    ramp(step, warmup);

/** Half a cosine from 1 to `floor` (Loshchilov and Hutter 2017). */
export const cosine =
  (o: Decay): Schedule =>
  (step) => {
    const { warmup = 0, floor = 0 } = o;
    const half = done(step, o)
      .mul(Math.PI)
      .cos()
      .add(1)
      .mul(0.5 * (1 - floor))
      .add(floor);
    return ramp(step, warmup).mul(half);
  };

export const linearDecay =
  (o: Decay): Schedule =>
  (step) => {
    const { warmup = 0, floor = 0 } = o;
    return ramp(step, warmup).mul(
      done(step, o)
        .mul(floor - 1)
        .add(1),
    );
  };

/** Linear growth, then 1 / sqrt(step) (Vaswani et al. 2017), 1 at the end of the warm-up. */
export const inverseSquareRoot =
  ({ warmup }: { warmup: number }): Schedule =>
  (step) =>
    step.div(warmup).minimum(step.div(warmup).sqrt().reciprocal());
