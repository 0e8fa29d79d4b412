// The configuration of a training run: its schema, and what of it decides the numbers of the run.
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { exists } from '#platform';
import { checkConfig, readConfigFile } from '../models/config-file.js';
import { NAMED_MODELS } from '../models/resolve.js';
import { adafactor, adamw, lion, type Optimizer, sgd } from '../train/optimizers.js';
import {
  constantRate,
  cosine,
  inverseSquareRoot,
  linearDecay,
  type Schedule,
} from '../train/schedules.js';
import type { StepOptions } from '../train/step.js';
import type { TextSource } from './text-sources.js';

/** A file, a folder, or a data set of the catalogue; see text-sources.ts. */
const source = z.union([
  z.string().min(1),
  z.strictObject({ dataset: z.string().min(1), last: z.int().positive().optional() }),
]);
const sources = z.union([source.transform((one) => [one]), z.array(source).min(1)]);
const share = z.number().min(0).max(1);
const common = {
  rate: z.number().positive(),
  /** Of matrices; vectors have none. */
  decay: z.number().min(0).default(0),
  /** Largest global gradient norm. */
  clip: z.number().positive().default(1),
};

const schema = z.strictObject({
  model: z.union([z.string().min(1), z.looseObject({ model_type: z.string() })]),
  tokenizer: z
    .union([
      z.string().min(1),
      z.strictObject({ type: z.literal('bytes') }),
      z.strictObject({
        type: z.literal('bpe'),
        vocabulary: z.int().positive(),
        minCount: z.int().positive().default(2),
      }),
    ])
    .optional(),
  data: z.strictObject({
    train: sources,
    heldOut: z.union([share, sources]).optional(),
    documents: z
      .union([z.enum(['line', 'file']), z.strictObject({ separator: z.string() })])
      .default('line'),
  }),
  objective: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('causal-lm'), smoothing: share.default(0) }),
      z.strictObject({ type: z.literal('classification'), smoothing: share.default(0) }),
      z.strictObject({
        type: z.literal('masked-lm'),
        smoothing: share.default(0),
        /** Of the tokens, that are to be predicted. */
        share: z.number().positive().max(1).default(0.15),
      }),
      z.strictObject({
        type: z.literal('contrastive'),
        temperature: z.number().positive().default(0.05),
      }),
      z.strictObject({
        type: z.literal('distillation'),
        smoothing: share.default(0),
        /** A model folder. */
        teacher: z.string().min(1),
        temperature: z.number().positive().default(2),
        /** Share of the loss that comes from the text itself. */
        hard: share.default(0.5),
        /** Module paths, the student's and the teacher's, that are to be alike. */
        hidden: z.array(z.tuple([z.string(), z.string()])).default([]),
        hiddenWeight: z.number().min(0).default(1),
      }),
    ])
    .default({ type: 'causal-lm', smoothing: 0 }),
  optimizer: z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('adamw'),
      ...common,
      beta1: share.optional(),
      beta2: share.optional(),
      eps: z.number().positive().optional(),
    }),
    z.strictObject({
      type: z.literal('sgd'),
      ...common,
      momentum: share.optional(),
      nesterov: z.boolean().optional(),
    }),
    z.strictObject({
      type: z.literal('lion'),
      ...common,
      beta1: share.optional(),
      beta2: share.optional(),
    }),
    z.strictObject({ type: z.literal('adafactor'), ...common, decayPower: share.optional() }),
  ]),
  schedule: z
    .strictObject({
      type: z.enum(['constant', 'cosine', 'linear', 'inverse-square-root']).default('cosine'),
      warmup: z.int().min(0).default(0),
      floor: share.default(0),
    })
    .prefault({}),
  steps: z.int().positive(),
  batch: z.int().positive(),
  /** Tokens of a row; longer texts with labels are cut. */
  sequence: z.int().min(2),
  accumulate: z.int().positive().default(1),
  /** Compute blocks again for the gradient instead of keeping them. */
  recompute: z.boolean().default(false),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(0),
  evaluate: z
    .strictObject({ every: z.int().positive(), patience: z.int().positive().optional() })
    .optional(),
  checkpoint: z
    .strictObject({ every: z.int().positive().default(100), keep: z.int().positive().default(3) })
    .prefault({}),
  /** Element type of the weights that are written at the end. */
  save: z.enum(['f32', 'bf16', 'f16']).default('f32'),
  out: z.string().min(1),
});

export type TrainConfig = z.output<typeof schema>;

/**
 * Reads and checks the file; paths become absolute, seen from the file's folder, where such a file or
 * folder is there (a model may also be a known name). Errors: `config/...` naming the key.
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  const config = checkConfig(schema, await readConfigFile(path), path);
  const folder = dirname(resolve(path));
  const at = (name: string) => resolve(folder, name);
  const { data, tokenizer, model, objective } = config;
  const sourceAt = (one: TextSource) => (typeof one === 'string' ? at(one) : one);
  const here = typeof model === 'string' && !NAMED_MODELS.has(model) && (await exists(at(model)));
  return {
    ...config,
    model: here ? at(model) : model,
    tokenizer: typeof tokenizer === 'string' ? at(tokenizer) : tokenizer,
    data: {
      ...data,
      train: data.train.map(sourceAt),
      heldOut: Array.isArray(data.heldOut) ? data.heldOut.map(sourceAt) : data.heldOut,
    },
    objective:
      objective.type === 'distillation'
        ? { ...objective, teacher: at(objective.teacher) }
        : objective,
    out: at(config.out),
  };
}

/** What a resumed run must have in common with the one that it goes on from. */
export function decisive(config: TrainConfig): Record<string, unknown> {
  const {
    out: _,
    evaluate: __,
    checkpoint: ___,
    save: ____,
    data,
    tokenizer,
    steps,
    ...rest
  } = config;
  const falling = config.schedule.type === 'cosine' || config.schedule.type === 'linear';
  return {
    ...rest,
    // Files are told by their contents.
    ...(typeof tokenizer === 'object' ? { tokenizer } : {}),
    data: { documents: data.documents },
    // The end decides the rate of each step where the rate falls towards it.
    ...(falling ? { steps } : {}),
  };
}

function optimizerOf(o: TrainConfig['optimizer']): Optimizer {
  const { type, rate: _, decay: __, clip: ___, ...options } = o;
  // Absent options take the optimiser's own defaults.
  const given = Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined));
  return { adamw, sgd, lion, adafactor }[type](given);
}

function scheduleOf({ schedule, steps }: TrainConfig): Schedule {
  const { type, warmup, floor } = schedule;
  switch (type) {
    case 'constant':
      return constantRate({ warmup });
    case 'cosine':
      return cosine({ steps, warmup, floor });
    case 'linear':
      return linearDecay({ steps, warmup, floor });
    case 'inverse-square-root':
      return inverseSquareRoot({ warmup: Math.max(1, warmup) });
  }
}

export function stepOptions(config: TrainConfig): StepOptions {
  const { rate, decay, clip } = config.optimizer;
  return {
    optimizer: optimizerOf(config.optimizer),
    schedule: scheduleOf(config),
    rate,
    decay,
    clip,
  };
}
