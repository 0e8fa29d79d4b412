// The ladder that every model family climbs: the config is read and written, the graph builds, random
// weights give what an independent reference gives (tests/golden), decoding in steps and in batches
// gives what whole texts give, and the model is saved, compressed and exported.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { generate, openDecoder } from '../src/decode/index.js';
import { onnxModel } from '../src/models/export-onnx.js';
import { familyOf } from '../src/models/families/registry.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { inspectModel } from '../src/models/inspect.js';
import { declare, isDecoder, type Model, storedBytes, wholeProgram } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { checkUnused, unusedTensors } from '../src/models/unused.js';
import { encodeModel } from '../src/onnx/write.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, interpret, type NDArray, toNumbers } from '../src/tensor/index.js';
import { expectClose } from './support/arrays.js';
import { familyCases } from './support/family-cases.js';
import { type Fixture, type Golden, readFixture } from './support/golden.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
  place = await mkdtemp(join(tmpdir(), 'families-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(place, { recursive: true });
});

/** Copies: the device takes what it is fed. */
const fed = (inputs: Golden['inputs']) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: data.slice() } as NDArray,
    ]),
  );

async function outputsOf(model: Model, inputs: Golden['inputs']) {
  const built = wholeProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  return await program.run(fed(inputs));
}

function expectGolden(found: Record<string, NDArray>, { outputs }: Golden, tolerance = 1e-4) {
  for (const [name, wanted] of Object.entries(outputs)) {
    expect(found[name].shape).toEqual(wanted.shape);
    expectClose(toNumbers(found[name]), toNumbers(wanted), tolerance, name);
  }
}

const idsOf = ({ inputs }: Golden): number[] => [...toNumbers(inputs.input_ids)];

/** Row `at` of the last two axes. */
function row({ data, shape }: NDArray, at: number): Float32Array {
  const width = shape.at(-1) ?? 1;
  return (data as Float32Array).subarray(at * width, (at + 1) * width);
}

const fixtures = Object.values(familyCases).flatMap(({ fixtures }) => fixtures);

describe.each(fixtures)('%s', (name) => {
  let fixture: Fixture;
  let model: Model;
  beforeAll(async () => {
    fixture = await readFixture(name);
    model = fixture.model();
  });

  it('builds a graph of the very tensors that the checkpoint has', () => {
    expect([...declare(model).stored.keys()].sort()).toEqual([...fixture.weights.keys()].sort());
    expect(wholeProgram(model).graph.inputs.size).toBe(
      Object.keys(fixture.goldens[0].inputs).length,
    );
    const { parameters, flops, formats } = inspectModel(model);
    expect(parameters).toBe(
      [...fixture.weights.values()].reduce((a, { data }) => a + data.length, 0),
    );
    expect(flops).toBeGreaterThan(0);
    expect(formats.map(({ format }) => format)).toEqual(['dense f32']);
  });

  it('keeps every key of its config', () => {
    expect(model.config).toMatchObject(fixture.config);
    const again = fixture.model({ config: JSON.parse(JSON.stringify(model.config)) });
    expect(again.config).toEqual(model.config);
  });

  it('equals the reference, in the interpreter and on the device', async () => {
    const built = wholeProgram(model);
    const parameters = await parameterValues(model, built);
    for (const golden of fixture.goldens) {
      const { outputs } = interpret(built.graph, golden.inputs, parameters);
      expectGolden(Object.fromEntries(outputs), golden, 1e-5);
      expectGolden(await outputsOf(model, golden.inputs), golden);
    }
  });

  it('says what a checkpoint lacks and what does not fit, all of it', () => {
    const [first, second] = fixture.weights.keys();
    const weights = new Map(fixture.weights);
    weights.delete(first);
    weights.set(second, fromNumbers('f32', [1, 3], [1, 2, 3]));
    const build = () => wholeProgram(fixture.model({ weights }));
    expect(build).toThrow(new RegExp(`no tensor '${first}'`));
    expect(build).toThrow(new RegExp(`'${second}' of the checkpoint does not fit`));
  });

  it('saves and loads as it is', async () => {
    const folder = join(place, name);
    await saveModel(model, folder);
    await using again = await loadModelFolder(folder);
    expect(again.config).toEqual(model.config);
    expect([...again.weights.names()].sort()).toEqual([...fixture.weights.keys()].sort());
    const [{ inputs }] = fixture.goldens;
    expect(await outputsOf(again, inputs)).toEqual(await outputsOf(model, inputs));
  });

  it('compresses, and the smaller model loads', async () => {
    const small = await applyChain(model, parseChain('int8:block=16'), { device });
    expect(storedBytes(small)).toBeLessThan(0.6 * storedBytes(model));
    const [golden] = fixture.goldens;
    const found = await outputsOf(small, golden.inputs);
    for (const [output, wanted] of Object.entries(golden.outputs)) {
      const [a, b] = [toNumbers(found[output]), toNumbers(wanted)];
      const miss = Math.hypot(...a.map((x, i) => x - b[i])) / Math.hypot(...b);
      expect(miss).toBeGreaterThan(0);
      // Narrow matrices, and activations rounded with them.
      expect(miss).toBeLessThan(0.1);
    }
    const folder = join(place, `${name}-int8`);
    const quality = {
      data: { name: 'none', examples: 0, sha256: '' },
      original: name,
      metrics: {},
      measuredBy: { version: '0', device: 'cpu', threads: 1 },
    };
    await saveModel({ ...small, quality }, folder);
    await using again = await loadModelFolder(folder);
    expect(await outputsOf(again, golden.inputs)).toEqual(found);
  });
});

const decoders = fixtures;

describe.each(decoders)('%s decodes', (name) => {
  let fixture: Fixture;
  let model: Model;
  beforeAll(async () => {
    fixture = await readFixture(name);
    model = fixture.model();
    expect(isDecoder(model)).toBe(true);
  });

  it('greedily, to the tokens of the reference', async () => {
    await using decoder = await openDecoder(model, device);
    for (const golden of fixture.goldens) {
      const found: number[] = [];
      const options = { maxNewTokens: golden.greedy.length, eosTokenIds: [] };
      for await (const { id } of generate(decoder, idsOf(golden), options)) found.push(id);
      expect(found).toEqual(golden.greedy);
    }
  });

  it('in steps of any size as in one pass', async () => {
    const [golden] = fixture.goldens;
    const text = [...idsOf(golden), ...golden.greedy];
    const ones = (count: number) => new Array<number>(count).fill(1);
    const { logits: whole } = await outputsOf(model, {
      input_ids: fromNumbers('i64', [1, text.length], text),
      attention_mask: fromNumbers('i64', [1, text.length], ones(text.length)),
    });
    await using decoder = await openDecoder(model, device);
    for (const sizes of [ones(text.length), [2, 5, 1, 9], [text.length - 1, 1]]) {
      const { logits, cache } = await decoder.prefill([text.slice(0, sizes[0])]);
      await using _ = cache;
      let at = sizes[0];
      expectClose(row(logits, 0), row(whole, at - 1), 1e-4, 'prefill');
      for (const size of sizes.slice(1)) {
        const scores = await decoder.step([text.slice(at, at + size)], cache);
        at += size;
        expectClose(row(scores, 0), row(whole, at - 1), 1e-4, `${at} tokens`);
      }
    }
  });

  it('as ONNX outside the library, against the cache of its graph', async () => {
    if (!isDecoder(model)) throw new Error('no decoder');
    const session = await InferenceSession.create(encodeModel(await onnxModel(model)));
    const ints = (values: readonly number[]) =>
      new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const empty = model.family.states(model.config).flatMap(({ value: { shape } }, layer) =>
      ['key', 'value'].map((of) => {
        const sizes = [1, Number(shape[1]), 0, Number(shape[3])];
        return [`past_key_values.${layer}.${of}`, new Tensor('float32', [], sizes)] as const;
      }),
    );
    for (const golden of fixture.goldens) {
      let past: Record<string, Tensor> = Object.fromEntries(empty);
      let added = idsOf(golden);
      let length = 0;
      const found: number[] = [];
      for (let step = 0; step < golden.greedy.length; step++) {
        length += added.length;
        const attention_mask = ints(new Array(length).fill(1));
        const { logits, ...present } = await session.run({
          input_ids: ints(added),
          attention_mask,
          ...past,
        });
        const scores = logits.data as Float32Array;
        if (step === 0) expectClose(scores, toNumbers(golden.outputs.logits), 1e-4, 'logits');
        const last = scores.subarray(scores.length - (logits.dims.at(-1) ?? 0));
        added = [last.indexOf(Math.max(...last))];
        found.push(...added);
        past = Object.fromEntries(
          Object.entries(present).map(([key, value]) => [
            key.replace('present', 'past_key_values'),
            value as Tensor,
          ]),
        );
      }
      expect(found).toEqual(golden.greedy);
    }
    await session.release();
  });

  it('a batch as single texts, padded on either side', async () => {
    const texts = fixture.goldens.map(idsOf);
    const longest = Math.max(...texts.map(({ length }) => length));
    for (const side of ['left', 'right']) {
      const padded = (values: (ids: number[]) => number[], fill: number) =>
        fromNumbers(
          'i64',
          [texts.length, longest],
          texts.flatMap((ids) => {
            const rest = new Array<number>(longest - ids.length).fill(fill);
            return side === 'left' ? [...rest, ...values(ids)] : [...values(ids), ...rest];
          }),
        );
      const { logits } = await outputsOf(model, {
        input_ids: padded((ids) => ids, 7),
        attention_mask: padded((ids) => ids.map(() => 1), 0),
      });
      fixture.goldens.forEach(({ outputs }, b) => {
        const { length } = texts[b];
        const start = side === 'left' ? longest - length : 0;
        for (let i = 0; i < length; i++) {
          const found = row(logits, b * longest + start + i);
          expectClose(found, row(outputs.logits, i), 1e-4, `${side}, text ${b}, token ${i}`);
        }
      });
    }
    // Against a cache, where padding stands on the left.
    await using decoder = await openDecoder(model, device);
    const { logits, cache } = await decoder.prefill(texts);
    await using _ = cache;
    let scores = logits;
    for (let step = 0; step < fixture.goldens[0].greedy.length; step++) {
      const best = fixture.goldens
        .map((_, b) => row(scores, b))
        .map((r) => r.indexOf(Math.max(...r)));
      expect(best).toEqual(fixture.goldens.map(({ greedy }) => greedy[step]));
      scores = await decoder.step(
        best.map((id) => [id]),
        cache,
      );
    }
  });
});

describe.each(Object.entries(familyCases))(
  'the config of %s',
  (type, { fixtures, refused, same }) => {
    it('is of its family', async () => {
      for (const name of fixtures) {
        const { config } = await readFixture(name);
        expect(familyOf(config.model_type).modelTypes).toContain(type);
      }
    });

    it.each(refused)('is refused with %j', async (change, says) => {
      const { config, model } = await readFixture(fixtures[0]);
      const read = () => model({ config: { ...config, ...change } });
      expect(read).toThrow(expect.objectContaining({ code: 'config/value' }));
      expect(read).toThrow(says);
    });

    it('is refused without any of its sizes', async () => {
      const { config, model } = await readFixture(fixtures[0]);
      const sizes = Object.keys(config).filter((key) =>
        /^(vocab_size|hidden_size|n_(positions|embd|layer|head)|num_hidden_layers)$/.test(key),
      );
      expect(sizes.length).toBeGreaterThan(2);
      for (const key of sizes) {
        const read = () => model({ config: { ...config, [key]: undefined } });
        expect(read).toThrow(`key ${key} is not valid`);
      }
    });

    it('means the same in other words', async () => {
      const { config, model, goldens } = await readFixture(fixtures[0]);
      for (const change of same ?? []) {
        const [golden] = goldens;
        expectGolden(
          await outputsOf(model({ config: { ...config, ...change } }), golden.inputs),
          golden,
        );
      }
    });
  },
);

describe('what else lies in checkpoints', () => {
  it.each([
    ['gpt2', ['transformer.h.0.attn.bias', 'transformer.h.0.attn.masked_bias', 'lm_head.weight']],
    ['gpt2-bare', ['h.1.attn.bias', 'lm_head.weight']],
    ['opt', ['lm_head.weight']],
    ['gpt-neox', ['gpt_neox.layers.0.attention.bias', 'gpt_neox.layers.0.attention.masked_bias']],
    ['gpt-neox', ['gpt_neox.layers.1.attention.rotary_emb.inv_freq']],
    ['llama', ['model.layers.0.self_attn.rotary_emb.inv_freq']],
  ])('%s: buffers and tied heads are no part of the model', async (name, more) => {
    const { weights, model } = await readFixture(name);
    const extra = more.map((key) => [key, fromNumbers('f32', [1], [0])] as const);
    const full = model({ weights: new Map([...weights, ...extra]) });
    expect(unusedTensors(full)).toEqual(more);
    checkUnused(full, 'model.safetensors');
  });

  it.each([
    ['opt', 'model.decoder', ['decoder', '']],
    ['gpt-neox-sequential', 'gpt_neox', ['']],
    ['smollm', 'model', ['']],
  ])('%s: the body is found without its prefix', async (name, prefix, others) => {
    const { weights, model, goldens } = await readFixture(name);
    for (const other of others) {
      const renamed = [...weights].map(([key, array]) => {
        const rest = key.slice(prefix.length + 1);
        return [other === '' ? rest : `${other}.${rest}`, array] as const;
      });
      const bare = model({ weights: new Map(renamed) });
      expectGolden(await outputsOf(bare, goldens[0].inputs), goldens[0]);
    }
  });
});

describe('a model_type that is not known', () => {
  it.each([
    ['gptneox', 'gpt_neox'],
    ['gpt-2', 'gpt2'],
    ['qwen', 'qwen2'],
    ['mixtral', 'mistral'],
    ['lama', 'llama'],
  ])('%s: the nearest is %s', (given, near) => {
    expect(() => familyOf(given)).toThrow(
      expect.objectContaining({
        code: 'models/unknown-family',
        hint: `nearest: ${near}`,
        expected: expect.stringContaining('gpt2, opt, gpt_neox, llama, mistral, qwen2, qwen3'),
      }),
    );
  });
});
