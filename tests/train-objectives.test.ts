// Objectives besides next-token prediction: each against numbers worked out apart, each learns.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskedBatches } from '../src/data/masking.js';
import { paddedBatches } from '../src/data/padded.js';
import { feedsOf, openEncoder, tokenize } from '../src/models/encoder.js';
import { fullDecoderProgram, type Model } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { interpret, type NDArray, toNumbers } from '../src/tensor/index.js';
import { distillation, frozenTeacher, withTeacher } from '../src/train/distill.js';
import { classification, contrastive, maskedLm } from '../src/train/encoder-objectives.js';
import { withHeads } from '../src/train/heads.js';
import { causalLm, type Objective } from '../src/train/objectives.js';
import { adamw } from '../src/train/optimizers.js';
import { constantRate } from '../src/train/schedules.js';
import { type Batch, openTraining } from '../src/train/training.js';
import { sampleTexts, smallDecoder, smallEncoder } from './support/small-models.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice();
});
afterAll(() => device.dispose());

const options = { optimizer: adamw(), rate: 0.005, schedule: constantRate(), clip: 1 };
const encoder = smallEncoder(3);
const ids = tokenize(encoder, sampleTexts);

const open = (model: Model, objective: Objective, more = {}) =>
  openTraining(
    withHeads(model, objective, { seed: 2 }),
    objective,
    { ...options, ...more },
    device,
  );

async function learn(model: Model, objective: Objective, batch: () => Batch, steps = 60) {
  await using training = await open(model, objective);
  const first = await training.run(batch());
  let last = first;
  for (let i = 1; i < steps; i++) last = await training.run(batch());
  return { first, last, model: await training.snapshot() };
}

/** log of the sum of exponentials less the right one. */
const entropy = (scores: readonly number[], right: number): number =>
  Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0)) - scores[right];

/** Rows of logits of the whole batch, by the reference interpreter. */
async function logitsOf(model: Model, batch: Batch): Promise<number[][][]> {
  const built = fullDecoderProgram(model);
  const { outputs } = interpret(built.graph, batch, await parameterValues(model, built));
  const { data, shape } = outputs.get('logits') as NDArray;
  const [rows, places, width] = shape;
  const values = data as Float32Array;
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: places }, (__, k) => [
      ...values.subarray((r * places + k) * width, (r * places + k + 1) * width),
    ]),
  );
}

const tokens = (batch: Batch) => {
  const [, places] = batch.input_ids.shape;
  const [all, mask] = [toNumbers(batch.input_ids), toNumbers(batch.attention_mask)];
  const at = (values: Float64Array, r: number) => [
    ...values.subarray(r * places, (r + 1) * places),
  ];
  return { at: (r: number) => at(all, r), mask: (r: number) => at(mask, r) };
};

describe('next tokens', () => {
  it.each([0, 0.1])('with smoothing %f, over the places that stand alone', async (smoothing) => {
    const model = smallDecoder(2);
    const batch = () => feedsOf([0, 2, 5], tokenize(model, sampleTexts));
    const logits = await logitsOf(model, batch());
    const held = tokens(batch());
    let [sum, count] = [0, 0];
    logits.forEach((row, r) => {
      const [id, stands] = [held.at(r), held.mask(r)];
      for (let k = 0; k + 1 < id.length; k++) {
        if (stands[k + 1] === 0) continue;
        const all = row[k].map((_, c) => entropy(row[k], c));
        const mean = all.reduce((a, b) => a + b, 0) / all.length;
        sum += (1 - smoothing) * all[id[k + 1]] + smoothing * mean;
        count++;
      }
    });
    await using training = await open(model, causalLm({ smoothing }));
    expect((await training.evaluate(batch())).loss).toBeCloseTo(sum / count, 4);
  });
});

describe('classification', () => {
  const labels = [0, 1, 2, 0, 1, 2, 0, 1];
  const batch = () => paddedBatches({ ids, labels }, { batch: 8, ordered: true }).at(0);

  it('is the cross-entropy of a linear head over the sentence', async () => {
    const objective = classification({ classes: 3 });
    const model = withHeads(encoder, objective, { seed: 2 });
    await using running = await openEncoder(encoder, device);
    const { data } = await running.encodeIds(ids);
    const w = toNumbers(await model.weights.read('classifier.weight'));
    const b = toNumbers(await model.weights.read('classifier.bias'));
    const width = running.width;
    const losses = labels.map((label, r) => {
      const scores = [0, 1, 2].map((c) => {
        let sum = b[c];
        for (let k = 0; k < width; k++) sum += w[c * width + k] * Number(data[r * width + k]);
        return sum;
      });
      return entropy(scores, label);
    });
    await using training = await open(encoder, objective);
    const { loss, weight } = await training.evaluate(batch());
    expect(loss).toBeCloseTo(losses.reduce((x, y) => x + y, 0) / 8, 5);
    expect(weight).toBe(8);
  });

  it('learns its classes, padding or not', async () => {
    const { first, last, model } = await learn(encoder, classification({ classes: 3 }), batch, 200);
    expect(first.loss).toBeGreaterThan(0.9);
    expect(last).toMatchObject({ accuracy: 1 });
    expect(last.loss).toBeLessThan(0.2);
    await using training = await openTraining(
      model,
      classification({ classes: 3 }),
      options,
      device,
    );
    const alone = paddedBatches({ ids, labels }, { batch: 1, ordered: true });
    let sum = 0;
    for (let i = 0; i < 8; i++) sum += (await training.evaluate(alone.at(i))).loss;
    expect(sum / 8).toBeCloseTo((await training.evaluate(batch())).loss, 4);
  });
});

describe('contrastive', () => {
  const half = (from: number) =>
    tokenize(
      encoder,
      sampleTexts.map((text) =>
        text.slice(from * (text.length >> 1), (from + 1) * (text.length >> 1)),
      ),
    );
  const rows = { ids: half(0), others: half(1) };
  const batch = () => paddedBatches(rows, { batch: 8, ordered: true }).at(0);

  it('is the cross-entropy of the right partners, both ways', async () => {
    await using running = await openEncoder(encoder, device);
    const vectors = async (of: number[][]) => {
      const { data } = await running.encodeIds(of);
      return of.map((_, r) => {
        const v = Array.from(data.slice(r * running.width, (r + 1) * running.width), Number);
        const length = Math.hypot(...v);
        return v.map((x) => x / length);
      });
    };
    const [a, b] = [await vectors(rows.ids), await vectors(rows.others)];
    const dot = (x: number[], y: number[]) => x.reduce((sum, v, i) => sum + v * y[i], 0) / 0.1;
    let sum = 0;
    for (let r = 0; r < 8; r++) {
      sum +=
        entropy(
          b.map((y) => dot(a[r], y)),
          r,
        ) +
        entropy(
          a.map((x) => dot(x, b[r])),
          r,
        );
    }
    await using training = await open(encoder, contrastive({ temperature: 0.1 }));
    expect((await training.evaluate(batch())).loss).toBeCloseTo(sum / 16, 3);
  });

  it('learns which halves belong together', async () => {
    const { first, last } = await learn(encoder, contrastive(), batch);
    expect(last.loss).toBeLessThan(first.loss / 4);
    expect(last.accuracy).toBe(1);
  });
});

describe('hidden words', () => {
  const made = () =>
    maskedBatches(
      { count: 1, at: () => feedsOf([0, 1, 2, 3, 4, 5, 6, 7], ids) },
      { mask: 31, vocabulary: 30, share: 0.2 },
    ).at(0);

  it('count alone, and are learned', async () => {
    await using training = await open(encoder, maskedLm());
    const { weight, loss } = await training.evaluate(made());
    expect(weight).toBe(toNumbers(made().label_weights).reduce((a, b) => a + b, 0));
    // Other labels at the places that do not count change nothing.
    const other = made();
    const weights = toNumbers(other.label_weights);
    const labels = other.labels.data as BigInt64Array;
    labels.forEach((_, i) => {
      if (weights[i] === 0) labels[i] = 5n;
    });
    expect((await training.evaluate(other)).loss).toBe(loss);
    const { first, last } = await learn(encoder, maskedLm(), made, 240);
    expect(first.loss).toBeGreaterThan(2.5);
    expect(last.loss).toBeLessThan(1);
  });
});

describe('distillation', () => {
  const [student, teacher] = [smallDecoder(2), smallDecoder(9)];
  const batch = () => feedsOf([0, 2, 5], tokenize(student, sampleTexts));
  const both = withTeacher(student, teacher);
  const frozen = { groups: [frozenTeacher] };

  it('is T^2 KL of the softened scores where the next token stands', async () => {
    const temperature = 3;
    const [own, wanted] = [await logitsOf(student, batch()), await logitsOf(teacher, batch())];
    const held = tokens(batch());
    let [sum, count] = [0, 0];
    own.forEach((row, r) => {
      for (let k = 0; k + 1 < row.length; k++) {
        if (held.mask(r)[k + 1] === 0) continue;
        const soft = (x: readonly number[]) => x.map((v) => v / temperature);
        const [p, q] = [soft(wanted[r][k]), soft(row[k])];
        p.forEach((_, c) => {
          const [logP, logQ] = [-entropy(p, c), -entropy(q, c)];
          sum += Math.exp(logP) * (logP - logQ);
        });
        count++;
      }
    });
    const objective = distillation({ teacher, temperature, hard: 0 });
    await using training = await open(both, objective, frozen);
    const { loss, kl } = await training.evaluate(batch());
    expect(kl).toBeCloseTo(sum / count, 5);
    expect(loss).toBeCloseTo((9 * sum) / count, 4);
  });

  it('brings scores and hidden states to the teacher, who does not change', async () => {
    const hidden = [['model.layers.1', 'model.layers.1']] as const;
    const { model: taught } = await learn(teacher, causalLm(), batch, 60);
    const objective = distillation({ teacher: taught, hard: 0.1, hidden });
    const model = withTeacher(student, taught);
    await using training = await open(model, objective, frozen);
    expect(training.step.trained.some((name) => name.startsWith('teacher.'))).toBe(false);
    const first = await training.run(batch());
    let last = first;
    for (let i = 0; i < 80; i++) last = await training.run(batch());
    expect(last.kl).toBeLessThan(first.kl / 2);
    expect(last.hidden).toBeLessThan(first.hidden / 2);
    const after = await training.snapshot();
    expect(await after.weights.read('teacher.model.norm.weight')).toEqual(
      await taught.weights.read('model.norm.weight'),
    );
  });

  it('a teacher of itself has nothing to teach', async () => {
    const objective = distillation({ teacher: student, hard: 0 });
    await using training = await open(withTeacher(student, student), objective, frozen);
    const { loss, norm } = await training.run(batch());
    expect(loss).toBeCloseTo(0, 5);
    expect(norm).toBeLessThan(1e-4);
  });

  it('refuses a teacher of another vocabulary', () => {
    const other = { ...teacher, config: { ...teacher.config, vocab_size: 33 } };
    expect(() => withHeads(both, distillation({ teacher: other }))).toThrow(
      expect.objectContaining({ code: 'train/teacher' }),
    );
  });
});
