// What the advisor measures: one row a metric, and the shape in which measured numbers travel from
// the timing code to the budget, the front, the table and the report. Nothing here measures.

export type MetricUnit = 'bytes' | 'seconds' | 'perSecond' | 'share' | 'number';

export type Metric = {
  readonly name: string;
  readonly better: 'lower' | 'higher';
  readonly unit: MetricUnit;
  /** The value that nothing goes beyond: 0 bytes, a share of 1, a perplexity of 1. */
  readonly best?: number;
  /** Heading in tables and reports. */
  readonly title: string;
  /** One sentence for help and reports, without a full stop. */
  readonly about: string;
  /** Words people write instead; offered in errors, never accepted silently. */
  readonly synonyms: readonly string[];
};

/** The metrics a budget can name, in the order of table columns. */
export const METRICS: readonly Metric[] = [
  {
    name: 'size',
    better: 'lower',
    unit: 'bytes',
    best: 0,
    title: 'Size',
    about: 'bytes of the weights as written to disk',
    synonyms: ['bytes', 'disk', 'weights', 'filesize', 'params'],
  },
  {
    name: 'latency',
    better: 'lower',
    unit: 'seconds',
    best: 0,
    title: 'Latency',
    about: 'median time of one call',
    synonyms: ['time', 'delay', 'ms', 'duration'],
  },
  {
    name: 'throughput',
    better: 'higher',
    unit: 'perSecond',
    title: 'Throughput',
    about: 'inputs (for decoders, tokens) finished in a second of batched work',
    synonyms: ['speed', 'rate', 'qps', 'speedup'],
  },
  {
    name: 'memory',
    better: 'lower',
    unit: 'bytes',
    best: 0,
    title: 'Memory',
    about: 'peak memory of the process while it runs the model',
    synonyms: ['ram', 'rss', 'peak', 'mem'],
  },
  {
    name: 'quality',
    better: 'higher',
    unit: 'share',
    best: 1,
    title: 'Quality',
    about: 'the headline quality of the task on held-out data, between 0 and 1',
    synonyms: ['score', 'fidelity', 'performance'],
  },
  {
    name: 'accuracy',
    better: 'higher',
    unit: 'share',
    best: 1,
    title: 'Accuracy',
    about: 'share of held-out labels that a probe on the embeddings gets right',
    synonyms: ['acc', 'correct'],
  },
  {
    name: 'cosine',
    better: 'higher',
    unit: 'share',
    best: 1,
    title: 'Cosine',
    about: "mean cosine between the candidate's and the original's embeddings of the same text",
    synonyms: ['similarity', 'cos'],
  },
  {
    name: 'recall',
    better: 'higher',
    unit: 'share',
    best: 1,
    title: 'Recall@10',
    about: "share of the original's ten nearest neighbours that the candidate finds too",
    synonyms: ['neighbours', 'neighbors', 'recall10'],
  },
  {
    name: 'agreement',
    better: 'higher',
    unit: 'share',
    best: 1,
    title: 'Agreement',
    about: "share of positions where the candidate's first choice of token is the original's",
    synonyms: ['tokens', 'argmax', 'top1'],
  },
  {
    name: 'perplexity',
    better: 'lower',
    unit: 'number',
    best: 1,
    title: 'Perplexity',
    about: 'exponential of the mean loss per token on held-out text',
    synonyms: ['ppl', 'loss'],
  },
];

/** The row of a metric, also for names that METRICS lacks (taken as a quality from 0 to 1). */
export function metricOf(name: string, metrics: readonly Metric[] = METRICS): Metric {
  return (
    metrics.find((metric) => metric.name === name) ?? {
      name,
      better: 'higher',
      unit: 'share',
      best: 1,
      title: name,
      about: name,
      synonyms: [],
    }
  );
}

/** A measured number, with its 95 % interval where it was measured more than once. */
export type Estimate = {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
};

/**
 * One metric of one candidate, in bytes, seconds, per second, or a plain number. `ratio` is the
 * candidate divided by the original: given where it was measured as such (interleaved rounds),
 * otherwise computed from the two values by whoever needs it.
 */
export type Measured = Estimate & { readonly ratio?: Estimate };

export type Metrics = Readonly<Record<string, Measured | undefined>>;

/** Candidate over original: as measured pairwise, or the quotient of the two values. */
export function ratioTo(
  metric: string,
  measured: Metrics,
  baseline: Metrics,
): Estimate | undefined {
  const mine = measured[metric];
  if (mine?.ratio !== undefined) return mine.ratio;
  const base = baseline[metric]?.value;
  if (mine === undefined || base === undefined || base === 0) return undefined;
  return { value: mine.value / base };
}

/** Metrics of what the model says, as against what it costs. */
export const isQuality = ({ unit }: Pick<Metric, 'unit'>): boolean =>
  unit === 'share' || unit === 'number';
