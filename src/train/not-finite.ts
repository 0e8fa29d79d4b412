// A loss or gradient that is NaN or infinite: the parameters are spoilt, for they are written in place.
// The steps since the last good state are done again, to the bit, up to the one that failed; there the
// first module with such numbers is looked for.

import type { Device } from '../runtime/device.js';
import { AnyformerError, castArray, type NDArray, zerosOf } from '../tensor/index.js';
import type { BatchReader } from './batch-source.js';
import { readCheckpoint } from './checkpoint.js';
import { findOverflow, type Overflow } from './diagnose.js';
import type { Objective } from './objectives.js';
import type { Batch, Training } from './training.js';

/** More steps than this are not done again for a message. */
const LONGEST_REPLAY = 500;

export type Failure = {
  /** Steps done before the one that failed. */
  step: number;
  loss: number;
  norm: number;
};

export type ReplayParts = {
  training: Training;
  objective: Objective;
  device: Device;
  reader: BatchReader;
  accumulate: number;
  /** The last good one. */
  checkpoint: { readonly path: string; readonly step: number } | undefined;
  signal: AbortSignal | undefined;
};

/** The error of a run that has to stop: `train/not-finite`, with the module and the way back. */
export async function notFinite(failure: Failure, parts: ReplayParts): Promise<AnyformerError> {
  const { checkpoint } = parts;
  const place = await find(failure, parts);
  const { step, loss, norm } = failure;
  const what = Number.isFinite(loss) ? `gradient norm is ${norm}` : `loss is ${loss}`;
  const where =
    place === undefined
      ? 'the first module was not looked for: batches cannot be had again, or the last good state is far back'
      : describe(place);
  return new AnyformerError('train/not-finite', {
    what: `step ${step + 1}: the ${what}`,
    expected: 'finite numbers',
    found: where,
    hint: `${
      checkpoint
        ? `the last good checkpoint is ${checkpoint.path}; `
        : 'there is no checkpoint from before; '
    }lower the learning rate, clip gradients, or warm up longer`,
  });
}

function describe(place: Overflow | 'nowhere'): string {
  if (place === 'nowhere') {
    return 'all activations and gradients are finite by themselves; the sum of their squares is not';
  }
  const { path, kind, bad } = place;
  const numbers = bad === 1 ? 'one number' : `${bad} numbers`;
  return `${numbers} not finite, first in the ${kind} ${kind === 'activation' || kind === 'gradient' ? 'of ' : ''}${path}`;
}

async function find(
  { step }: Failure,
  { training, objective, device, reader, accumulate, checkpoint, signal }: ReplayParts,
): Promise<Overflow | 'nowhere' | undefined> {
  const from = checkpoint?.step ?? 0;
  if (!reader.numbered || step - from > LONGEST_REPLAY) return undefined;
  await training.restore(
    checkpoint ? await readCheckpoint(checkpoint.path) : await initialState(training),
  );
  const batchesOf = async (at: number): Promise<Batch[]> => {
    const batches: Batch[] = [];
    for (let k = 0; k < accumulate; k++) {
      const batch = await reader.read(at * accumulate + k);
      if (batch) batches.push(batch);
    }
    return batches;
  };
  for (let at = from; at < step; at++) {
    signal?.throwIfAborted();
    const batches = await batchesOf(at);
    await training.run(accumulate === 1 ? batches[0] : batches);
  }
  const model = await training.snapshot();
  for (const batch of await batchesOf(step)) {
    const found = await findOverflow(model, objective, batch, device, { signal });
    if (found) return found;
  }
  return 'nowhere';
}

/** The state that a run begins with. */
async function initialState({ model, step }: Training): Promise<Map<string, NDArray>> {
  const state = new Map<string, NDArray>();
  for (const name of step.trained)
    state.set(name, castArray(await model.weights.read(name), 'f32'));
  for (const { name, shape } of step.state) state.set(name, zerosOf('f32', shape));
  return state;
}
