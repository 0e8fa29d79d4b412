// T5 and Flan-T5: the ladder of encoder-decoders, and what they refuse.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate, openDecoder } from '../src/decode/index.js';
import { declare } from '../src/models/model.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { encoderDecoderLadder } from './support/encoder-decoder-ladder.js';
import { readFixture } from './support/golden.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

for (const name of ['t5', 't5-gated']) encoderDecoderLadder(name, () => device);

describe('T5 refuses', () => {
  it('what is no source, with the reason', async () => {
    const model = (await readFixture('t5')).model();
    await using decoder = await openDecoder(model, device);
    const refused = (source: number[] | Float32Array, code: string) =>
      expect(decoder.prefill([source])).rejects.toMatchObject({ code });
    await refused([], 'decode/empty');
    await refused([43], 'decode/token');
    await refused([-1], 'decode/token');
    await refused(new Float32Array(100), 'decode/source');
    await expect(decoder.prefill([])).rejects.toMatchObject({ code: 'decode/empty' });
    const text = generate(decoder, 'a text');
    await expect(text.next()).rejects.toMatchObject({ code: 'decode/tokenizer' });
    // And goes on.
    const { cache } = await decoder.prefill([[5, 6]]);
    await cache.dispose();
  });

  it('to write on when its context is full, and says so', async () => {
    const { config, model } = await readFixture('t5');
    const short = model({ config: { ...config, n_positions: 6 } });
    const steps = [];
    for await (const step of generate(short, [4, 5], { device, eosTokenIds: [] })) steps.push(step);
    expect(steps).toHaveLength(6);
    expect(steps.at(-1)?.finish).toBe('context');
  });

  it.each([
    [{ d_model: 0 }, /d_model/],
    [{ relative_attention_num_buckets: 7 }, /relative_attention_num_buckets/],
    [{ num_heads: undefined }, /num_heads/],
  ])('configs that cannot be: %j', async (change, says) => {
    const { config, model } = await readFixture('t5');
    expect(() => model({ config: { ...config, ...change } })).toThrow(says);
  });

  it('an activation that is none', async () => {
    const { config, model } = await readFixture('t5');
    const odd = model({ config: { ...config, feed_forward_proj: 'gated-gelo' } });
    expect(() => declare(odd)).toThrow(/gelo/);
  });
});

it('takes what frees all it holds', async () => {
  const live = new Set<unknown>();
  const watched: Device = {
    ...device,
    put: async (array) => {
      const buffer = await device.put(array);
      live.add(buffer);
      return buffer;
    },
  };
  const model = (await readFixture('t5')).model();
  for await (const _ of generate(model, [4, 5, 6], { device: watched, maxNewTokens: 3 })) break;
  expect(live.size).toBeGreaterThan(0);
  for (const buffer of live) {
    await expect((buffer as Awaited<ReturnType<Device['put']>>).read()).rejects.toMatchObject({
      code: 'runtime/disposed',
    });
  }
});
