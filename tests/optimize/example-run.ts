// A made-up run of the advisor on a small text encoder, for tests of the table and the report: no
// number here was measured. Values are shaped like real ones: timings with intervals, a failed and
// two screened candidates, near ties, a name and a note with characters that HTML must escape.

import { assess } from '../../src/optimize/assess.js';
import type { ModuleCost } from '../../src/optimize/breakdown.js';
import { parseBudget } from '../../src/optimize/budget.js';
import type { Candidate, PassStep } from '../../src/optimize/candidate.js';
import type { Measured, Metrics } from '../../src/optimize/metric.js';
import type { ReportData } from '../../src/optimize/report.js';

const BASE = { size: 27.9e6, latency: 11.9e-3, throughput: 412, memory: 188e6 };

/** A timing with a slightly skewed interval of `spread`, and its ratio. */
function timed(value: number, base: number, spread = 0.02): Measured {
  const around = (x: number) => ({ value: x, low: x * (1 - spread), high: x * (1 + 1.4 * spread) });
  return { ...around(value), ratio: around(value / base) };
}

type Ratios = {
  size: number;
  latency: number;
  throughput: number;
  memory: number;
  cosine: number;
  recall: number;
  accuracy: number;
  spread?: number;
};

function metrics(r: Ratios): Metrics {
  return {
    size: { value: BASE.size * r.size },
    latency: timed(BASE.latency * r.latency, BASE.latency, r.spread),
    throughput: timed(BASE.throughput * r.throughput, BASE.throughput, r.spread),
    memory: { value: BASE.memory * r.memory },
    quality: { value: r.cosine },
    accuracy: { value: r.accuracy },
    cosine: { value: r.cosine },
    recall: { value: r.recall },
  };
}

type Row = [string, PassStep[], number, number, number, number, number, number, number];

const step = (pass: string, options: PassStep['options'] = {}): PassStep => ({ pass, options });

export const original: Candidate = {
  name: 'original',
  passes: [],
  stage: 'confirmed',
  metrics: metrics({
    size: 1,
    latency: 1,
    throughput: 1,
    memory: 1,
    cosine: 1,
    recall: 1,
    accuracy: 0.978,
    spread: 0.015,
  }),
};

// name, passes, size, latency, throughput, memory, cosine, recall, accuracy
const rows: Row[] = [
  ['int8', [step('int8')], 0.272, 0.58, 1.71, 0.61, 0.9994, 0.986, 0.978],
  ['int8-b64', [step('int8', { block: 64 })], 0.266, 0.585, 1.69, 0.605, 0.9988, 0.981, 0.978],
  ['int8-b16', [step('int8', { block: 16 })], 0.313, 0.66, 1.52, 0.64, 0.9996, 0.988, 0.978],
  ['int4', [step('fp4', { format: 'int4' })], 0.158, 0.62, 1.58, 0.52, 0.9871, 0.921, 0.974],
  ['fp4-e2m1', [step('fp4', { format: 'e2m1' })], 0.158, 0.63, 1.55, 0.52, 0.9902, 0.934, 0.975],
  ['fp4-e3m0', [step('fp4', { format: 'e3m0' })], 0.158, 0.64, 1.54, 0.52, 0.9655, 0.851, 0.967],
  ['lowrank-192', [step('lowrank', { rank: 192 })], 0.81, 0.83, 1.19, 0.9, 0.9923, 0.944, 0.976],
  ['lowrank-128', [step('lowrank', { rank: 128 })], 0.69, 0.71, 1.4, 0.84, 0.9661, 0.872, 0.969],
  ['lowrank-64', [step('lowrank', { rank: 64 })], 0.56, 0.55, 1.8, 0.76, 0.8912, 0.702, 0.941],
  [
    'lowrank-192+int8',
    [step('lowrank', { rank: 192 }), step('int8')],
    0.231,
    0.56,
    1.76,
    0.58,
    0.9917,
    0.939,
    0.976,
  ],
  [
    'lowrank-128+int8',
    [step('lowrank', { rank: 128 }), step('int8')],
    0.199,
    0.5,
    1.97,
    0.55,
    0.9655,
    0.87,
    0.969,
  ],
  [
    'lowrank-192+int4',
    [step('lowrank', { rank: 192 }), step('fp4', { format: 'int4' })],
    0.137,
    0.61,
    1.6,
    0.5,
    0.9803,
    0.903,
    0.972,
  ],
];

const confirmed = rows.map(
  ([name, passes, size, latency, throughput, memory, cosine, recall, accuracy]): Candidate => ({
    name,
    passes,
    stage: 'confirmed',
    metrics: metrics({ size, latency, throughput, memory, cosine, recall, accuracy }),
  }),
);

export const candidates: Candidate[] = [
  ...confirmed,
  {
    name: 'lowrank-32',
    passes: [step('lowrank', { rank: 32 })],
    stage: 'screened',
    metrics: { size: { value: BASE.size * 0.49 }, quality: { value: 0.742 } },
    note: 'quality 0.742 < 0.98x on the screening slice',
  },
  {
    name: 'lowrank-64+int4',
    passes: [step('lowrank', { rank: 64 }), step('fp4', { format: 'int4' })],
    stage: 'screened',
    metrics: { size: { value: BASE.size * 0.11 }, quality: { value: 0.879 } },
    note: 'quality 0.879 < 0.98x on the screening slice',
  },
  {
    name: 'int2<b>&"',
    passes: [step('codes', { bits: 2, note: '</script><script>alert(1)</script>' })],
    stage: 'failed',
    metrics: {},
    note: 'no kernel for <2-bit> weights & 24-wide blocks',
  },
];

const widths = { attention: 1.05e6, mlp: 2.05e6 };

/** Modules of a two-block encoder; `shrink` scales the bytes of matrices, `work` their FLOPs. */
function modulesOf(shrink: number, work: number): ModuleCost[] {
  const blocks = [0, 1].flatMap((block) =>
    Object.entries(widths).flatMap(([name, parameters]) => [
      {
        path: `blocks.${block}.${name}.in`,
        bytes: 4 * parameters * 0.55 * (block + 1) * 0.5 * shrink,
        flops: 2 * parameters * 24 * work,
      },
      {
        path: `blocks.${block}.${name}.out`,
        bytes: 4 * parameters * 0.45 * (block + 1) * 0.5 * shrink,
        flops: 2 * parameters * 20 * work,
      },
    ]),
  );
  return [
    { path: 'embedding.tokens', bytes: 8002 * 256 * 4 * shrink, flops: 0 },
    ...blocks,
    { path: 'blocks.0.norm', bytes: 2048, flops: 36e3 },
    { path: 'blocks.1.norm', bytes: 4096, flops: 72e3 },
    { path: 'pool.dense', bytes: 512 * 513 * 4 * shrink, flops: 524e3 },
  ];
}

export const reportData = (budget: string): ReportData => ({
  model: 'use-lite',
  assessment: assess({ original, candidates, budget: parseBudget(budget) }),
  command: `anyformer optimize use-lite --data spam.tsv --budget "${budget}" --seed 7`,
  created: '2026-11-20T14:05:31.000Z',
  machine: {
    cpu: 'Example CPU @ 2.80GHz',
    cores: 2,
    threads: 2,
    memoryBytes: 8.1e9,
    platform: 'linux-x64',
    runtime: 'node 20.20.2',
    loadBefore: [0.42, 0.31, 0.2],
    loadAfter: [1.93, 0.88, 0.41],
    versions: { anyformer: '0.1.0', 'onnxruntime-node': '1.30.0' },
  },
  method: [
    'Every candidate was built and screened on 64 lines; those within reach of the budget were confirmed on 1,000 held-out lines.',
    'Latency: 15 interleaved rounds of one 24-token line, each sample at least 5 ms long; ratios are medians over rounds of candidate / original, with order-statistic 95 % intervals.',
  ],
  quality: [
    'Embeddings of 1,000 held-out lines of spam.tsv against those of the original; a logistic probe trained on 600 others.',
  ],
  modules: { before: modulesOf(1, 1), after: modulesOf(0.231, 0.77) },
});
