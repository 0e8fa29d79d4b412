// Quality of a candidate against its original on data that no pass has seen. Encoders: mean cosine of
// the vectors (the headline), recall of the ten nearest neighbours, and a probe's accuracy where the
// data is labelled. Decoders: perplexity and how often the first choice of token is the original's
// (the headline).
import { type Labelled, splitLabelled } from '../data/split.js';
import { openEncoder, tokenize } from '../models/encoder.js';
import { isEncoder, type Model } from '../models/model.js';
import type { QualityRecord } from '../models/quality.js';
import type { Device } from '../runtime/device.js';
import { AnyformerError, type NDArray } from '../tensor/index.js';
import { measureDecoder, type TokenScores } from './decoder-quality.js';
import type { Metrics } from './metric.js';
import { meanCosine, nearestRows, recall } from './neighbours.js';
import { agreement, fitProbe } from './probe.js';

export type QualityData = {
  readonly name: string;
  /** SHA-256 of the files it came from. */
  readonly sha256: string;
  readonly texts: readonly string[];
  readonly labelled?: Labelled | undefined;
};

type MeasureOptions = { signal?: AbortSignal | undefined };

/** Judges candidates of one original; what the original gives is computed once. */
export type Judge = {
  readonly original: Metrics;
  measure(candidate: Model, options?: MeasureOptions): Promise<Metrics>;
};

export const HEADLINE = { encoder: 'cosine', decoder: 'agreement' } as const;

const NEIGHBOURS = 10;
/** Neighbours are compared among at most this many texts: the work grows with its square. */
const NEIGHBOUR_TEXTS = 500;

/** Measures the original. Errors: `optimize/data` when there are too few texts. */
export async function openJudge(
  original: Model,
  data: QualityData,
  device: Device,
  options: MeasureOptions = {},
): Promise<Judge> {
  if (data.texts.length === 0) {
    throw new AnyformerError('optimize/data', {
      what: `${data.name} holds no texts`,
      expected: 'at least one text to measure quality on',
      found: 'none',
    });
  }
  return isEncoder(original)
    ? await encoderJudge(original, data, device, options)
    : await decoderJudge(original, data, device, options);
}

type Vectors = { texts: NDArray; accuracy: number | undefined; neighbours: number[][] };

async function encoderJudge(
  original: Model,
  data: QualityData,
  device: Device,
  options: MeasureOptions,
): Promise<Judge> {
  const split = data.labelled && splitLabelled(data.labelled, { test: 0.5, seed: 1 });
  const vectorsOf = async (model: Model, { signal }: MeasureOptions): Promise<Vectors> => {
    await using encoder = await openEncoder(model, device, { signal });
    const texts = await encoder.encodeIds(tokenize(model, data.texts), { signal });
    const neighbours = nearestRows(firstRows(texts, NEIGHBOUR_TEXTS), NEIGHBOURS);
    if (!split) return { texts, neighbours, accuracy: undefined };
    const { train, test } = split;
    const probe = fitProbe(
      await encoder.encodeIds(tokenize(model, train.texts), { signal }),
      train.labels,
      train.classes.length,
    );
    const guesses = probe.classify(
      await encoder.encodeIds(tokenize(model, test.texts), { signal }),
    );
    return { texts, neighbours, accuracy: agreement(guesses, test.labels) };
  };
  const reference = await vectorsOf(original, options);
  const compare = ({ texts, neighbours, accuracy }: Vectors): Metrics => {
    const cosine = meanCosine(reference.texts, texts);
    return {
      quality: { value: cosine },
      cosine: { value: cosine },
      recall: { value: recall(reference.neighbours, neighbours) },
      accuracy: accuracy === undefined ? undefined : { value: accuracy },
    };
  };
  const { accuracy } = reference;
  const whole = { value: 1 };
  return {
    original: {
      quality: whole,
      cosine: whole,
      recall: whole,
      accuracy: accuracy === undefined ? undefined : { value: accuracy },
    },
    measure: async (candidate, o = {}) => compare(await vectorsOf(candidate, o)),
  };
}

const firstRows = ({ dtype, shape, data }: NDArray, count: number): NDArray => {
  const rows = Math.min(count, shape[0]);
  return {
    dtype,
    shape: [rows, shape[1]],
    data: data.subarray(0, rows * shape[1]) as NDArray['data'],
  };
};

async function decoderJudge(
  original: Model,
  data: QualityData,
  device: Device,
  options: MeasureOptions,
): Promise<Judge> {
  const reference = await measureDecoder(original, data.texts, device, options);
  const compare = (scores: TokenScores): Metrics => {
    const agrees = agreement(scores.choices, reference.choices);
    return {
      quality: { value: agrees },
      agreement: { value: agrees },
      perplexity: { value: Math.exp(scores.loss) },
    };
  };
  return {
    original: compare(reference),
    measure: async (candidate, o = {}) =>
      compare(await measureDecoder(candidate, data.texts, device, o)),
  };
}

/** Metrics that compare with the original, so that "before" means nothing. */
const COMPARING = new Set(['cosine', 'recall', 'agreement', 'quality']);

/** The record that a compressed model carries. */
export function recordOf(
  {
    original,
    data,
    device,
    version,
  }: { original: Model; data: QualityData; device: Device; version: string },
  before: Metrics,
  after: Metrics,
): QualityRecord {
  const metrics: QualityRecord['metrics'] = {};
  for (const [name, measured] of Object.entries(after)) {
    if (!measured || name === 'quality') continue;
    const base = COMPARING.has(name) ? null : (before[name]?.value ?? null);
    metrics[name] = { before: base, after: measured.value };
  }
  return {
    data: {
      name: data.name,
      examples: data.texts.length + (data.labelled?.texts.length ?? 0),
      sha256: data.sha256,
    },
    original: original.name,
    metrics,
    measuredBy: { version, device: device.kind, threads: device.threads },
  };
}

/** One candidate's metrics and record, for callers that judge only one. */
export async function measureQuality(
  original: Model,
  candidate: Model,
  data: QualityData,
  device: Device,
  { signal, version }: { signal?: AbortSignal | undefined; version: string },
): Promise<{ metrics: Metrics; record: QualityRecord }> {
  const judge = await openJudge(original, data, device, { signal });
  const metrics = await judge.measure(candidate, { signal });
  return {
    metrics,
    record: recordOf({ original, data, device, version }, judge.original, metrics),
  };
}
