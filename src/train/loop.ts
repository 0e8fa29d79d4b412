// The training loop: batches in, events out. It owns nothing but the order of things: step, evaluate,
// keep a checkpoint. Whoever reads the events decides what to show; not reading on stops the run.
import { joinPath } from '#platform';
import type { Model } from '../models/model.js';
import type { Device } from '../runtime/device.js';
import { AnyformerError, sizeOf } from '../tensor/index.js';
import { checkBatch } from './batch-check.js';
import { type Batches, type BatchReader, type CountedBatches, readerOf } from './batch-source.js';
import {
  type Checkpoint,
  folderName,
  latestCheckpoint,
  type Manifest,
  pruneCheckpoints,
  readCheckpoint,
  removeRemains,
  type Skipped,
  writeCheckpoint,
} from './checkpoint.js';
import { checkUnchanged } from './config-difference.js';
import type { TrainEvent } from './events.js';
import { evaluated, rates } from './measure.js';
import { openMetrics } from './metrics-file.js';
import { notFinite } from './not-finite.js';
import type { Objective } from './objectives.js';
import type { StepOptions } from './step.js';
import { type Batch, openTraining, type Training } from './training.js';

export type TrainOptions = {
  model: Model;
  objective: Objective;
  device: Device;
  /** Optimiser, learning rate, schedule, clipping. */
  step: StepOptions;
  batches: Batches;
  /** Steps of the whole run, those of a resumed one included. */
  steps: number;
  /** Batches whose gradients make one step; 1 unless told. */
  accumulate?: number | undefined;
  /** Compute each block again for its gradient: less memory, a forward pass more. */
  recompute?: boolean | undefined;
  /** Labels of rows are below this; others are refused. */
  classes?: number | undefined;
  evaluation?:
    | {
        /** Steps between evaluations; the last step is evaluated too. */
        every: number;
        batches: CountedBatches;
        /** Stop after this many evaluations without a lower loss. */
        patience?: number | undefined;
      }
    | undefined;
  checkpoints?:
    | {
        folder: string;
        every: number;
        /** How many to keep; 3 unless told. The one of the best evaluation is kept besides. */
        keep?: number | undefined;
      }
    | undefined;
  /** Where metrics.jsonl goes. */
  metrics?: string | undefined;
  /** Go on from the newest whole checkpoint, if there is one. */
  resume?: boolean | undefined;
  /** What decides the run, as JSON: noted in checkpoints, and refused when it has changed. */
  config?: Readonly<Record<string, unknown>> | undefined;
  seed?: number | undefined;
  /** On abort the step under way is finished, a checkpoint written, and `done` given. */
  signal?: AbortSignal | undefined;
};

/**
 * Trains. Errors besides those of `openTraining`: `train/not-finite` (names the first module whose
 * numbers overflowed and the last good checkpoint), `config/changed`, `train/token`, `train/label`,
 * and what writing a checkpoint throws (`file/disk-full`): older checkpoints are whole then.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainEvent, void> {
  const {
    model,
    objective,
    device,
    steps,
    accumulate = 1,
    checkpoints,
    signal,
    recompute,
  } = options;
  const { config = {}, seed = 0, evaluation } = options;
  const kept = checkpoints ? await keptOf(options, checkpoints.folder) : undefined;
  await using training = await openTraining(model, objective, options.step, device, {
    accumulate,
    recompute,
    signal,
  });
  const resumed = kept?.checkpoint;
  if (resumed) await training.restore(await readCheckpoint(resumed.path));
  let step = resumed?.manifest.step ?? 0;
  let best: Manifest['best'] = resumed?.manifest.best;
  let last = resumed && { path: resumed.path, step };
  const metrics = options.metrics ? await openMetrics(options.metrics, step) : undefined;
  const reader = readerOf(options.batches);
  const limits = { vocabulary: model.family.vocabulary(model.config), classes: options.classes };
  const rateAt = rates(options.step);

  const save = async (): Promise<TrainEvent> => {
    const { folder, keep = 3 } = checkpoints as NonNullable<typeof checkpoints>;
    await metrics?.flush();
    const facts = { step, position: step * accumulate, seed, config, best };
    const path = await writeCheckpoint(folder, training, facts);
    last = { path, step };
    await pruneCheckpoints(folder, keep, best?.step);
    return { type: 'checkpoint', step, path };
  };
  const evaluate = async (): Promise<TrainEvent & { type: 'evaluation' }> => {
    const { batches } = evaluation as NonNullable<typeof evaluation>;
    const event = await evaluated(training, batches, limits);
    const { loss } = event;
    const better = Number.isFinite(loss) && (best === undefined || loss < best.loss);
    if (better) best = { step, loss, since: 0 };
    else if (best) best = { ...best, since: best.since + 1 };
    return { type: 'evaluation', step, best: better, ...event };
  };

  try {
    const parameters = await trainedNumbers(training);
    const from = last ? { resumed: last.path } : {};
    yield { type: 'start', step, steps, parameters, ...from, skipped: kept?.skipped ?? [] };
    const { patience = Number.POSITIVE_INFINITY } = evaluation ?? {};
    let stops = (best?.since ?? 0) >= patience;
    let reason: (TrainEvent & { type: 'done' })['reason'] = stops ? 'early-stop' : 'steps';
    let pending = step < steps && !stops ? ahead(reader, step, accumulate) : undefined;
    while (pending) {
      if (signal?.aborted) {
        reason = 'aborted';
        break;
      }
      const batches = await pending;
      if (batches.length < accumulate) {
        reason = 'data';
        break;
      }
      const tokens = batches.reduce((sum, batch) => sum + checkBatch(batch, limits), 0);
      const start = performance.now();
      // The next batches are made while these are learned from.
      pending = step + 1 < steps ? ahead(reader, step + 1, accumulate) : undefined;
      const results = await training.run(accumulate === 1 ? batches[0] : batches);
      const seconds = (performance.now() - start) / 1000;
      const { loss, norm, ...others } = results;
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
        await metrics?.flush();
        const parts = { training, objective, device, reader, accumulate, signal };
        throw await notFinite({ step, loss, norm }, { ...parts, checkpoint: last });
      }
      step++;
      const event = { loss, norm, rate: rateAt(step), metrics: others, tokens, seconds };
      await metrics?.add({ step, ...event });
      yield { type: 'step', step, ...event, tokensPerSecond: tokens / seconds };
      const ends = step === steps;
      if (evaluation && (ends || step % evaluation.every === 0)) {
        const found = await evaluate();
        const { type, ...line } = found;
        await metrics?.add({ evaluation: true, ...line });
        yield found;
        stops = (best?.since ?? 0) >= patience;
      }
      const improved = best?.step === step && evaluation?.patience !== undefined;
      if (checkpoints && (ends || stops || improved || step % checkpoints.every === 0)) {
        yield await save();
      }
      if (stops && !ends) {
        reason = 'early-stop';
        break;
      }
    }
    await metrics?.flush();
    const unsaved = checkpoints && step > 0 && last?.step !== step;
    if (unsaved && (reason === 'aborted' || reason === 'data')) yield await save();
    yield {
      type: 'done',
      step,
      reason,
      model: await training.snapshot(),
      ...bestOf(best, options),
    };
  } finally {
    await metrics?.flush().catch(() => undefined);
    await reader.close();
  }
}

/** The checkpoint to go on from, held to the configuration that it was made under. */
async function keptOf(
  { resume, config = {}, seed = 0, signal }: TrainOptions,
  folder: string,
): Promise<{ checkpoint: Checkpoint | undefined; skipped: Skipped[] }> {
  if (!resume) {
    const { checkpoint } = await latestCheckpoint(folder, { signal });
    if (!checkpoint) return { checkpoint: undefined, skipped: [] };
    throw new AnyformerError('train/exists', {
      what: `${folder} holds checkpoints of another run`,
      expected: 'a folder without checkpoints',
      found: checkpoint.path,
      hint: 'resume it, or choose another folder',
    });
  }
  await removeRemains(folder);
  const kept = await latestCheckpoint(folder, { signal });
  if (kept.checkpoint) {
    const { manifest, path } = kept.checkpoint;
    checkUnchanged({ ...manifest.config, seed: manifest.seed }, { ...config, seed }, path);
  }
  return kept;
}

/** The batches of a step, asked for now. Whoever awaits them hears of errors. */
function ahead(reader: BatchReader, step: number, accumulate: number): Promise<Batch[]> {
  const read = async () => {
    const batches: Batch[] = [];
    for (let k = 0; k < accumulate; k++) {
      const batch = await reader.read(step * accumulate + k);
      if (batch === undefined) break;
      batches.push(batch);
    }
    return batches;
  };
  const batches = read();
  batches.catch(() => undefined);
  return batches;
}

async function trainedNumbers({ model, step }: Training): Promise<number> {
  return step.trained.reduce((sum, name) => sum + sizeOf(model.weights.type(name).shape), 0);
}

function bestOf(best: Manifest['best'], { checkpoints, evaluation }: TrainOptions) {
  if (!best) return {};
  const { step, loss } = best;
  if (!checkpoints || evaluation?.patience === undefined) return { best: { step, loss } };
  return { best: { step, loss, path: joinPath(checkpoints.folder, folderName(step)) } };
}
