// Training on the terminal: reads the configuration, shows the run, writes the model.
import { baseName, joinPath, makeFolder, writeAtomic, writeFolder } from '#platform';
import { layeredStore, memoryStore, type WeightStore } from '../models/checkpoint.js';
import { modelFiles } from '../models/folder.js';
import { declare, type Model } from '../models/model.js';
import { encodeSafetensors } from '../models/safetensors-write.js';
import { significant } from '../optimize/format.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { castArray, type DType, type NDArray } from '../tensor/index.js';
import { readCheckpoint } from '../train/checkpoint.js';
import type { TrainEvent } from '../train/events.js';
import { train } from '../train/loop.js';
import type { Cli } from './cli.js';
import type { TrainCommandOptions } from './commands/train.js';
import { openModel } from './open-model.js';
import { sparkline } from './sparkline.js';
import { openTerminal, type Terminal } from './terminal.js';
import { decisive, readTrainConfig, stepOptions, type TrainConfig } from './train-config.js';
import { type Opened, openTrainData } from './train-data.js';
import { openTrainReport } from './train-report.js';

type Done = TrainEvent & { type: 'done' };

export async function runTrain(cli: Cli, path: string, options: TrainCommandOptions) {
  const terminal = openTerminal(cli, options);
  const config = await readTrainConfig(path);
  const { out, steps, accumulate, recompute, seed, evaluate, checkpoint } = config;
  const reading = (what: string) => terminal.progress({ stage: 'read', done: 0, total: 1, what });
  await using given =
    typeof config.model === 'string'
      ? await openModel(config.model, { signal: cli.signal, terminal })
      : undefined;
  const { objective } = config;
  await using teacher =
    objective.type === 'distillation'
      ? await openModel(objective.teacher, { signal: cli.signal, terminal })
      : undefined;
  const models = { given: given?.model, teacher: teacher?.model };
  const opened = await openTrainData(config, models, reading, cli.signal);
  terminal.clear();
  for (const note of opened.notes) terminal.note(note);
  await makeFolder(out);
  // Without the signal: the step under way is to be finished.
  await using device = await cpuDevice({ threads: options.threads });
  const view = show(cli, terminal, opened, options);
  const events = train({
    model: opened.model,
    objective: opened.objective,
    device,
    step: { ...stepOptions(config), groups: opened.groups ?? [] },
    batches: opened.batches,
    steps,
    accumulate,
    recompute,
    classes: opened.classes?.length,
    seed,
    evaluation: opened.heldOut && {
      every: evaluate?.every ?? steps,
      batches: opened.heldOut,
      patience: evaluate?.patience,
    },
    checkpoints: { folder: joinPath(out, 'checkpoints'), ...checkpoint },
    metrics: joinPath(out, 'metrics.jsonl'),
    resume: options.resume,
    config: { ...decisive(config), ...opened.hashes },
    signal: cli.signal,
  });
  const report = openTrainReport({
    folder: out,
    name: baseName(out),
    config,
    notes: opened.notes,
    failed: (error) => terminal.note(`no report.html: ${(error as Error).message}`),
  });
  let done: Done | undefined;
  try {
    for await (const event of events) {
      if (event.type === 'start') await writeAtomic(joinPath(out, 'training.json'), asJson(config));
      if (event.type === 'done') done = event;
      view(event);
      report.see(event);
    }
  } finally {
    await report.close();
  }
  terminal.clear();
  if (!done || done.reason === 'aborted') {
    terminal.note(`stopped after step ${done?.step ?? 0}; go on with --resume`);
    return;
  }
  await write(config, opened, done);
  if (!options.json) terminal.print(`written: ${joinPath(out, 'model')}/\n`);
}

const asJson = (value: unknown): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** Shows events: lines of JSON, or a bar with the curve of the loss and a few lines. */
function show(
  { stdout }: Cli,
  terminal: Terminal,
  { heldOutBytes }: Opened,
  { json }: TrainCommandOptions,
): (event: TrainEvent) => void {
  const losses: number[] = [];
  let [seconds, tokens, total] = [0, 0, 0];
  const bits = ({ loss, weight }: { loss: number; weight: number }) =>
    heldOutBytes === undefined ? undefined : (loss * weight) / Math.LN2 / heldOutBytes;
  if (json) {
    return (event) => {
      const { model: _, ...line } = event as Done;
      const more = event.type === 'evaluation' ? { bitsPerByte: bits(event) } : {};
      stdout.write(`${JSON.stringify({ ...line, ...more })}\n`);
    };
  }
  return (event) => {
    switch (event.type) {
      case 'start':
        total = event.steps;
        for (const { path, reason } of event.skipped) {
          terminal.note(`passed over ${path}: ${reason}`);
        }
        if (event.resumed) terminal.note(`goes on from ${event.resumed}`);
        terminal.note(
          `${event.parameters.toLocaleString('en-US')} parameters, ${event.steps - event.step} steps`,
        );
        return;
      case 'step': {
        losses.push(event.loss);
        seconds += event.seconds;
        tokens += event.tokens;
        const speed = significant(event.tokensPerSecond);
        const what = `loss ${event.loss.toFixed(3)} ${sparkline(losses, 12)} ${speed} tok/s`;
        terminal.progress({ stage: 'train', done: event.step, total, what });
        return;
      }
      case 'evaluation': {
        const perByte = bits(event);
        const parts = [
          `loss ${event.loss.toFixed(4)}`,
          ...(perByte === undefined ? [] : [`${perByte.toFixed(4)} bits a byte`]),
          ...Object.entries(event.metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`),
        ];
        terminal.print(`step ${event.step}, held out: ${parts.join(', ')}\n`);
        return;
      }
      case 'checkpoint':
        return;
      case 'done': {
        if (losses.length === 0) return;
        const [first, last] = [losses[0], losses[losses.length - 1]];
        terminal.print(
          `loss ${first.toFixed(3)} ${sparkline(losses, 40)} ${last.toFixed(3)}, ${significant(tokens / seconds)} tokens/s\n`,
        );
        if (event.reason === 'early-stop') {
          terminal.print(`stopped early: the best evaluation was at step ${event.best?.step}\n`);
        }
      }
    }
  };
}

/** The model folder, with the weights of the best evaluation after an early stop. */
async function write(config: TrainConfig, { classes, head }: Opened, done: Done): Promise<void> {
  const best = done.reason === 'early-stop' ? done.best?.path : undefined;
  const now = done.model.weights;
  const weights =
    best === undefined ? now : layeredStore(memoryStore(await readCheckpoint(best)), now);
  const model: Model = { ...done.model, weights: stored(weights, config.save) };
  const files = modelFiles(model);
  const last = files.pop();
  if (head) {
    const own = declare(done.model).stored;
    const parameters = new Map<string, NDArray>();
    for (const name of now.names()) {
      if (!own.has(name)) parameters.set(name, await weights.read(name));
    }
    const { chunks, bytes } = encodeSafetensors(parameters);
    files.push({ name: 'head.safetensors', chunks, bytes });
  }
  if (classes) files.push({ name: 'classes.json', chunks: asJson(classes) });
  if (last) files.push(last);
  const folder = joinPath(config.out, 'model');
  await writeFolder(folder, files, { overwrite: true, last: 'config.json' });
}

/** The same weights, each float in another width. */
function stored(weights: WeightStore, dtype: DType): WeightStore {
  if (dtype === 'f32') return weights;
  const casts = (name: string) => weights.type(name).dtype === 'f32';
  return {
    names: () => weights.names(),
    has: (name) => weights.has(name),
    type: (name) => (casts(name) ? { ...weights.type(name), dtype } : weights.type(name)),
    read: async (name) => {
      const array = await weights.read(name);
      return casts(name) ? castArray(array, dtype) : array;
    },
  };
}
