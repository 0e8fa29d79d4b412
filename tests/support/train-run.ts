// A small training run for suites: a model, batches that are a function of their number, a folder.
import { feedsOf, tokenize } from '../../src/models/encoder.js';
import type { Device } from '../../src/runtime/device.js';
import { sampleIndices } from '../../src/tensor/index.js';
import type { TrainEvent } from '../../src/train/events.js';
import { type TrainOptions, train } from '../../src/train/loop.js';
import { causalLm } from '../../src/train/objectives.js';
import { adamw } from '../../src/train/optimizers.js';
import { cosine } from '../../src/train/schedules.js';
import { sampleTexts, smallDecoder } from './small-models.js';

export const model = smallDecoder(6);
const ids = tokenize(model, sampleTexts);

/** Three of the sentences, other ones for each number. */
export const batches = { at: (i: number) => feedsOf(sampleIndices(ids.length, 3, i), ids) };
export const heldOut = { count: 2, at: (i: number) => feedsOf([2 * i, 2 * i + 1], ids) };

export const options = (device: Device, more: Partial<TrainOptions> = {}): TrainOptions => ({
  model,
  objective: causalLm(),
  device,
  step: { optimizer: adamw(), rate: 0.01, schedule: cosine({ steps: 20, warmup: 2 }), clip: 1 },
  batches,
  steps: 20,
  ...more,
});

export async function collect(given: TrainOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of train(given)) events.push(event);
  return events;
}

export type Of<T extends TrainEvent['type']> = TrainEvent & { type: T };
export const only = <T extends TrainEvent['type']>(events: readonly TrainEvent[], type: T) =>
  events.filter((event): event is Of<T> => event.type === type);

export const losses = (events: readonly TrainEvent[]) =>
  only(events, 'step').map(({ step, loss, norm }) => [step, loss, norm]);
