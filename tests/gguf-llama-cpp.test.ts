// GGUF files in llama.cpp itself: it loads them, cuts texts into the same tokens, and gives the same
// probabilities and greedy ids.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byteTokenizer, vocabularySize } from '../src/data/byte-level.js';
import { generate } from '../src/decode/index.js';
import { loadModelFolder } from '../src/models/folder.js';
import { exportGguf, type GgufFileType } from '../src/models/gguf/export.js';
import { importTinyStories } from '../src/models/import/tinystories.js';
import { initialModel } from '../src/models/initial.js';
import { fullDecoderProgram, type Model } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, toNumbers } from '../src/tensor/index.js';
import { loudModel } from './support/loud.js';
import { type Llama, llamaCpp, llamaGreedy, openLlama } from './support/peers.js';
import { hasTinyStories, tinyStoriesBytes, whereTinyStories } from './support/tinystories-file.js';

const speeches = fileURLToPath(new URL('../models/speeches-5m', import.meta.url));

describe.skipIf(!llamaCpp.here)(llamaCpp.title, () => {
  let llama: Llama;
  let device: Device;
  let place: string;
  beforeAll(async () => {
    [llama, device] = await Promise.all([openLlama(), cpuDevice({ threads: 1 })]);
    place = await mkdtemp(join(tmpdir(), 'gguf-'));
  });
  afterAll(async () => {
    await llama?.dispose();
    await device?.dispose();
    await rm(place, { recursive: true });
  });

  let count = 0;

  /** What llama.cpp makes of the exported model. */
  async function theirs(
    model: Model,
    type: GgufFileType,
    prompt: readonly number[],
    length: number,
  ) {
    const path = join(place, `${count++}.gguf`);
    await exportGguf(model, path, { type });
    const loaded = await llama.loadModel({ modelPath: path });
    try {
      return { ...(await llamaGreedy(loaded, prompt, length)), tokenize: loaded.tokenize(texts) };
    } finally {
      await loaded.dispose();
    }
  }

  async function ours(model: Model, prompt: readonly number[], length: number): Promise<number[]> {
    const ids: number[] = [];
    for await (const { id } of generate(model, prompt, { maxNewTokens: length, device }))
      ids.push(id);
    return ids;
  }

  /** Probabilities of the token after a prompt. */
  async function next(model: Model, prompt: readonly number[]): Promise<number[]> {
    const built = fullDecoderProgram(model);
    const parameters = await parameterValues(model, built);
    await using program = await device.compile(built.graph, { parameters });
    const shape = [1, prompt.length];
    const { logits } = await program.run({
      input_ids: fromNumbers('i64', shape, prompt),
      attention_mask: fromNumbers('i64', shape, new Array(prompt.length).fill(1)),
    });
    const vocabulary = logits.shape[2];
    const scores = [...toNumbers(logits)].slice(-vocabulary);
    const most = Math.max(...scores);
    const powers = scores.map((x) => Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((x) => x / sum);
  }

  const furthest = (expected: readonly number[], found: ReadonlyMap<number, number>): number =>
    Math.max(...expected.map((p, id) => Math.abs(p - (found.get(id) ?? 0))));

  const texts = "Once upon a time, Lily  saw\n\n é 日本 12345 cats.   It's THE end";

  describe.skipIf(!hasTinyStories)(whereTinyStories, () => {
    const model = hasTinyStories ? importTinyStories(tinyStoriesBytes()) : smallLlama();
    const prompt = [1, 403, 407, 261, 378];

    it.each(['f32', 'f16'] as const)('tells the same story: %s, 200 ids', async (type) => {
      const { ids, first, tokenize } = await theirs(model, type, prompt, 200);
      expect(ids).toEqual(await ours(model, prompt, 200));
      expect(furthest(await next(model, prompt), first)).toBeLessThan(2e-3);
      expect([1, ...tokenize]).toEqual(model.tokenizer?.encode(texts));
    });

    // Its products round activations to 8 bits too, so that near ties fall otherwise in the long run.
    it('q8_0: 64 ids, as with the weights that the file stands for', async () => {
      const { ids } = await theirs(model, 'q8_0', prompt, 64);
      expect(ids).toEqual(await ours(model, prompt, 64));
    });

    it.each([
      ['bf16', 0.02],
      ['q4_0', 0.25],
    ] as const)('%s: nearly the same probabilities', async (type, tolerance) => {
      const { first } = await theirs(model, type, prompt, 1);
      expect(furthest(await next(model, prompt), first)).toBeLessThan(tolerance);
    });

    it.each([
      [{ rope_type: 'linear', factor: 2 }],
      [{ rope_type: 'yarn', factor: 4, original_max_position_embeddings: 128 }],
      [
        {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 64,
        },
      ],
    ])('frequencies changed by %j', async (rope_scaling) => {
      const changed = { ...model, config: { ...model.config, rope_scaling } };
      const longer = [...prompt, ...(await ours(model, prompt, 40))];
      const [plain, expected] = [await next(model, longer), await next(changed, longer)];
      // The change shows: else the comparison would prove nothing.
      expect(furthest(expected, new Map(plain.entries()))).toBeGreaterThan(0.02);
      const { first } = await theirs(changed, 'f32', longer, 1);
      expect(furthest(expected, first)).toBeLessThan(2e-3);
    });
  });

  it('our own language model: tokens of texts, and 64 greedy ids', async () => {
    await using model = await loadModelFolder(speeches);
    const prompt = model.tokenizer?.encode('Fellow citizens of the Senate') ?? [];
    const { ids, first, tokenize } = await theirs(model, 'f16', prompt, 64);
    expect(tokenize).toEqual(model.tokenizer?.encode(texts));
    expect(furthest(await next(model, prompt), first)).toBeLessThan(5e-3);
    expect(ids).toEqual(await ours(model, prompt, 64));
  });

  describe('fresh weights of every architecture', () => {
    const prompt = [84, 104, 101, 32, 99, 97, 116, 115, 33];
    const common = {
      vocab_size: vocabularySize(byteTokenizer()) + 3,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 128,
    };
    const gpt2 = {
      vocab_size: common.vocab_size,
      n_positions: 128,
      n_embd: 64,
      n_layer: 2,
      n_head: 4,
    };

    it.each([
      ['llama, head of its own', { model_type: 'llama', ...common }],
      [
        'llama, heads of another width',
        { model_type: 'llama', ...common, head_dim: 32, tie_word_embeddings: true },
      ],
      ['llama, biases', { model_type: 'llama', ...common, attention_bias: true, mlp_bias: true }],
      ['mistral, a window', { model_type: 'mistral', ...common, sliding_window: 64 }],
      ['qwen2', { model_type: 'qwen2', ...common, rope_theta: 1e6 }],
      ['qwen3', { model_type: 'qwen3', ...common, head_dim: 32, tie_word_embeddings: true }],
      ['gpt2', { model_type: 'gpt2', ...gpt2 }],
      [
        'gpt2, head of its own',
        { model_type: 'gpt2', ...gpt2, n_inner: 96, tie_word_embeddings: false },
      ],
    ])('%s', async (_, config) => {
      const model = await loudModel({ config, tokenizer: byteTokenizer() });
      const { ids, first, tokenize } = await theirs(model, 'f32', prompt, 24);
      const expected = await next(model, prompt);
      expect(Math.max(...expected)).toBeGreaterThan(3 / expected.length);
      expect(furthest(expected, first)).toBeLessThan(1e-2);
      expect(ids).toEqual(await ours(model, prompt, 24));
      expect(tokenize).toEqual(model.tokenizer?.encode(texts));
    });
  });
});

const smallLlama = (): Model =>
  initialModel({
    name: 'none',
    config: {
      model_type: 'llama',
      vocab_size: 8,
      hidden_size: 8,
      intermediate_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 1,
      max_position_embeddings: 8,
    },
  });
