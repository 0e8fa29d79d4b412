import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromNumbers } from '../tensor/array.js';
import { layeredStore, memoryStore, openCheckpoint } from './checkpoint.js';
import { writeSafetensors } from './safetensors-write.js';

const arrays = new Map([
  ['a.weight', fromNumbers('f32', [2], [1, 2])],
  ['a.bias', fromNumbers('f16', [1], [3])],
]);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-checkpoint-'));
  const store = memoryStore(arrays);
  await writeSafetensors(join(folder, 'model.safetensors'), {
    types: [...store.names()].map((name) => [name, store.type(name)] as const),
    read: store.read,
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a folder, its file and the arrays in memory are the same store', async () => {
  for (const path of [folder, join(folder, 'model.safetensors')]) {
    await using store = await openCheckpoint(path);
    const memory = memoryStore(arrays);
    expect([...store.names()].sort()).toEqual([...memory.names()].sort());
    for (const name of memory.names()) {
      expect(store.type(name)).toEqual(memory.type(name));
      expect(await store.read(name)).toEqual(await memory.read(name));
    }
    expect(store.file?.('a.bias')).toMatchObject({
      path: join(folder, 'model.safetensors'),
      length: 2,
    });
    expect(memory.file?.('a.bias')).toBeUndefined();
  }
});

test('a missing tensor is an error with the nearest names, from every store', async () => {
  await using file = await openCheckpoint(folder);
  const layered = layeredStore(memoryStore(new Map()), file, new Set(['a.bias']));
  for (const store of [memoryStore(arrays), file, layered]) {
    const expected = { code: 'checkpoint/no-tensor', hint: expect.stringContaining('a.weight') };
    await expect(store.read('a.wieght')).rejects.toMatchObject(expected);
    expect(() => store.type('a.wieght')).toThrow('a.wieght');
    expect(() => store.file?.('a.wieght') ?? store.type('a.wieght')).toThrow('a.wieght');
  }
});

test('layers: the upper one wins, names can be taken away, nothing is listed twice', async () => {
  const upper = new Map([
    ['a.weight', fromNumbers('i8', [4], [1, 2, 3, 4])],
    ['a.scale', fromNumbers('f32', [1], [0.5])],
  ]);
  const store = layeredStore(memoryStore(upper), memoryStore(arrays), new Set(['a.bias']));
  expect([...store.names()]).toEqual(['a.weight', 'a.scale']);
  expect(store.type('a.weight')).toEqual({ dtype: 'i8', shape: [4] });
  expect(store.has('a.bias')).toBe(false);
  await expect(store.read('a.bias')).rejects.toMatchObject({ code: 'checkpoint/no-tensor' });
  // A name both replaced and taken away from below is the upper one.
  const both = layeredStore(memoryStore(upper), memoryStore(arrays), new Set(['a.weight']));
  expect([...both.names()].sort()).toEqual(['a.bias', 'a.scale', 'a.weight']);
  expect((await both.read('a.weight')).dtype).toBe('i8');
});
