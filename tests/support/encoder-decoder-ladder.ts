// The ladder of an encoder-decoder: against its independent reference (tests/golden), padded, in steps
// with the memory and the target in caches, saved and loaded.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Decoder, generate, openDecoder, type Prompt } from '../../src/decode/index.js';
import { loadModelFolder, saveModel } from '../../src/models/folder.js';
import { initialModel } from '../../src/models/initial.js';
import { inspectModel } from '../../src/models/inspect.js';
import { declare, type Model, wholeProgram } from '../../src/models/model.js';
import { parameterValues } from '../../src/models/parameters.js';
import { toOnnx } from '../../src/onnx/from-graph.js';
import { encodeModel } from '../../src/onnx/write.js';
import type { Device } from '../../src/runtime/index.js';
import {
  fromNumbers,
  interpret,
  type NDArray,
  ndarray,
  simplify,
  toNumbers,
} from '../../src/tensor/index.js';
import { expectClose } from './arrays.js';
import { type Fixture, type Golden, readFixture } from './golden.js';

/** Copies: the device takes what it is fed. */
const fed = (inputs: Golden['inputs']) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: data.slice() } as NDArray,
    ]),
  );

export async function outputsOf(device: Device, model: Model, inputs: Golden['inputs']) {
  const built = wholeProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  return await program.run(fed(inputs));
}

const idsOf = ({ inputs }: Golden, name: string): number[] => [...toNumbers(inputs[name])];

/** What a decoder is given to read. */
const sourceOf = ({ inputs }: Golden): Prompt =>
  inputs.input_values
    ? Float32Array.from(toNumbers(inputs.input_values))
    : [...toNumbers(inputs.input_ids)];

/** Sources as one batch, padded with what must not matter. */
function paddedSources(goldens: readonly Golden[]): Record<string, NDArray> {
  if (goldens[0].inputs.input_ids) {
    const { ids, mask } = padded(
      goldens.map((golden) => idsOf(golden, 'input_ids')),
      7,
    );
    return { input_ids: ids, attention_mask: mask };
  }
  const rows = goldens.map(({ inputs }) => toNumbers(inputs.input_values));
  const counts = rows.map(({ length }) => length);
  const longest = Math.max(...counts);
  const values = new Float32Array(rows.length * longest).fill(0.5);
  for (const [i, samples] of rows.entries()) values.set(samples, i * longest);
  return {
    input_values: ndarray('f32', [rows.length, longest], values),
    sample_counts: fromNumbers('i64', [rows.length], counts),
  };
}

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

export function encoderDecoderLadder(name: string, deviceOf: () => Device): void {
  describe(name, () => {
    let device: Device;
    let place: string;
    let fixture: Fixture;
    let model: Model;
    let decoder: Decoder;
    beforeAll(async () => {
      fixture = await readFixture(name);
      model = fixture.model();
      device = deviceOf();
      place = await mkdtemp(join(tmpdir(), 'ladder-'));
      decoder = await openDecoder(model, device);
    });
    afterAll(async () => {
      await decoder.dispose();
      await rm(place, { recursive: true });
    });

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
        expectClose(
          toNumbers((await outputsOf(device, model, inputs)).logits),
          wanted,
          1e-4,
          'device',
        );
        const feeds = Object.entries(inputs).map(([key, { data, shape }]) => [
          key,
          data instanceof Float32Array
            ? new Tensor('float32', data, shape)
            : new Tensor('int64', data as BigInt64Array, shape),
        ]);
        const { logits } = await session.run(Object.fromEntries(feeds));
        expectClose(logits.data as Float32Array, wanted, 1e-4, 'onnxruntime');
      }
      await session.release();
    });

    it('padded sources and targets of a batch equal single ones', async () => {
      const targets = padded(
        fixture.goldens.map((golden) => idsOf(golden, 'decoder_input_ids')),
        5,
      );
      const { logits } = await outputsOf(device, model, {
        ...paddedSources(fixture.goldens),
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
        for await (const { id } of generate(decoder, sourceOf(golden), options)) found.push(id);
        expect(found).toEqual(golden.greedy);
      }
    });

    it('in steps of any size as in one pass, past the first size of the cache', async () => {
      const [golden] = fixture.goldens;
      const [start] = decoder.start([]);
      const vocabulary = Number(model.config.vocab_size);
      const target = [
        start,
        ...Array.from(
          { length: Math.min(decoder.context, 160) - 2 },
          (_, i) => (i * 17 + 3) % vocabulary,
        ),
      ];
      const { logits: whole } = await outputsOf(device, model, {
        ...golden.inputs,
        decoder_input_ids: fromNumbers('i64', [1, target.length], target),
      });
      for (const sizes of [
        [1, 2, 40, 1, 14, target.length - 59],
        [target.length - 1],
        new Array(20).fill(1),
      ]) {
        const { logits, cache } = await decoder.prefill([sourceOf(golden)]);
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
      const { logits, cache } = await decoder.prefill(fixture.goldens.map(sourceOf));
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
      expect(await outputsOf(device, again, inputs)).toEqual(
        await outputsOf(device, model, inputs),
      );
    });

    it('has fresh weights where none are given', async () => {
      const fresh = initialModel({ name, config: fixture.config });
      expect([...fresh.weights.names()].sort()).toEqual([...fixture.weights.keys()].sort());
    });
  });
}
