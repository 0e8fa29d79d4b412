// Plain safetensors folders: the model's own numbers in the type asked for, in files of bounded size,
// with nothing of this library's making in config.json.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { memoryStore } from '../src/models/checkpoint.js';
import { exportSafetensors, type FloatType } from '../src/models/export-safetensors.js';
import { loadModelFolder } from '../src/models/folder.js';
import { declare, type Model } from '../src/models/model.js';
import { readSafetensors } from '../src/models/safetensors.js';
import type { Device } from '../src/runtime/device.js';
import { castArray, fromNumbers, type NDArray } from '../src/tensor/index.js';
import { smallDecoder, smallEncoder } from './support/small-models.js';

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'plain-'));
});
afterAll(() => rm(place, { recursive: true }));
let count = 0;
const fresh = () => join(place, `${count++}`);

const tensorsOf = async (model: Model): Promise<Map<string, NDArray>> => {
  const names = [...declare(model).stored.keys()];
  return new Map(
    await Promise.all(names.map(async (name) => [name, await model.weights.read(name)] as const)),
  );
};

describe('plain safetensors', () => {
  it.each<FloatType | undefined>([undefined, 'f32', 'f16', 'bf16'])('in %s', async (type) => {
    const model = smallDecoder(1, false);
    const out = fresh();
    await exportSafetensors(model, out, { type });
    const { tensors, metadata } = await readSafetensors(join(out, 'model.safetensors'));
    expect(metadata.get('format')).toBe('pt');
    const expected = await tensorsOf(model);
    expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, array] of tensors) {
      expect(array, name).toEqual(castArray(expected.get(name) as NDArray, type ?? 'f32'));
    }
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
    expect(config.torch_dtype).toBe(
      type && { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[type],
    );
    expect(config).not.toHaveProperty('quantization_config');
    expect(Object.values(config)).not.toContain(null);
    await using again = await loadModelFolder(out);
    expect(again.config).toMatchObject({ hidden_size: 64, num_key_value_heads: 2 });
  });

  it('in files of a bounded size, with an index that tells where all is', async () => {
    const model = smallDecoder();
    const out = fresh();
    const most = 30_000;
    await exportSafetensors(model, out, { shardBytes: most });
    const names = (await readdir(out)).filter((name) => name.endsWith('.safetensors')).sort();
    expect(names.length).toBeGreaterThan(3);
    const index = JSON.parse(await readFile(join(out, 'model.safetensors.index.json'), 'utf8'));
    let total = 0;
    for (const [i, name] of names.entries()) {
      const digits = (n: number) => String(n).padStart(5, '0');
      expect(name).toBe(`model-${digits(i + 1)}-of-${digits(names.length)}.safetensors`);
      const { tensors } = await readSafetensors(join(out, name));
      const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
      if (tensors.size > 1) expect(bytes).toBeLessThanOrEqual(most);
      for (const tensor of tensors.keys()) expect(index.weight_map[tensor]).toBe(name);
      total += bytes;
    }
    expect(index.metadata.total_size).toBe(total);
    await using again = await loadModelFolder(out);
    expect(await tensorsOf(again)).toEqual(await tensorsOf(model));
  });

  it('an encoder, its tokenizer with it', async () => {
    const out = fresh();
    await exportSafetensors(smallEncoder(), out, { type: 'f16' });
    expect((await readdir(out)).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('refused: compressed weights, and numbers beyond float16; nothing is left behind', async () => {
    const context = { device: undefined as unknown as Device };
    const small = await applyChain(smallDecoder(), parseChain('int8'), context);
    const before = await readdir(place);
    await expect(exportSafetensors(small, fresh())).rejects.toMatchObject({
      code: 'export/compressed',
    });
    const model = smallDecoder();
    const tensors = await tensorsOf(model);
    tensors.set('model.norm.weight', fromNumbers('f32', [64], new Array(64).fill(1e6)));
    const large = { ...model, weights: memoryStore(tensors) };
    await expect(exportSafetensors(large, fresh(), { type: 'f16' })).rejects.toMatchObject({
      code: 'export/value',
    });
    expect(await readdir(place)).toEqual(before);
    await exportSafetensors(large, fresh(), { type: 'bf16' });
  });
});
