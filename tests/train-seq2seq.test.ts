// The sequence-to-sequence objective: its numbers against ones worked out apart, its padding, and a
// tiny T5 that learns to write its source backwards, as generation shows.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceTargetBatches } from '../src/data/source-target.js';
import { generate, openDecoder } from '../src/decode/index.js';
import { initialModel } from '../src/models/initial.js';
import { type Model, wholeProgram } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, interpret, type NDArray, toNumbers } from '../src/tensor/index.js';
import { adamw } from '../src/train/optimizers.js';
import { cosine } from '../src/train/schedules.js';
import { seq2seq } from '../src/train/seq2seq.js';
import { type Batch, openTraining } from '../src/train/training.js';
import { uniform } from './support/draw.js';
import { readFixture } from './support/golden.js';
import { smallDecoder } from './support/small-models.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice();
});
afterAll(() => device.dispose());

const END = 1;
const FIRST = 2;
const SYMBOLS = 10;

/** Sources of 2 to 5 symbols, and themselves backwards. */
function reversals(count: number, seed: number) {
  const draw = uniform(seed);
  const sources = Array.from({ length: count }, () =>
    Array.from({ length: 2 + Math.floor(4 * draw()) }, () => FIRST + Math.floor(SYMBOLS * draw())),
  );
  return { sources, targets: sources.map((ids) => [...[...ids].reverse(), END]) };
}

const open = (model: Model, smoothing = 0, steps = 100) =>
  openTraining(
    model,
    seq2seq({ smoothing }),
    { optimizer: adamw(), rate: 0.006, schedule: cosine({ steps, warmup: 20 }), clip: 1 },
    device,
  );

/** Copies: the device takes what it is fed. */
const copy = (batch: Batch): Batch =>
  Object.fromEntries(
    Object.entries(batch).map(([name, array]) => [
      name,
      { ...array, data: array.data.slice() } as NDArray,
    ]),
  );

describe('the objective', () => {
  const pairs = {
    sources: [[3, 4, 5, 6, 7], [9], [12, 13]],
    targets: [[8, 9, END], [4, 5, 6, 7, 8, END], [END]],
  };

  it.each([0, 0.1])('is the mean over the labels, smoothing %f', async (smoothing) => {
    const model = (await readFixture('t5-gated')).model();
    const start = Number(model.config.decoder_start_token_id);
    const built = wholeProgram(model);
    const parameters = await parameterValues(model, built);
    let [sum, count, right] = [0, 0, 0];
    // Every pair alone, without padding, and shifted here.
    for (const [i, ids] of pairs.sources.entries()) {
      const target = pairs.targets[i];
      const { outputs } = interpret(
        built.graph,
        {
          input_ids: fromNumbers('i64', [1, ids.length], ids),
          attention_mask: fromNumbers(
            'i64',
            [1, ids.length],
            ids.map(() => 1),
          ),
          decoder_input_ids: fromNumbers(
            'i64',
            [1, target.length],
            [start, ...target.slice(0, -1)],
          ),
        },
        parameters,
      );
      const { data, shape } = outputs.get('logits') as NDArray;
      const classes = shape[2];
      for (const [k, label] of target.entries()) {
        const scores = [...(data as Float32Array).subarray(k * classes, (k + 1) * classes)];
        const log = Math.log(scores.reduce((a, x) => a + Math.exp(x), 0));
        const mean = log - scores.reduce((a, x) => a + x, 0) / classes;
        sum += (1 - smoothing) * (log - scores[label]) + smoothing * mean;
        right += scores.indexOf(Math.max(...scores)) === label ? 1 : 0;
        count++;
      }
    }
    await using training = await open(model, smoothing);
    const batch = sourceTargetBatches(pairs, { batch: 3, ordered: true }).at(0);
    const found = await training.evaluate(copy(batch));
    expect(found.loss).toBeCloseTo(sum / count, 4);
    expect(found.accuracy).toBeCloseTo(right / count, 6);
    expect(found.weight).toBe(count);
  });

  it('gives padded labels no weight, forwards or backwards', async () => {
    const model = (await readFixture('t5')).model();
    const step = async (fill: number) => {
      const batch = copy(sourceTargetBatches(pairs, { batch: 3, ordered: true }).at(0));
      const { labels, label_weights: weights } = batch;
      toNumbers(weights).forEach((weight, i) => {
        if (weight === 0) labels.data[i] = BigInt(fill);
      });
      await using training = await open(model);
      const { loss, norm } = await training.run(batch);
      return { loss, norm, weights: await training.state() };
    };
    expect(await step(0)).toEqual(await step(17));
  });

  it('is for encoder-decoders alone', async () => {
    await expect(open(smallDecoder())).rejects.toMatchObject({ code: 'models/kind' });
  });

  it('counts what a batch of the data has', () => {
    const { count, at } = sourceTargetBatches(pairs, { batch: 2, ordered: true });
    expect(count).toBe(2);
    const { labels, label_weights: weights, input_ids: ids } = at(0);
    expect([labels.shape, weights.shape, ids.shape]).toEqual([
      [2, 6],
      [2, 6],
      [2, 5],
    ]);
    expect([...toNumbers(labels)]).toEqual([8, 9, END, 0, 0, 0, 4, 5, 6, 7, 8, END]);
    expect([...toNumbers(weights)]).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    expect(weights.dtype).toBe('f32');
  });
});

it('a tiny T5 learns to write its source backwards', async () => {
  const steps = 800;
  const model = initialModel(
    {
      name: 'tiny-t5',
      config: {
        model_type: 't5',
        vocab_size: FIRST + SYMBOLS,
        d_model: 48,
        d_kv: 16,
        d_ff: 96,
        num_heads: 3,
        num_layers: 1,
        relative_attention_num_buckets: 16,
        relative_attention_max_distance: 16,
        feed_forward_proj: 'gated-gelu',
        tie_word_embeddings: false,
        eos_token_id: END,
      },
    },
    { seed: 1 },
  );
  const data = sourceTargetBatches(reversals(4000, 1), { batch: 64, seed: 3 });
  await using training = await open(model, 0.05, steps);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await training.run(data.at(i))).loss);
  expect(losses[0]).toBeGreaterThan(Math.log(FIRST + SYMBOLS) - 0.3);
  // Sources that it has not seen, written out.
  const held = reversals(60, 99);
  await using decoder = await openDecoder(await training.snapshot(), device);
  let right = 0;
  for (const [i, source] of held.sources.entries()) {
    const found: number[] = [];
    for await (const { id } of generate(decoder, source, { maxNewTokens: 8 })) found.push(id);
    if (found.join() === held.targets[i].join()) right++;
  }
  expect(right).toBeGreaterThanOrEqual(54);
}, 120_000);
