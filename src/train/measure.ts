// What the loop measures: held-out batches under the weights as they are, and the learning rate.
import { fromNumbers, graph, input, interpret, type NDArray, toNumbers } from '../tensor/index.js';
import { type BatchLimits, checkBatch } from './batch-check.js';
import type { CountedBatches } from './batch-source.js';
import type { StepOptions } from './step.js';
import type { Training } from './training.js';

/** Loss and metrics over all batches, each counted by its weight. */
export async function evaluated(training: Training, batches: CountedBatches, limits: BatchLimits) {
  const start = performance.now();
  const sums = new Map<string, number>();
  let total = 0;
  for (let i = 0; i < batches.count; i++) {
    const batch = await batches.at(i);
    checkBatch(batch, limits);
    const { weight, ...means } = await training.evaluate(batch);
    total += weight;
    for (const [name, mean] of Object.entries(means)) {
      sums.set(name, (sums.get(name) ?? 0) + mean * weight);
    }
  }
  const { loss, ...metrics } = Object.fromEntries(
    [...sums].map(([name, sum]) => [name, sum / Math.max(total, Number.MIN_VALUE)]),
  );
  return { loss, metrics, weight: total, seconds: (performance.now() - start) / 1000 };
}

/** The learning rate of a step, from the schedule's own graph. */
export function rates({ schedule, rate }: StepOptions): (step: number) => number {
  const g = graph({ rate: schedule(input('step', 'f32', [])).mul(rate) });
  return (step) => {
    const { outputs } = interpret(g, { step: fromNumbers('f32', [], [step]) });
    return toNumbers(outputs.get('rate') as NDArray)[0];
  };
}
