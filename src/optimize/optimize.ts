// The advisor: candidates x measurement -> Pareto front -> recommendation. Two stages: every
// candidate is built, sized, and screened on a slice; the best are then measured on all held-out data
// with timings interleaved against the original's. Everything in the result was measured here.
import { machine } from '#platform';
import { type Calibration, calibrate } from '../compress/calibration.js';
import type { PassContext } from '../compress/pass.js';
import { applyChain, needsCalibration, type Step, showSteps } from '../compress/registry.js';
import { sampleTexts } from '../data/split.js';
import { tokenize } from '../models/encoder.js';
import { inspectModel } from '../models/inspect.js';
import { isEncoder, type Model, storedBytes } from '../models/model.js';
import type { Device } from '../runtime/device.js';
import { AnyformerError, VERSION } from '../tensor/index.js';
import { type Assessment, assess } from './assess.js';
import type { Candidate, PassStep } from './candidate.js';
import type { Budget } from './constraint.js';
import { requireMeasured } from './judge.js';
import { interleave, timingOf } from './measure.js';
import type { Metrics } from './metric.js';
import { HEADLINE, type Judge, openJudge, type QualityData, recordOf } from './quality.js';
import type { ReportData } from './report.js';
import { defaultCandidates, screen } from './search.js';
import { openWorkload, type Workload } from './workload.js';

export type OptimizeEvent = {
  stage: 'original' | 'calibrate' | 'screen' | 'confirm' | 'memory';
  done: number;
  total: number;
  what: string;
};

export type OptimizeOptions = {
  model: Model;
  device: Device;
  budget: Budget;
  data: QualityData;
  /** Chains of passes to try; those of `defaultCandidates` unless told. */
  candidates?: readonly (readonly Step[])[] | undefined;
  /** The metric that decides among candidates that meet the budget. */
  prefer?: string | undefined;
  seed?: number | undefined;
  /** Peak memory of a process that loads a model and runs it, in bytes; `memory` is not measured without. */
  memoryOf?: ((model: Model, signal?: AbortSignal) => Promise<number>) | undefined;
  signal?: AbortSignal | undefined;
  progress?: ((event: OptimizeEvent) => void) | undefined;
};

export type Optimized = {
  assessment: Assessment;
  report: Omit<ReportData, 'command'>;
  /** The recommended model with its quality record; the original where that already fits. */
  chosen: Model | undefined;
  /** Every candidate that could be built, by name. */
  models: ReadonlyMap<string, Model>;
};

const SCREEN_TEXTS = 96;
const CALIBRATION_TEXTS = 128;
const CONFIRM_ROUNDS = 21;
const SCREEN_ROUNDS = 7;

/** Texts that passes may look at, apart from those that judge: no candidate is tested on them. */
function divide(data: QualityData, seed: number): { calibration: string[]; judged: QualityData } {
  const calibration = sampleTexts(
    data.texts,
    Math.min(CALIBRATION_TEXTS, Math.floor(data.texts.length / 4)),
    seed,
  );
  const taken = new Set(calibration);
  return { calibration, judged: { ...data, texts: data.texts.filter((text) => !taken.has(text)) } };
}

export async function optimize(options: OptimizeOptions): Promise<Optimized> {
  const { model, device, budget, signal, progress, seed = 1, memoryOf } = options;
  signal?.throwIfAborted();
  requireMeasured(budget, measurable(model, options));
  const chains = options.candidates ?? defaultCandidates();
  const { load: loadBefore } = await machine();
  const { calibration: sample, judged } = divide(options.data, seed);
  const slice: QualityData = {
    ...judged,
    texts: sampleTexts(judged.texts, Math.min(SCREEN_TEXTS, judged.texts.length), seed + 1),
    labelled: undefined,
  };

  progress?.({ stage: 'original', done: 0, total: 1, what: `measuring ${model.name}` });
  const screenJudge = await openJudge(model, slice, device, { signal });
  await using original = await openWorkload(model, judged.texts, device, { signal });
  const context: PassContext = { device, signal };
  if (chains.some(needsCalibration)) {
    const ids = tokenize(model, sample);
    progress?.({ stage: 'calibrate', done: 0, total: 1, what: `${ids.length} texts` });
    context.calibration = await calibrated(model, ids, context);
  }

  const models = new Map<string, Model>();
  const candidates: Candidate[] = [];
  for (const [i, chain] of chains.entries()) {
    const name = showSteps(chain);
    progress?.({ stage: 'screen', done: i, total: chains.length, what: name });
    candidates.push(
      await screened(chain, { ...options, original, judge: screenJudge, context, models, judged }),
    );
  }
  const base: Candidate = {
    name: model.name,
    passes: [],
    stage: 'confirmed',
    metrics: { ...screenJudge.original, size: { value: storedBytes(model) } },
  };
  const kept = screen(withOwnRatios(base), candidates, budget);

  progress?.({ stage: 'confirm', done: 0, total: 1, what: 'quality of the original' });
  const judge = await openJudge(model, judged, device, { signal });
  const finalists = kept.filter(({ finalist }) => finalist).map(({ candidate }) => candidate);
  const timed = await timeAll(finalists, { ...options, original, models, judged });
  const measured = new Map<string, Metrics>();
  for (const [i, { name }] of finalists.entries()) {
    progress?.({ stage: 'confirm', done: i, total: finalists.length, what: `quality of ${name}` });
    const candidate = models.get(name);
    if (candidate) measured.set(name, await judge.measure(candidate, { signal }));
  }
  const memory = new Map<string, number>();
  if (memoryOf) {
    for (const [i, name] of [model.name, ...finalists.map((one) => one.name)].entries()) {
      progress?.({ stage: 'memory', done: i, total: finalists.length + 1, what: name });
      memory.set(name, await memoryOf(models.get(name) ?? model, signal));
    }
  }
  const complete = (candidate: Candidate, quality: Metrics | undefined): Candidate => ({
    ...candidate,
    stage: 'confirmed',
    metrics: {
      ...quality,
      size: candidate.metrics.size,
      ...timed.get(candidate.name),
      ...(memory.has(candidate.name) ? { memory: { value: memory.get(candidate.name) ?? 0 } } : {}),
    },
  });
  const assessment = assess({
    original: complete(base, judge.original),
    candidates: kept.map(({ candidate, finalist }) =>
      finalist ? complete(candidate, measured.get(candidate.name)) : candidate,
    ),
    budget,
    prefer: options.prefer,
  });

  const { chosen: name, nearest } = assessment.recommendation;
  const shown = models.get(name ?? nearest?.name ?? '');
  const found = name === undefined ? undefined : models.get(name);
  const record = recordOf(
    { original: model, data: judged, device, version: VERSION },
    judge.original,
    measured.get(name ?? '') ?? {},
  );
  const chosen = found ? { ...found, quality: record } : name === model.name ? model : undefined;
  const sizes = { batch: 1, seq: original.tokens };
  return {
    assessment,
    chosen,
    models,
    report: {
      model: model.name,
      assessment,
      created: new Date().toISOString(),
      machine: await machineFacts(device, loadBefore),
      method: methodOf(original, finalists.length, chains.length, device),
      quality: qualityOf(model, judged, slice, sample.length),
      modules: shown && {
        before: inspectModel(model, sizes).modules,
        after: inspectModel(shown, sizes).modules,
      },
    },
  };
}

function measurable(model: Model, { data, memoryOf }: OptimizeOptions): string[] {
  const quality = isEncoder(model)
    ? ['cosine', 'recall', ...(data.labelled ? ['accuracy'] : [])]
    : ['agreement', 'perplexity'];
  return ['size', 'latency', 'throughput', ...(memoryOf ? ['memory'] : []), 'quality', ...quality];
}

function calibrated(
  model: Model,
  ids: readonly (readonly number[])[],
  context: PassContext,
): Promise<Calibration> {
  return calibrate(model, { device: context.device, ids, signal: context.signal });
}

type Run = OptimizeOptions & {
  original: Workload;
  models: Map<string, Model>;
  judged: QualityData;
};

/** Builds one candidate and looks at it on the slice; a pass that fails is told, not thrown. */
async function screened(
  chain: readonly Step[],
  run: Run & { judge: Judge; context: PassContext },
): Promise<Candidate> {
  const { model, device, original, judge, context, models, judged, signal } = run;
  const name = showSteps(chain);
  const passes = chain.map(
    ({ pass, options }): PassStep => ({
      pass: pass.name,
      options: options as PassStep['options'],
    }),
  );
  try {
    const built = await applyChain(model, chain, context);
    models.set(name, built);
    const quality = await judge.measure(built, { signal });
    await using workload = await openWorkload(built, judged.texts, device, { signal });
    const runs = [
      { name: model.name, run: () => original.one() },
      { name, run: () => workload.one() },
    ];
    const timing = await interleave(runs, { rounds: SCREEN_ROUNDS, warmup: 3, minMs: 10, signal });
    const { seconds } = timingOf(timing, name, model.name);
    const metrics = { ...quality, size: { value: storedBytes(built) }, latency: seconds };
    return { name, passes, stage: 'screened', metrics };
  } catch (error) {
    if (!(error instanceof AnyformerError)) throw error;
    models.delete(name);
    return { name, passes, stage: 'failed', metrics: {}, note: error.what };
  }
}

/** The original against itself: ratios of exactly 1 for what screening times in pairs. */
const withOwnRatios = (base: Candidate): Candidate => ({
  ...base,
  metrics: { ...base.metrics, latency: { value: 1, ratio: { value: 1 } } },
});

/** Latency and throughput of the original and the finalists, all interleaved. */
async function timeAll(finalists: readonly Candidate[], run: Run): Promise<Map<string, Metrics>> {
  const { model, device, original, models, judged, signal, progress } = run;
  const open = new Map<string, Workload>([[model.name, original]]);
  try {
    for (const { name } of finalists) {
      const candidate = models.get(name);
      if (candidate)
        open.set(name, await openWorkload(candidate, judged.texts, device, { signal }));
    }
    const time = (kind: 'one' | 'batch', rounds: number, minMs: number) =>
      interleave(
        [...open].map(([name, workload]) => ({ name, run: () => workload[kind]() })),
        {
          rounds,
          minMs,
          signal,
          progress: ({ done, total, name }) =>
            progress?.({
              stage: 'confirm',
              done,
              total,
              what: `${kind === 'one' ? 'latency' : 'throughput'} of ${name}`,
            }),
        },
      );
    const one = await time('one', CONFIRM_ROUNDS, 20);
    const batch = await time('batch', Math.ceil(CONFIRM_ROUNDS / 3) + 2, 0);
    return new Map(
      [...open].map(([name, workload]): [string, Metrics] => [
        name,
        {
          latency: timingOf(one, name, model.name).seconds,
          throughput: timingOf(batch, name, model.name, workload.texts).perSecond,
        },
      ]),
    );
  } finally {
    for (const [name, workload] of open)
      if (name !== model.name) await workload[Symbol.asyncDispose]();
  }
}

async function machineFacts(
  device: Device,
  loadBefore: ReportData['machine']['loadBefore'],
): Promise<ReportData['machine']> {
  const { cpu, cores, memoryBytes, platform, runtime, load } = await machine();
  const versions = { anyformer: VERSION, [device.engine.name]: device.engine.version };
  return {
    cpu,
    cores,
    threads: device.threads,
    memoryBytes,
    platform,
    runtime,
    loadBefore,
    loadAfter: load,
    versions,
  };
}

const methodOf = (
  original: Workload,
  finalists: number,
  tried: number,
  device: Device,
): string[] => [
  `${tried} candidates were built and screened; ${finalists} were measured in full.`,
  `Latency is the median over ${CONFIRM_ROUNDS} interleaved rounds of one text of ${original.tokens} tokens; throughput is of batches of ${original.texts} texts of mixed length, sorted by length.`,
  `Every run used ${device.threads} threads. Intervals are 95 % by order statistics; ratios are medians of pairs from the same round.`,
  'Size is the bytes of the tensors as written to disk.',
];

function qualityOf(
  model: Model,
  judged: QualityData,
  slice: QualityData,
  calibration: number,
): string[] {
  const kind = isEncoder(model) ? 'encoder' : 'decoder';
  const labelled = judged.labelled;
  return [
    `Quality is measured on ${judged.texts.length} texts of ${judged.name} that no pass has seen; ${calibration} others were there to calibrate on, and ${slice.texts.length} to screen.`,
    `The headline quality is ${HEADLINE[kind]}.`,
    ...(labelled
      ? [
          `Accuracy is of a ridge probe on the embeddings, fitted on one half of ${labelled.texts.length} labelled texts (${labelled.classes.length} classes) and tested on the other.`,
        ]
      : []),
  ];
}
