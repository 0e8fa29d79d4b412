// Exported ONNX runs in plain onnxruntime-node, outside the library, with the library's output.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { feedsOf, openEncoder, tokenize } from '../src/models/encoder.js';
import { exportOnnx, onnxModel } from '../src/models/export-onnx.js';
import { loadUseLitePackage } from '../src/models/import/use-lite.js';
import { fullDecoderProgram, isEncoder, type Model } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import type { QualityRecord } from '../src/models/quality.js';
import { checkModel } from '../src/onnx/check.js';
import { decodeModel } from '../src/onnx/read.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { sampleTexts, smallDecoder, smallEncoder } from './support/small-models.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice();
  place = await mkdtemp(join(tmpdir(), 'export-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(place, { recursive: true });
});

let count = 0;
const fresh = () => join(place, `${count++}`);

/** The library's own output for texts. */
async function ours(model: Model, texts: readonly string[]): Promise<Float32Array> {
  if (isEncoder(model)) {
    await using encoder = await openEncoder(model, device);
    return (await encoder.encode(texts)).data as Float32Array;
  }
  const built = fullDecoderProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  const ids = tokenize(model, texts);
  return (await program.run(feedsOf([...ids.keys()], ids))).logits.data as Float32Array;
}

async function theirs(folder: string, model: Model, texts: readonly string[], output: string) {
  const session = await InferenceSession.create(join(folder, 'onnx', 'model.onnx'));
  expect(session.inputNames.slice(0, 2)).toEqual(['input_ids', 'attention_mask']);
  expect(session.outputNames).toContain(output);
  const ids = tokenize(model, texts);
  const { input_ids, attention_mask } = feedsOf([...ids.keys()], ids);
  const results = await session.run({
    input_ids: new Tensor('int64', input_ids.data as BigInt64Array, input_ids.shape),
    attention_mask: new Tensor('int64', attention_mask.data as BigInt64Array, attention_mask.shape),
    ...emptyPast(session, texts.length),
  });
  await session.release();
  return results[output].data as Float32Array;
}

/** The past of decoders before the first token: a length of 0. */
function emptyPast(session: InferenceSession, batch: number): Record<string, Tensor> {
  const past = session.inputMetadata.filter(({ name }) => name.startsWith('past_key_values.'));
  return Object.fromEntries(
    past.map((one) => {
      const sizes = one.isTensor ? one.shape : [];
      const shape = sizes.map((d) => (typeof d === 'number' ? d : d === 'batch_size' ? batch : 0));
      return [one.name, new Tensor('float32', new Float32Array(0), shape)];
    }),
  );
}

const furthest = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((max, x, i) => Math.max(max, Math.abs(x - b[i])), 0);
};

/** Numbers of no meaning: a compressed model is not written without a record. */
const quality: QualityRecord = {
  data: { name: 'none', examples: 0, sha256: '' },
  original: 'small',
  metrics: {},
  measuredBy: { version: '0', device: 'cpu', threads: 1 },
};

async function compressed(model: Model, chain: string): Promise<Model> {
  if (chain === '') return model;
  return { ...(await applyChain(model, parseChain(chain), { device })), quality };
}

async function check(model: Model, texts: readonly string[], output: string, inlineBytes?: number) {
  const folder = fresh();
  await exportOnnx(model, folder, { inlineBytes });
  const expected = await ours(model, texts);
  expect(expected.some((x) => x !== 0)).toBe(true);
  expect(furthest(expected, await theirs(folder, model, texts, output))).toBeLessThan(1e-5);
  return folder;
}

const chains = [
  '',
  'int8:block=64',
  'int8:block=channel',
  'four-bit:element=int4',
  'four-bit:element=E2M1',
];

describe('in plain onnxruntime-node', () => {
  it.each(chains)('an encoder gives the same vectors: %s', async (chain) => {
    await check(await compressed(smallEncoder(), chain), sampleTexts, 'sentence_embedding');
  });

  it.each(chains)('a decoder gives the same scores: %s', async (chain) => {
    await check(await compressed(smallDecoder(), chain), sampleTexts, 'logits');
  });

  it('use-lite, dense and in 8 bits, texts of mixed length', async () => {
    const model = await loadUseLitePackage();
    const texts = ['hello', 'How do I reset my password?', '', 'a '.repeat(100)];
    await check(model, texts, 'sentence_embedding');
    await check(await compressed(model, 'int8:block=64'), texts, 'sentence_embedding');
  });

  it('weights beside the graph', async () => {
    const folder = await check(smallEncoder(), sampleTexts, 'sentence_embedding', 1000);
    expect((await readdir(join(folder, 'onnx'))).sort()).toEqual(['model.onnx', 'model.onnx_data']);
    const graph = await readFile(join(folder, 'onnx', 'model.onnx'));
    const data = await readFile(join(folder, 'onnx', 'model.onnx_data'));
    expect(graph.length).toBeLessThan(data.length);
  });
});

describe('the folder', () => {
  it('has the names of transformers.js, and is checked', async () => {
    const folder = fresh();
    const model = smallEncoder();
    await exportOnnx(model, folder);
    expect((await readdir(folder)).sort()).toEqual([
      'config.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    expect(config.model_type).toBe('use-lite');
    const written = decodeModel(new Uint8Array(await readFile(join(folder, 'onnx', 'model.onnx'))));
    checkModel(written);
    expect(written.graph.nodes.length).toBe((await onnxModel(model)).graph.nodes.length);
  });

  it('is not written without the record of what compression cost', async () => {
    const made = { ...(await compressed(smallEncoder(), 'int8')), quality: undefined };
    await expect(exportOnnx(made, fresh())).rejects.toMatchObject({ code: 'models/quality' });
  });

  it('is refused where one is, and nothing is written when aborted', async () => {
    const folder = fresh();
    await exportOnnx(smallEncoder(), folder);
    await expect(exportOnnx(smallEncoder(), folder)).rejects.toMatchObject({ code: 'file/exists' });
    await exportOnnx(smallEncoder(2), folder, { overwrite: true });
    const names = await readdir(place);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(exportOnnx(smallEncoder(), fresh(), { signal })).rejects.toThrow('enough');
    expect(await readdir(place)).toEqual(names);
  });
});
