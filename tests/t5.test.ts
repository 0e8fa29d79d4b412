// T5 against an independent reference (tests/golden/t5.py): whole sources and targets, padding, and
// decoding with the memory and the target in caches.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Decoder, generate, openDecoder } from '../src/decode/index.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { initialModel } from '../src/models/initial.js';
import { inspectModel } from '../src/models/inspect.js';
import { declare, type Model, parameterValues, wholeProgram } from '../src/models/model.js';
import { toOnnx } from '../src/onnx/from-graph.js';
import { encodeModel } from '../src/onnx/write.js';
import type { Device } from '../src/runtime/index.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, interpret, type NDArray, simplify, toNumbers } from '../src/tensor/index.js';
import { expectClose } from './support/arrays.js';
import { type Fixture, type Golden, readFixture } from './support/golden.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
  place = await mkdtemp(join(tmpdir(), 't5-'));
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

const idsOf = ({ inputs }: Golden, name = 'input_ids'): number[] => [...toNumbers(inputs[name])];

/** Row `at` of the last two axes. */
function row({ data, shape }: NDArray, at: number): Float32Array {
  const width = shape.at(-1) ?? 1;
  return (data as Float32Array).subarray(at * width, (at + 1) * width);
}

/** Rows padded on the right with `fill`, and which places hold a token. */
function padded(rows: readonly (readonly number[])[], fill: number) {
  const longest = Math.max(...rows.map(({ length }) => length));
  const shape = [rows.length, longest];
  const wide = (of: (row: readonly number[]) => readonly number[], rest: number) =>
    fromNumbers(
      'i64',
      shape,
      rows.flatMap((one) => [...of(one), ...new Array(longest - one.length).fill(rest)]),
    );
  return { ids: wide((one) => one, fill), mask: wide((one) => one.map(() => 1), 0), longest };
}

describe.each(['t5', 't5-gated'])('%s', (name) => {
  let fixture: Fixture;
  let model: Model;
  let decoder: Decoder;
  beforeAll(async () => {
    fixture = await readFixture(name);
    model = fixture.model();
    decoder = await openDecoder(model, device);
  });
  afterAll(() => decoder.dispose());

  it('builds a graph of the very tensors that the checkpoint has', () => {
    expect([...declare(model).stored.keys()].sort()).toEqual([...fixture.weights.keys()].sort());
    const { parameters, flops, kind } = inspectModel(model);
    expect(kind).toBe('encoder-decoder');
    expect(parameters).toBe(
      [...fixture.weights.values()].reduce((a, { data }) => a + data.length, 0),
    );
    expect(flops).toBeGreaterThan(0);
  });

  it('keeps every key of its config', () => {
    expect(model.config).toMatchObject(fixture.config);
    const again = fixture.model({ config: JSON.parse(JSON.stringify(model.config)) });
    expect(again.config).toEqual(model.config);
  });

  it('equals the reference, in the interpreter, on the device and outside the library', async () => {
    const built = wholeProgram(model);
    const parameters = await parameterValues(model, built);
    const onnx = encodeModel(toOnnx(simplify(built.graph), { frozen: parameters, name }));
    const session = await InferenceSession.create(onnx);
    for (const { inputs, outputs } of fixture.goldens) {
      const wanted = toNumbers(outputs.logits);
      const exact = interpret(built.graph, inputs, parameters).outputs.get('logits') as NDArray;
      expectClose(toNumbers(exact), wanted, 1e-5, 'interpreter');
      expectClose(toNumbers((await outputsOf(model, inputs)).logits), wanted, 1e-4, 'device');
      const feeds = Object.entries(inputs).map(([key, { data, shape }]) => [
        key,
        new Tensor('int64', data as BigInt64Array, shape),
      ]);
      const { logits } = await session.run(Object.fromEntries(feeds));
      expectClose(logits.data as Float32Array, wanted, 1e-4, 'onnxruntime');
    }
    await session.release();
  });

  it('padded sources and targets of a batch equal single ones', async () => {
    const sources = padded(
      fixture.goldens.map((golden) => idsOf(golden)),
      7,
    );
    const targets = padded(
      fixture.goldens.map((golden) => idsOf(golden, 'decoder_input_ids')),
      5,
    );
    const { logits } = await outputsOf(model, {
      input_ids: sources.ids,
      attention_mask: sources.mask,
      decoder_input_ids: targets.ids,
    });
    for (const [b, { inputs, outputs }] of fixture.goldens.entries()) {
      for (let i = 0; i < inputs.decoder_input_ids.data.length; i++) {
        const found = row(logits, b * targets.longest + i);
        expectClose(found, row(outputs.logits, i), 1e-4, `text ${b}, token ${i}`);
      }
    }
  });

  it('writes the tokens of the reference', async () => {
    for (const golden of fixture.goldens) {
      const found: number[] = [];
      const options = { maxNewTokens: golden.greedy.length, eosTokenIds: [] };
      for await (const { id } of generate(decoder, idsOf(golden), options)) found.push(id);
      expect(found).toEqual(golden.greedy);
    }
  });

  it('in steps of any size as in one pass, past the first size of the cache', async () => {
    const [golden] = fixture.goldens;
    const [start] = decoder.start([]);
    const vocabulary = Number(model.config.vocab_size);
    const target = [start, ...Array.from({ length: 150 }, (_, i) => (i * 17 + 3) % vocabulary)];
    const { logits: whole } = await outputsOf(model, {
      ...fed({ input_ids: golden.inputs.input_ids, attention_mask: golden.inputs.attention_mask }),
      decoder_input_ids: fromNumbers('i64', [1, target.length], target),
    });
    for (const sizes of [[1, 2, 60, 1, 40, 46], [150], new Array(20).fill(1)]) {
      const { logits, cache } = await decoder.prefill([idsOf(golden)]);
      await using _ = cache;
      let at = 1;
      expectClose(row(logits, 0), row(whole, 0), 1e-4, 'start');
      for (const size of sizes) {
        const scores = await decoder.step([target.slice(at, at + size)], cache);
        at += size;
        expectClose(row(scores, 0), row(whole, at - 1), 2e-4, `${at} tokens`);
      }
    }
  });

  it('a batch of sources as single sources, with every memory apart', async () => {
    const { logits, cache } = await decoder.prefill(fixture.goldens.map((golden) => idsOf(golden)));
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

  it('saves and loads as it is', async () => {
    const folder = join(place, name);
    await saveModel(model, folder);
    await using again = await loadModelFolder(folder);
    expect([...again.weights.names()].sort()).toEqual([...fixture.weights.keys()].sort());
    const [{ inputs }] = fixture.goldens;
    expect(await outputsOf(again, inputs)).toEqual(await outputsOf(model, inputs));
  });

  it('has fresh weights where none are given', async () => {
    const fresh = initialModel({ name, config: fixture.config });
    expect([...fresh.weights.names()].sort()).toEqual([...fixture.weights.keys()].sort());
  });
});

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
