// What a position scheme costs: its parameters, and the time of a training step beside the others,
// steps of all schemes taken in turn so that the machine's moods meet all alike.
import { initialModel } from '../../models/initial.js';
import { declare } from '../../models/model.js';
import { median } from '../../optimize/stats.js';
import { sizeOf } from '../../tensor/index.js';
import { adamw } from '../../train/optimizers.js';
import { constantRate } from '../../train/schedules.js';
import { openTraining, type Training } from '../../train/training.js';
import type { MeasureContext } from '../system.js';
import { answerLoss, batchOf, configOf, type Scale, type Scheme, schemes } from './length.js';
import { drawing, tasks } from './tasks.js';

const modelOf = (scheme: Scheme, scale: Scale) =>
  initialModel({ name: scheme, config: configOf(scheme, scale), tokenizer: undefined });

/** Parameters of the model without positions beyond those that every scheme has: 0 by design. */
export function extraParameters(scale: Scale): number {
  const count = (scheme: Scheme) => {
    const { stored } = declare(modelOf(scheme, scale));
    return [...stored.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  };
  return count('none') - Math.min(...(Object.keys(schemes) as Scheme[]).map(count));
}

/** Median step time of `none` over the fastest other scheme's. */
export async function stepTimeRatio(
  context: MeasureContext,
  scale: Scale,
  rounds: number,
): Promise<number> {
  const { device, signal } = context;
  const options = { optimizer: adamw(), rate: 1e-4, schedule: constantRate(), clip: 1 };
  const running = new Map<Scheme, { training: Training; times: number[] }>();
  try {
    for (const scheme of Object.keys(schemes) as Scheme[]) {
      const model = modelOf(scheme, scale);
      const training = await openTraining(model, answerLoss, options, device, { signal });
      running.set(scheme, { training, times: [] });
    }
    const draw = drawing(context.seed);
    for (let round = -2; round < rounds; round++) {
      const samples = Array.from({ length: scale.batch }, () => tasks[0].make(scale.seen, draw));
      for (const { training, times } of running.values()) {
        const batch = batchOf(samples);
        const start = performance.now();
        await training.run(batch, signal);
        if (round >= 0) times.push(performance.now() - start);
      }
    }
  } finally {
    for (const { training } of running.values()) await training[Symbol.asyncDispose]();
  }
  const times = [...running].map(([scheme, one]) => [scheme, median(one.times)] as const);
  context.note(times.map(([scheme, ms]) => `${scheme} ${ms.toFixed(1)} ms`).join(', '));
  const of = (wanted: (scheme: Scheme) => boolean) =>
    Math.min(...times.filter(([scheme]) => wanted(scheme)).map(([, ms]) => ms));
  return of((scheme) => scheme === 'none') / of((scheme) => scheme !== 'none');
}
