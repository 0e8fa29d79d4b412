// The Llama family on real weights: the ids, the top score and the text that are known of
// TinyStories-260K, and that a cache changes nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Decoder, generate, openDecoder } from '../src/decode/index.js';
import { importTinyStories } from '../src/models/import/tinystories.js';
import { fullDecoderProgram } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers } from '../src/tensor/index.js';
import { expectClose } from './support/arrays.js';
import { type LlamaSizes, naiveLlama } from './support/naive-llama.js';
import { hasTinyStories, tinyStoriesBytes, whereTinyStories } from './support/tinystories-file.js';

const story =
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ' +
  'One day, she saw a big, red ball. ';

describe.skipIf(!hasTinyStories)(whereTinyStories, () => {
  let device: Device;
  let decoder: Decoder;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
    decoder = await openDecoder(importTinyStories(tinyStoriesBytes()), device);
  });
  afterAll(async () => {
    await decoder?.dispose();
    await device?.dispose();
  });

  const greedy = async (prompt: string | number[], count: number) => {
    const ids: number[] = [];
    let text = '';
    for await (const step of generate(decoder, prompt, { maxNewTokens: count })) {
      ids.push(step.id);
      text += step.text;
    }
    return { ids, text };
  };

  it('scores the first token as known, and as plain loops do', async () => {
    const { logits, cache } = await decoder.prefill([[1]]);
    await cache.dispose();
    const scores = Array.from(logits.data, Number);
    expect(Math.abs(Math.max(...scores) - 17.0235)).toBeLessThan(1e-3);
    const { weights, config } = decoder.model;
    const arrays = new Map<string, Awaited<ReturnType<typeof weights.read>>>();
    for (const name of weights.names()) arrays.set(name, await weights.read(name));
    const [expected] = naiveLlama(arrays, config as unknown as LlamaSizes, [1]);
    expectClose(scores, expected, 1e-4);
  });

  it('tells the known story', async () => {
    const { ids, text } = await greedy('', 100);
    expect(ids.slice(0, 8)).toEqual([403, 407, 261, 378, 432, 383, 286, 261]);
    expect(text.startsWith(story)).toBe(true);
  });

  it('ends it where the next story would begin', async () => {
    const steps = [];
    for await (const step of generate(decoder, [1])) steps.push(step);
    expect(steps.at(-1)).toMatchObject({ finish: 'eos', text: '' });
    expect(steps.length).toBeLessThan(511);
    expect(steps.slice(0, -1).every(({ finish }) => finish === undefined)).toBe(true);
  });

  it('gives the same 100 tokens without a cache', async () => {
    const { model } = decoder;
    const built = fullDecoderProgram(model);
    const parameters = await parameterValues(model, built);
    await using whole = await device.compile(built.graph, { parameters });
    const ids = [1];
    while (ids.length < 101) {
      const { logits } = await whole.run({
        input_ids: fromNumbers('i64', [1, ids.length], ids),
        attention_mask: fromNumbers('i64', [1, ids.length], new Array(ids.length).fill(1)),
      });
      const last = (logits.data as Float32Array).subarray(-512);
      ids.push(last.indexOf(Math.max(...last)));
    }
    expect((await greedy([1], 100)).ids).toEqual(ids.slice(1));
  });

  it('continues a prompt whose text was read in pieces', async () => {
    const told = await greedy([1], 300);
    for (const cut of [40, 128, 129, 255]) {
      const prompt = [1, ...told.ids.slice(0, cut)];
      const rest = await greedy(prompt, 30);
      expect(rest.ids).toEqual(told.ids.slice(cut, cut + 30));
      expect(told.text).toContain(rest.text);
    }
    expect((await greedy('Once upon a', 10)).text).toBe(' time, there was a little girl named');
  });
});
