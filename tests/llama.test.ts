// The Llama family against a second implementation: whole texts on the reference interpreter and on
// the device; prefill and steps against whole texts; batches against single texts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDecoder, prefillProgram, stepProgram } from '../src/decode/index.js';
import { memoryStore } from '../src/models/checkpoint.js';
import type { DecoderInputs } from '../src/models/family.js';
import { createModel, fullDecoderProgram, isDecoder, type Model } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { Scope } from '../src/nn/index.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { cost, fromNumbers, interpret, type NDArray, toNumbers } from '../src/tensor/index.js';
import { numbers } from './runtime/support.js';
import { expectClose } from './support/arrays.js';
import { type LlamaSizes, naiveLlama, randomWeights } from './support/naive-llama.js';

const base: LlamaSizes = {
  vocab_size: 37,
  hidden_size: 16,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  max_position_embeddings: 96,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
};

const configs: Readonly<Record<string, LlamaSizes>> = {
  'one key head for each query head': base,
  'shared key heads, tied head': {
    ...base,
    num_key_value_heads: 2,
    tie_word_embeddings: true,
    rope_theta: 500,
  },
  'a single key head, three layers': { ...base, num_key_value_heads: 1, num_hidden_layers: 3 },
  'heads wider than the model, biases': {
    ...base,
    num_attention_heads: 6,
    num_key_value_heads: 3,
    head_dim: 8,
    attention_bias: true,
    mlp_bias: true,
    rms_norm_eps: 1e-2,
  },
};

const weightsOf = (c: LlamaSizes) => randomWeights(c, 7);
const llamaOf = (c: LlamaSizes, weights = weightsOf(c)): Model =>
  createModel({
    name: 'random',
    config: { model_type: 'llama', ...c },
    weights: memoryStore(weights),
  });

const text = (length: number, seed = 3): number[] =>
  numbers(length, seed, 0, base.vocab_size).map(Math.floor);

const wholeFeeds = (ids: readonly number[]) => ({
  input_ids: fromNumbers('i64', [1, ids.length], ids),
  attention_mask: fromNumbers('i64', [1, ids.length], new Array(ids.length).fill(1)),
});

/** Row `at` of [rows, width]. */
const row = ({ data, shape }: NDArray, at = 0): Float32Array =>
  (data as Float32Array).subarray(at * shape[1], (at + 1) * shape[1]);

describe('the Llama family', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  for (const [name, c] of Object.entries(configs)) {
    it(`equals plain loops: ${name}`, async () => {
      const weights = weightsOf(c);
      const model = llamaOf(c, weights);
      const ids = text(13);
      const expected = naiveLlama(weights, c, ids).flat();
      const built = fullDecoderProgram(model);
      const parameters = await parameterValues(model, built);
      const exact = interpret(built.graph, wholeFeeds(ids), parameters).outputs.get('logits');
      expectClose(exact ? toNumbers(exact) : [], expected, 1e-5, 'interpreter');
      await using program = await device.compile(built.graph, { parameters });
      const { logits } = await program.run(wholeFeeds(ids));
      expectClose(toNumbers(logits), expected, 1e-4, 'device');
    });

    it(`a prompt and steps of several tokens equal the whole text: ${name}`, async () => {
      const weights = weightsOf(c);
      const ids = text(90, 5);
      const expected = naiveLlama(weights, c, ids);
      await using decoder = await openDecoder(llamaOf(c, weights), device);
      const { logits, cache } = await decoder.prefill([ids.slice(0, 5)]);
      await using _ = cache;
      expectClose(row(logits), expected[4], 1e-4, 'prefill');
      // The cache begins with 69 places and grows on the way.
      let at = 5;
      for (const count of [1, 1, 7, 2, 1, 40, 30, 1, 2]) {
        const scores = await decoder.step([ids.slice(at, at + count)], cache);
        at += count;
        expectClose(row(scores), expected[at - 1], 2e-4, `${at} tokens`);
      }
      expect(at).toBe(90);
      expect(cache.capacity).toBe(96);
    });
  }

  it('a batch padded on the left equals single texts', async () => {
    const c = configs['shared key heads, tied head'];
    const weights = weightsOf(c);
    const texts = [text(3, 11), text(20, 12), text(9, 13), text(1, 14)];
    const further = texts.map((_, i) => text(4, 20 + i));
    await using decoder = await openDecoder(llamaOf(c, weights), device);
    const { logits, cache } = await decoder.prefill(texts);
    await using _ = cache;
    texts.forEach((ids, i) => {
      expectClose(row(logits, i), naiveLlama(weights, c, ids).at(-1) ?? [], 1e-4, `prompt ${i}`);
    });
    await decoder.step(
      further.map((ids) => ids.slice(0, 3)),
      cache,
    );
    const scores = await decoder.step(
      further.map((ids) => ids.slice(3)),
      cache,
    );
    texts.forEach((ids, i) => {
      const expected = naiveLlama(weights, c, [...ids, ...further[i]]).at(-1) ?? [];
      expectClose(row(scores, i), expected, 1e-4, `text ${i}`);
    });
  });

  it('one run over padded prompts equals the pieces in which a decoder reads them', async () => {
    const c = { ...configs['shared key heads, tied head'], max_position_embeddings: 400 };
    const weights = weightsOf(c);
    const model = llamaOf(c, weights);
    const texts = [text(300, 31), text(20, 32), text(170, 33)];
    const built = prefillProgram(model);
    const parameters = await parameterValues(model, built);
    await using whole = await device.compile(built.graph, { parameters });
    const padded = (fill: (ids: number[], missing: number) => number[]) =>
      fromNumbers(
        'i64',
        [3, 300],
        texts.flatMap((ids) => fill(ids, 300 - ids.length)),
      );
    const feeds = () => ({
      // Any token may stand in the padding.
      input_ids: padded((ids, missing) => [...text(missing, 99), ...ids]),
      attention_mask: padded((ids, missing) => [
        ...new Array(missing).fill(0),
        ...ids.map(() => 1),
      ]),
    });
    const atOnce = await whole.run(feeds());
    await using decoder = await openDecoder(model, device);
    const { logits, cache } = await decoder.prefill(texts);
    await using _ = cache;
    expectClose(toNumbers(logits), toNumbers(atOnce.logits), 1e-4);
    expectClose(row(logits, 1), naiveLlama(weights, c, texts[1]).at(-1) ?? [], 1e-4);
    // The rows themselves, of a text without padding.
    const key = await cache.feeds()['past_key_values.1.key'].read();
    const rows = atOnce['present.1.key'];
    const [, heads, headDim, capacity] = key.shape;
    for (let at = 0; at < heads * headDim; at++) {
      const held = (key.data as Float32Array).subarray(at * capacity, at * capacity + 300);
      expectClose(held, (rows.data as Float32Array).subarray(at * 300, (at + 1) * 300), 1e-4);
    }
  });

  it('positions count the tokens of a text, not the places of its row', async () => {
    const plain = llamaOf(base);
    if (!isDecoder(plain)) throw new Error('no decoder');
    const { family } = plain;
    // Rotations are relative and cannot tell: this family scores every token with its position.
    const telling: Model = {
      ...plain,
      family: {
        ...family,
        logits: (s: Scope, config: Model['config'], inputs: DecoderInputs) => {
          const own = inputs.positions.cast('f32').unsqueeze(-1);
          const { keep = (x) => x } = inputs;
          return family.logits(s, config, inputs).mul(0).add(keep(own));
        },
      },
    };
    await using decoder = await openDecoder(telling, device);
    const { logits, cache } = await decoder.prefill([text(3), text(9)]);
    await using _ = cache;
    expect([row(logits, 0)[0], row(logits, 1)[0]]).toEqual([2, 8]);
    const next = await decoder.step([text(2), text(2)], cache);
    expect([row(next, 0)[0], row(next, 1)[0]]).toEqual([4, 10]);
  });

  it('both programs are given the very same arrays, and score one place', async () => {
    const model = llamaOf(base);
    const [prefill, step] = [prefillProgram(model), stepProgram(model)];
    const [a, b] = await Promise.all([prefill, step].map((p) => parameterValues(model, p)));
    expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
    for (const [name, array] of a) expect(b.get(name)).toBe(array);
    expect(prefill.graph.outputs.get('logits')?.shape.map(String)).toEqual(['batch', '37']);
    const head = (g: typeof prefill.graph) =>
      cost(g, { batch: 1, seq: 50 }).byPath.get('lm_head')?.flops ?? 0;
    expect(head(prefill.graph)).toBe(2 * base.vocab_size * base.hidden_size);
    expect(head(fullDecoderProgram(model).graph)).toBe(50 * head(prefill.graph));
  });

  it('refuses configs that cannot be, naming the key', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ hidden_size: -16 }, /hidden_size/],
      [{ num_key_value_heads: 3 }, /num_key_value_heads/],
      [{ hidden_size: 18 }, /hidden_size/],
      [{ head_dim: 5 }, /head_dim/],
      [{ rope_scaling: { type: 'linear' } }, /rope_scaling/],
      [{ rope_parameters: { rope_type: 'longrope', rope_theta: 1e6 } }, /rope_type/],
    ];
    for (const [change, key] of wrong) {
      expect(() => llamaOf({ ...base, ...change } as LlamaSizes, new Map())).toThrow(key);
    }
    const newer = llamaOf({
      ...base,
      rope_parameters: { rope_type: 'default', rope_theta: 5e5 },
    } as LlamaSizes);
    expect(fullDecoderProgram(newer).graph.outputs.size).toBe(1);
  });

  it('reads the base of rotations where newer config files keep it', async () => {
    const weights = weightsOf(base);
    const ids = text(30);
    const model = llamaOf({ ...base, rope_parameters: { rope_theta: 300 } } as LlamaSizes, weights);
    await using decoder = await openDecoder(model, device);
    const { logits, cache } = await decoder.prefill([ids]);
    await cache.dispose();
    const expected = naiveLlama(weights, { ...base, rope_theta: 300 }, ids).at(-1) ?? [];
    expectClose(row(logits), expected, 1e-4);
  });
});
