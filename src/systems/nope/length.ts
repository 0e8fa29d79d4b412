// Trained on short sequences, tested on longer ones, scheme against scheme: equal layers, data, steps
// and seeds. A sequence counts when every token of its answer, <eos> included, is the most likely one
// after the right ones before it; greedy decoding writes the answer exactly when this holds.
import {
  buildProgram,
  isDecoder,
  type Model,
  wholeSequences,
  wrongKind,
} from '../../models/model.js';
import { fromNumbers, input, type NDArray, toNumbers } from '../../tensor/index.js';
import { crossEntropy, weightedMean } from '../../train/losses.js';
import type { Objective } from '../../train/objectives.js';
import { mean, opened, train } from '../experiment.js';
import type { MeasureContext } from '../system.js';
import { drawing, PAD, type Sample, sequence, type Task, tasks, VOCABULARY } from './tasks.js';

export const schemes = {
  none: { type: 'none' },
  t5: { type: 't5' },
  alibi: { type: 'alibi' },
  rotary: { type: 'rotary', fraction: 0.25 },
  sinusoid: { type: 'sinusoid' },
} as const;
export type Scheme = keyof typeof schemes;

export type Scale = {
  width: number;
  layers: number;
  batch: number;
  steps: number;
  rate: number;
  /** Longest sequence seen in training, and in the test. */
  seen: number;
  longest: number;
  /** Test sequences of each length. */
  tests: number;
};

const HEADS = 4;

export const configOf = (scheme: Scheme, { width, layers, longest }: Scale) => ({
  model_type: 'metaformer',
  vocab_size: VOCABULARY,
  hidden_size: width,
  num_attention_heads: HEADS,
  embedding_scale: Math.sqrt(width), // as where sinusoids come from (Vaswani et al. 2017)
  position: schemes[scheme],
  layers: Array.from({ length: layers }, () => ({
    mixer: { type: 'attention' },
    channel: { type: 'mlp', hidden: 4 * width, activation: 'relu' },
  })),
  max_position_embeddings: 2 * longest + 3,
});

/** Rows padded on the right; `answers` is 1 where the next token belongs to the answer. */
export function batchOf(samples: readonly Sample[]): Record<string, NDArray> {
  const rows = samples.map(sequence);
  const seq = Math.max(...rows.map(({ ids }) => ids.length));
  const shape = [rows.length, seq];
  const cells = (value: (row: (typeof rows)[number], i: number) => number) =>
    fromNumbers(
      'i64',
      shape,
      rows.flatMap((row) => Array.from({ length: seq }, (_, i) => value(row, i))),
    );
  return {
    input_ids: cells(({ ids }, i) => ids[i] ?? PAD),
    attention_mask: cells(({ ids }, i) => (i < ids.length ? 1 : 0)),
    answers: cells(({ ids, from }, i) => (i >= from - 1 && i < ids.length - 1 ? 1 : 0)),
  };
}

/** The loss counts the answer alone. */
export const answerLoss: Objective = (s, model) => {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const inputs = wholeSequences();
  const logits = model.family.logits(s, model.config, inputs);
  const targets = inputs.ids.slice(1, 1).pad(1, 0, 1); // the next token
  const weights = input('answers', 'i64', ['batch', 'seq']).cast('f32');
  return { loss: weightedMean(crossEntropy(logits, targets), weights) };
};

/** Share of exact answers for each length. */
async function exactByLength(
  context: MeasureContext,
  model: Model,
  task: Task,
  lengths: readonly number[],
  { tests }: Scale,
): Promise<number[]> {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const built = buildProgram(model, (s) => ({
    best: model.family.logits(s, model.config, wholeSequences()).argMax(-1),
  }));
  await using program = await opened(context, model, built);
  const shares: number[] = [];
  for (const length of lengths) {
    const draw = drawing(context.seed + 7919 * (length + 1));
    const samples = Array.from({ length: tests }, () => task.make(length, draw));
    const { answers, ...feeds } = batchOf(samples);
    const { best } = await program.run(feeds);
    const found = toNumbers(best);
    const seq = best.shape[1];
    const exact = samples.filter((sample, row) => {
      const { ids, from } = sequence(sample);
      return ids.every((id, i) => i < from || found[row * seq + i - 1] === id);
    });
    shares.push(exact.length / samples.length);
  }
  return shares;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Mean exact match on seen and on unseen lengths of one scheme. */
export async function generalisation(
  context: MeasureContext,
  scheme: Scheme,
  scale: Scale,
  task: Task = tasks[0],
): Promise<{ seen: number; unseen: number; curve: readonly number[] }> {
  const draw = drawing(context.seed + 1);
  const { model } = await train(context, {
    what: `positions ${scheme}`,
    config: configOf(scheme, scale),
    objective: answerLoss,
    steps: scale.steps,
    rate: scale.rate,
    seed: context.seed,
    decay: 0.05,
    batch: () => {
      const lengths = Array.from(
        { length: scale.batch },
        () => 2 + Math.floor(draw() * (scale.seen - 1)),
      );
      return batchOf(lengths.map((length) => task.make(length, draw)));
    },
  });
  const curve = await exactByLength(context, model, task, range(2, scale.longest), scale);
  const split = scale.seen - 1;
  return { seen: mean(curve.slice(0, split)), unseen: mean(curve.slice(split)), curve };
}

/** Every scheme on the repeated-token copy: shares, and how far `none` is above the absolute ones. */
export async function compareSchemes(
  context: MeasureContext,
  scale: Scale,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const seen: number[] = [];
  for (const scheme of Object.keys(schemes) as Scheme[]) {
    const result = await generalisation(context, scheme, scale);
    found[scheme] = result.unseen;
    seen.push(result.seen);
    const curve = result.curve.map((share, i) => `${i + 2}:${Math.round(100 * share)}`);
    context.note(`${scheme}, % exact by length: ${curve.join(' ')}`);
  }
  return {
    ...found,
    seen: Math.min(...seen),
    gap: found.none - Math.max(found.rotary, found.sinusoid),
    absolute: Math.max(found.rotary, found.sinusoid),
  };
}
