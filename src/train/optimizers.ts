// Optimisers as graph: from a parameter, its gradient and its state to their next values. Every step
// is element by element, so that the device can write the results over what was there.
import type { Tensor } from '../tensor/index.js';

export type UpdateContext = {
  parameter: Tensor;
  /** The gradient before clipping; multiply by `clip`. */
  gradient: Tensor;
  /** f32 scalar: what clipping by the global norm leaves. It depends on every gradient. */
  clip: Tensor;
  state: Readonly<Record<string, Tensor>>;
  /** f32 scalar, 1 at the first step. */
  step: Tensor;
  /** f32 scalar: the learning rate of this step. */
  rate: Tensor;
  /** Weight decay of this parameter's group. */
  decay: number;
};

export type Optimizer = {
  readonly name: string;
  /** State kept for a parameter, by name: the shape of each; all begin at zero. */
  state(shape: readonly number[]): Readonly<Record<string, readonly number[]>>;
  update(context: UpdateContext): { parameter: Tensor; state: Readonly<Record<string, Tensor>> };
};

/** p (1 - rate decay): decay apart from the gradient (Loshchilov and Hutter 2019). */
const decayed = ({ parameter, rate, decay }: UpdateContext): Tensor =>
  decay === 0 ? parameter : parameter.mul(rate.mul(-decay).add(1));

/** Adam with decoupled weight decay. */
export const adamw = ({ beta1 = 0.9, beta2 = 0.999, eps = 1e-8 } = {}): Optimizer => ({
  name: 'adamw',
  state: (shape) => ({ m: shape, v: shape }),
  update: (context) => {
    const { gradient, clip, state, step, rate } = context;
    const m = state.m.mul(beta1).add(gradient.mul(clip.mul(1 - beta1)));
    const square = gradient.mul(gradient).mul(clip.mul(clip).mul(1 - beta2));
    const v = state.v.mul(beta2).add(square);
    // The bias corrections 1 - beta^t move into the rate and eps: two passes less.
    const root = step.mul(Math.log(beta2)).exp().neg().add(1).sqrt();
    const first = step.mul(Math.log(beta1)).exp().neg().add(1);
    const change = m.div(v.sqrt().add(root.mul(eps))).mul(rate.mul(root).div(first));
    return { parameter: decayed(context).sub(change), state: { m, v } };
  },
});

/** Stochastic gradient descent with (Nesterov) momentum. */
export const sgd = ({ momentum = 0.9, nesterov = false } = {}): Optimizer => ({
  name: 'sgd',
  state: (shape): Readonly<Record<string, readonly number[]>> =>
    momentum === 0 ? {} : { velocity: shape },
  update: (context) => {
    const { gradient, clip, state, rate } = context;
    const g = gradient.mul(clip);
    const none: Readonly<Record<string, Tensor>> = {};
    if (momentum === 0) return { parameter: decayed(context).sub(g.mul(rate)), state: none };
    const velocity = state.velocity.mul(momentum).add(g);
    const direction = nesterov ? g.add(velocity.mul(momentum)) : velocity;
    return { parameter: decayed(context).sub(direction.mul(rate)), state: { velocity } };
  },
});

/** Lion: the sign of interpolated momentum (Chen et al. 2023). */
export const lion = ({ beta1 = 0.9, beta2 = 0.99 } = {}): Optimizer => ({
  name: 'lion',
  state: (shape) => ({ m: shape }),
  update: (context) => {
    const { gradient, clip, state, rate } = context;
    const g = gradient.mul(clip);
    const mixed = state.m.mul(beta1).add(g.mul(1 - beta1));
    // beta2 m + (1 - beta2) g, written with `mixed`: m has one reader, and may be written over.
    const m = mixed.mul(beta2 / beta1).add(g.mul(1 - beta2 / beta1));
    return { parameter: decayed(context).sub(mixed.sign().mul(rate)), state: { m } };
  },
});

/**
 * Adafactor (Shazeer and Stern 2018): the second moment of a matrix as the product of a row and a
 * column; no first moment. Updates are clipped to a root mean square of 1.
 */
export const adafactor = ({ decayPower = 0.8, eps = 1e-30 } = {}): Optimizer => ({
  name: 'adafactor',
  state: (shape): Readonly<Record<string, readonly number[]>> =>
    shape.length === 2 ? { row: [shape[0], 1], column: [1, shape[1]] } : { v: shape },
  update: (context) => {
    const { gradient, clip, state, step, rate } = context;
    const g = gradient.mul(clip);
    const square = g.mul(g).add(eps);
    const beta = step.log().mul(-decayPower).exp().neg().add(1); // 1 - step^-power
    const rest = beta.neg().add(1);
    const mixed = (old: Tensor, fresh: Tensor) => old.mul(beta).add(fresh.mul(rest));
    const next: Record<string, Tensor> =
      g.rank === 2
        ? {
            row: mixed(state.row, square.mean(1, true)),
            column: mixed(state.column, square.mean(0, true)),
          }
        : { v: mixed(state.v, square) };
    const estimate = g.rank === 2 ? next.row.mul(next.column).div(next.row.mean(0, true)) : next.v;
    const update = g.div(estimate.sqrt());
    const size = update.mul(update).mean().sqrt().maximum(1);
    return { parameter: decayed(context).sub(update.mul(rate.div(size))), state: next };
  },
});
