// What training claims share: fresh weights from a seed, a plain loop of steps, and a compiled program
// of the result. Every run of a comparison gets the same data, steps and recipe.

import { memoryStore } from '../models/checkpoint.js';
import { initialModel } from '../models/initial.js';
import { type Built, declare, type Model } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import { fromNumbers, type NDArray, toNumbers } from '../tensor/index.js';
import type { Objective } from '../train/objectives.js';
import { adamw } from '../train/optimizers.js';
import { cosine } from '../train/schedules.js';
import { openTraining } from '../train/training.js';
import type { MeasureContext } from './system.js';

export type Recipe = {
  /** What is trained, for the progress line. */
  what: string;
  config: object;
  objective: Objective;
  steps: number;
  rate: number;
  seed: number;
  decay?: number;
  warmup?: number;
  /** Matrices begin at 1/sqrt(inputs), so that hidden values have size 1 at any width. */
  evenInit?: boolean;
  /** The batch of a step, 0 at the first. */
  batch(step: number): Readonly<Record<string, NDArray>>;
};

export type Trained = { model: Model; losses: readonly number[] };

/** AdamW with warm-up and a cosine to a tenth; gradients clipped at norm 1. */
export async function train(
  { device, signal, progress }: MeasureContext,
  recipe: Recipe,
): Promise<Trained> {
  const { what, config, objective, steps, rate, seed, decay = 0.01 } = recipe;
  const { warmup = Math.ceil(steps / 20) } = recipe;
  const fresh = initialModel({ name: what, config, tokenizer: undefined }, { seed });
  const model = recipe.evenInit ? await evened(fresh) : fresh;
  const options = {
    optimizer: adamw({ beta2: 0.99 }),
    rate,
    schedule: cosine({ steps, warmup, floor: 0.1 }),
    decay,
    clip: 1,
  };
  await using training = await openTraining(model, objective, options, device, { signal });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const { loss } = await training.run(recipe.batch(step), signal);
    losses.push(loss);
    if (step % 20 === 0) progress(`${what}, step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
  }
  return { model: await training.snapshot(), losses };
}

/** The model with every matrix that only multiplies scaled from its own deviation to 1/sqrt(inputs). */
async function evened(model: Model): Promise<Model> {
  const { stored, matrices } = declare(model);
  const weights = new Map<string, NDArray>();
  for (const { name, init } of stored.values()) {
    const array = await model.weights.read(name);
    const use = matrices.get(name.replace(/\.weight$/, ''));
    const scales = init.kind === 'normal' && use && !use.roles.has('lookup');
    const factor = scales ? 1 / (init.std * Math.sqrt(use.columns)) : 1;
    const values = toNumbers(array).map((value) => value * factor);
    weights.set(name, fromNumbers(array.dtype, array.shape, values));
  }
  return { ...model, weights: memoryStore(weights) };
}

export type Running = AsyncDisposable & {
  run(feeds: Readonly<Record<string, NDArray>>): Promise<Record<string, NDArray>>;
};

/** A program of a model with its weights frozen. */
export async function opened(
  { device, signal }: MeasureContext,
  model: Model,
  built: Built,
): Promise<Running> {
  const parameters = await programParameters(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  return {
    run: (feeds) => program.run(feeds, { signal }),
    [Symbol.asyncDispose]: () => program.dispose(),
  };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Largest |a - b|; NaN where one of them is none of a number. */
export function largestError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Number.NaN;
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    const error = Math.abs(found[i] - wanted[i]);
    if (!(error <= worst)) worst = error;
    if (Number.isNaN(worst)) return worst;
  }
  return worst;
}
