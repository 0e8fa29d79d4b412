// Generation: options, ends, aborting, what stays on the device, and text as it comes.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Decoder,
  type GenerateOptions,
  type GenerationStep,
  generate,
  openDecoder,
  streamText,
} from '../src/decode/index.js';
import { importTinyStories } from '../src/models/import/tinystories.js';
import type { Device, DeviceBuffer, Program } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { smallSizes, tinyStoriesFile } from './support/tinystories-file.js';

/** The device, with a list of every buffer and program that was asked of it. */
function watched(device: Device): { device: Device; buffers: DeviceBuffer[]; programs: Program[] } {
  const buffers: DeviceBuffer[] = [];
  const programs: Program[] = [];
  const kept = async <T>(list: T[], made: Promise<T>): Promise<T> => {
    list.push(await made);
    return made;
  };
  return {
    device: {
      ...device,
      allocate: (...args) => kept(buffers, device.allocate(...args)),
      compile: (...args) => kept(programs, device.compile(...args)),
    },
    buffers,
    programs,
  };
}

describe('generate', () => {
  const model = importTinyStories(tinyStoriesFile({ ...smallSizes, context: 300 }));
  let device: Device;
  let decoder: Decoder;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
    decoder = await openDecoder(model, device);
  });
  afterAll(async () => {
    await decoder.dispose();
    await device.dispose();
  });

  const all = async (
    options: GenerateOptions,
    prompt: string | number[] = [1, 260],
    source: Parameters<typeof generate>[0] = decoder,
  ): Promise<GenerationStep[]> => {
    const steps: GenerationStep[] = [];
    for await (const step of generate(source, prompt, { eosTokenIds: [], ...options })) {
      steps.push(step);
    }
    return steps;
  };
  const ids = (steps: readonly GenerationStep[]) => steps.map(({ id }) => id);

  const released = async (buffers: readonly DeviceBuffer[]) => {
    expect(buffers.length).toBeGreaterThan(0);
    for (const buffer of buffers) {
      await expect(buffer.read()).rejects.toMatchObject({ code: 'runtime/disposed' });
    }
  };

  it('draws the same from the same seed, and something else from another', async () => {
    const drawn = { maxNewTokens: 40, temperature: 1.5 };
    const first = ids(await all({ ...drawn, seed: 1 }));
    expect(ids(await all({ ...drawn, seed: 1 }))).toEqual(first);
    expect(ids(await all({ ...drawn, seed: 2 }))).not.toEqual(first);
    expect(ids(await all({ ...drawn, temperature: 0 }))).toEqual(
      ids(await all({ maxNewTokens: 40 })),
    );
    expect(ids(await all({ ...drawn, topK: 1 }))).toEqual(ids(await all({ maxNewTokens: 40 })));
  });

  it("takes Hugging Face's names, and what else stands in a generation_config.json", async () => {
    const theirs = {
      max_new_tokens: 20,
      do_sample: true,
      top_k: 5,
      top_p: 0.9,
      temperature: 0.8,
      eos_token_id: [2],
      seed: 9,
      bos_token_id: 1,
      transformers_version: '5.0.0',
    };
    const ours = { maxNewTokens: 20, topK: 5, topP: 0.9, temperature: 0.8, seed: 9 };
    const found: number[] = [];
    for await (const { id } of generate(decoder, [1, 260], theirs)) found.push(id);
    expect(found).toEqual(ids(await all({ ...ours, eosTokenIds: 2 })));
  });

  it('refuses options that are wrong, saying which', async () => {
    const wrong: [object, RegExp][] = [
      [{ maxNewToken: 3 }, /maxNewTokens/],
      [{ max_new_tokens: 0 }, /maxNewTokens/],
      [{ temperature: -1 }, /temperature/],
      [{ topP: 1.5 }, /topP/],
      [{ num_beams: 4 }, /num_beams/],
    ];
    for (const [options, text] of wrong) {
      await expect(all(options)).rejects.toMatchObject({
        code: 'decode/option',
        message: expect.stringMatching(text),
      });
    }
    await expect(all({}, [])).rejects.toMatchObject({ code: 'decode/empty' });
    await expect(all({}, [1, 9999])).rejects.toMatchObject({ code: 'decode/token' });
    await expect(all({}, 'the', { ...model, tokenizer: undefined })).rejects.toMatchObject({
      code: 'decode/tokenizer',
    });
    await expect(all({}, 'the', model)).rejects.toMatchObject({ code: 'decode/device' });
  });

  it('says how a text ends', async () => {
    const greedy = await all({ maxNewTokens: 12 });
    expect(greedy.at(-1)?.finish).toBe('length');
    const end = greedy[5].id;
    const first = greedy.findIndex(({ id }) => id === end);
    const stopped = await all({ eosTokenIds: end });
    expect(ids(stopped)).toEqual(ids(greedy).slice(0, first + 1));
    expect(stopped.at(-1)?.finish).toBe('eos');
    // A context of 300 tokens: the prompt's 2, and 299 scored by 299 runs over at most 300.
    const full = await all({});
    expect(full.length).toBe(299);
    expect(full.at(-1)?.finish).toBe('context');
    const exact = await all({}, new Array(300).fill(260));
    expect(exact.map(({ finish }) => finish)).toEqual(['context']);
  });

  it('refuses a prompt longer than the context, naming both lengths', async () => {
    await expect(all({}, new Array(301).fill(260))).rejects.toMatchObject({
      code: 'decode/context',
      expected: 'at most 300 tokens',
      found: '301 tokens',
    });
  });

  it('gives the log-probability of each token', async () => {
    const { logits, cache } = await decoder.prefill([[1, 260]]);
    await cache.dispose();
    const scores = Array.from(logits.data, Number);
    const total = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
    for (const options of [{}, { temperature: 2, seed: 4 }]) {
      const [{ id, logprob }] = await all({ ...options, maxNewTokens: 1 });
      expect(logprob).toBeCloseTo(scores[id] - total, 5);
    }
  });

  it('frees what it holds when the loop is left, and by itself at the end', async () => {
    for (const count of [1, 100, undefined]) {
      const { device: seen, buffers, programs } = watched(device);
      let left = count ?? Number.POSITIVE_INFINITY;
      for await (const _ of generate(model, [1, 260], { device: seen, eosTokenIds: [] })) {
        if (--left === 0) break;
      }
      await released(buffers);
      for (const program of programs) {
        await expect(program.run({})).rejects.toMatchObject({ code: 'runtime/disposed' });
      }
    }
  });

  it('stops on abort, frees what it holds and leaves the device usable', async () => {
    const expected = ids(await all({ maxNewTokens: 120 }));
    for (const after of [0, 1, 100]) {
      const { device: seen, buffers } = watched(device);
      const watching = await openDecoder(model, seen);
      const controller = new AbortController();
      const reason = new Error('enough');
      const steps: number[] = [];
      if (after === 0) setTimeout(() => controller.abort(reason), 1);
      const run = async () => {
        const options = { signal: controller.signal, eosTokenIds: [] };
        for await (const { id } of generate(watching, new Array(150).fill(260), options)) {
          steps.push(id);
          // While the next step is on its way.
          if (steps.length === after) setTimeout(() => controller.abort(reason), 0);
        }
      };
      await expect(run()).rejects.toBe(reason);
      await released(buffers);
      await watching.dispose();
      expect(ids(await all({ maxNewTokens: 120 }))).toEqual(expected);
    }
    const late = generate(decoder, [1], { signal: AbortSignal.abort(new Error('before')) });
    await expect(late.next()).rejects.toThrow('before');
  });

  it('two texts at a time do not disturb each other', async () => {
    const prompts = [
      [1, 260],
      [1, 261, 262, 265],
    ];
    const apart = [];
    for (const prompt of prompts) apart.push(ids(await all({ maxNewTokens: 60 }, prompt)));
    const together = await Promise.all(prompts.map((prompt) => all({ maxNewTokens: 60 }, prompt)));
    expect(together.map(ids)).toEqual(apart);
  });

  it('gives out whole characters whose pieces join to the full text', async () => {
    const { tokenizer } = model;
    for (let seed = 0; seed < 8; seed++) {
      const prompt = tokenizer?.encode('the tin hé') ?? [];
      // Nearly uniform over a vocabulary of which nine tenths are single bytes.
      const steps = await all({ maxNewTokens: 60, temperature: 20, seed }, prompt);
      const whole = tokenizer?.decode([...prompt, ...ids(steps)]);
      expect(`the tin hé${steps.map(({ text }) => text).join('')}`).toBe(whole);
    }
  });
});

describe('streamed text', () => {
  const { tokenizer } = importTinyStories(tinyStoriesFile());
  if (!tokenizer) throw new Error('no tokenizer');
  const stream = (ids: readonly number[], prompt: readonly number[] = []) => {
    const text = streamText(tokenizer, prompt);
    return ids.map((id, i) => text.push(id, i === ids.length - 1));
  };

  it('never holds a part of a character, and joins to the whole', () => {
    const unit = fc.constantFrom(
      't',
      'h',
      'e',
      ' ',
      'é',
      'ж',
      '\u20ac',
      '日',
      '😀',
      '🇫🇷',
      'e\u0301',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), fc.nat(40), (t, cut) => {
        const ids = tokenizer.encode(t);
        const pieces = stream(ids);
        expect(pieces.join('')).toBe(t);
        for (const piece of pieces) {
          expect(piece).not.toContain('\ufffd');
          expect(piece).not.toMatch(/\p{Surrogate}/u);
        }
        // A prompt that ends between characters.
        const prompt = ids.slice(0, cut);
        const before = tokenizer.decode(prompt);
        fc.pre(!before.endsWith('\ufffd'));
        expect(before + stream(ids.slice(cut), prompt).join('')).toBe(t);
      }),
    );
  });

  it('joins to the whole for any tokens, also for bytes that are no text', () => {
    const id = fc.integer({ min: 0, max: 285 });
    fc.assert(
      fc.property(fc.array(id, { maxLength: 60 }), (ids) => {
        expect(stream(ids).join('')).toBe(tokenizer.decode(ids));
      }),
    );
  });

  it('gives a character out with its last byte', () => {
    const bytes = Array.from(new TextEncoder().encode('a😀b'), (byte) => byte + 3);
    expect(stream(bytes)).toEqual(['a', '', '', '', '😀', 'b']);
    expect(stream(bytes.slice(0, 3))).toEqual(['a', '', '\ufffd']);
  });
});
