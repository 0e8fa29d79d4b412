// Folders whose weights are not those of their config: everything that is wrong is told at once. And
// folders that only look wrong: tied heads left out, buffers, other widths of floats.
import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { writeSafetensors } from '../src/models/safetensors-write.js';
import { unusedTensors } from '../src/models/unused.js';
import { castArray, type NDArray, ndarray, zerosOf } from '../src/tensor/index.js';
import { shardedFiles } from './support/hub-model.js';
import { smallDecoder } from './support/small-models.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-faults-'));
});
afterAll(() => rm(folder, { recursive: true }));

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });

/** The folder of a small model, its tensors changed. */
async function altered(
  change: (tensors: Map<string, NDArray>) => void,
  { tied = true, config = {} }: { tied?: boolean; config?: object } = {},
): Promise<string> {
  const model = smallDecoder(1, tied);
  await saveModel(model, folder, { overwrite: true });
  const tensors = new Map<string, NDArray>();
  for (const name of model.weights.names()) tensors.set(name, await model.weights.read(name));
  change(tensors);
  const path = join(folder, 'model.safetensors');
  await unlink(path);
  await writeSafetensors(path, {
    types: [...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }] as const),
    read: async (name) => tensors.get(name) as NDArray,
  });
  const file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...config }));
  return folder;
}

const messageOf = async (path: string) =>
  await loadModelFolder(path).then(
    () => 'accepted',
    (error) => `${error.code}: ${error.message}`,
  );

test('all that is missing and all that has another shape', async () => {
  const names = ['model.layers.0.mlp.up_proj.weight', 'model.layers.1.self_attn.q_proj.weight'];
  const message = await messageOf(
    await altered((tensors) => {
      for (const name of names) tensors.delete(name);
      tensors.set('model.norm.weight', zerosOf('f32', [3]));
    }),
  );
  for (const name of [...names, 'model.norm.weight']) expect(message).toContain(name);
  expect(message).toMatch(/^nn\/(missing|shape)/);
});

test('all that is too much: beside the tensors of a module, and of further layers', async () => {
  const extra = [
    'model.layers.0.self_attn.q_proj.bias',
    'model.layers.1.self_attn.q_proj.bias',
    'model.layers.2.mlp.up_proj.weight',
  ];
  const message = await messageOf(
    await altered((tensors) => {
      for (const name of extra) tensors.set(name, zerosOf('f32', [1]));
    }),
  );
  expect(message).toMatch(/^models\/extra/);
  for (const name of extra) expect(message).toContain(name);
});

test('what belongs to nothing that the model reads is left alone, and can be told', async () => {
  const harmless = ['model.layers.0.self_attn.rotary_emb.inv_freq', 'score.weight'];
  const path = await altered((tensors) => {
    for (const name of harmless) tensors.set(name, zerosOf('f32', [1]));
  });
  await using model = await loadModelFolder(path);
  expect(unusedTensors(model)).toEqual(harmless);
});

test('a head that is tied may be absent, one that is not may not', async () => {
  const without = (tensors: Map<string, NDArray>) => tensors.delete('lm_head.weight');
  await using _ = await loadModelFolder(await altered(without));
  const message = await messageOf(await altered(without, { tied: false }));
  expect(message).toContain('lm_head.weight');
});

test.each(['f16', 'bf16', 'f64'] as const)('weights in %s', async (dtype) => {
  const model = smallDecoder();
  const path = await altered((tensors) => {
    for (const [name, array] of tensors) tensors.set(name, castArray(array, dtype));
  });
  await using loaded = await loadModelFolder(path);
  const name = 'model.layers.0.mlp.up_proj.weight';
  expect(loaded.weights.type(name).dtype).toBe(dtype);
  const expected = castArray(castArray(await model.weights.read(name), dtype), 'f32');
  expect(castArray(await loaded.weights.read(name), 'f32')).toEqual(expected);
});

test('weights in integers are refused', async () => {
  const message = await messageOf(
    await altered((tensors) => {
      tensors.set('model.norm.weight', ndarray('i32', [64], new Int32Array(64)));
    }),
  );
  expect(message).toContain('model.norm.weight');
});

test('all shards that are missing, and all tensors that are not where the index says', async () => {
  const names = ['a.safetensors', 'b.safetensors', 'c.safetensors'];
  const files = await shardedFiles(names);
  const place = join(folder, 'sharded');
  await saveModel(smallDecoder(), place, { overwrite: true });
  await unlink(join(place, 'model.safetensors'));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(place, name), bytes);
  await using model = await loadModelFolder(place);
  expect([...model.weights.names()].sort()).toEqual([...smallDecoder().weights.names()].sort());
  await writeFile(join(place, 'a.safetensors'), files['b.safetensors']);
  const moved = await messageOf(place);
  const { weight_map } = JSON.parse(
    new TextDecoder().decode(files['model.safetensors.index.json']),
  ) as { weight_map: Record<string, string> };
  for (const [tensor, file] of Object.entries(weight_map)) {
    if (file === 'a.safetensors') expect(moved).toContain(`"${tensor}"`);
  }
  await unlink(join(place, 'a.safetensors'));
  await unlink(join(place, 'c.safetensors'));
  const error = await loadModelFolder(place).catch((thrown) => thrown);
  expect(error).toEqual(failsWith('file/not-found'));
  expect(error.what).toContain('a.safetensors');
  expect(error.what).toContain('c.safetensors');
});

test('a config that says fp8 loads, and is written again without saying so', async () => {
  const path = await altered(() => {}, {
    config: { quantization_config: { quant_method: 'fp8' } },
  });
  await using model = await loadModelFolder(path);
  const out = join(folder, 'again');
  await saveModel(model, out, { overwrite: true });
  expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))).not.toHaveProperty(
    'quantization_config',
  );
  const other = await altered(() => {}, {
    config: { quantization_config: { quant_method: 'awq' } },
  });
  expect(await messageOf(other)).toMatch(/^models\/quantization/);
});
