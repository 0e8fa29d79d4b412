// An index file that points out of its folder, or at files that do not hold what it says.
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/models/checkpoint.js';
import { craft, f32, inFolder, refusal } from './craft.js';

const INDEX = 'model.safetensors.index.json';
const shard = (name: string) => craft({ header: { [name]: f32([1], 0, 4) }, data: 4 });

async function withIndex(
  index: unknown,
  run: (folder: string) => Promise<void>,
  files: Record<string, Uint8Array> = {},
) {
  await inFolder(async (root) => {
    const folder = join(root, 'outer', 'model');
    await mkdir(folder, { recursive: true });
    // The bait: a good file where the bad name leads.
    await writeFile(join(root, 'x'), shard('w'));
    await writeFile(join(root, 'outer', 'x'), shard('w'));
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
    const text = typeof index === 'string' ? index : JSON.stringify(index);
    await writeFile(join(folder, INDEX), text);
    await run(folder);
  });
}

test.each([
  '../../x',
  '../x',
  'a/../../x',
  '/etc/passwd',
  '..\\x',
  'C:\\x',
  'c:x',
  '\\\\server\\share\\x',
  '//server/x',
  '',
  '.',
  'x\u0000.safetensors',
  'nul',
])('a shard named %j', async (name) => {
  await withIndex({ weight_map: { w: name } }, async (folder) => {
    expect((await refusal(() => openCheckpoint(folder))).code).toBe('file/name');
  });
});

test('a shard that is a link out of the folder', async () => {
  await withIndex({ weight_map: { w: 'link.safetensors' } }, async (folder) => {
    await symlink(join(folder, '..', '..', 'x'), join(folder, 'link.safetensors'));
    const error = await refusal(() => openCheckpoint(folder));
    expect(error.code).toMatch(/^file\//);
  });
});

test('a good set, and one whose index lies', async () => {
  const files = { 'a.safetensors': shard('w'), 'b.safetensors': shard('v') };
  const good = { weight_map: { w: 'a.safetensors', v: 'b.safetensors' } };
  await withIndex(
    good,
    async (folder) => {
      await using store = await openCheckpoint(folder);
      expect([...store.names()].sort()).toEqual(['v', 'w']);
      expect((await store.read('v')).shape).toEqual([1]);
      expect(store.file?.('v')?.path).toBe(join(folder, 'b.safetensors'));
    },
    files,
  );
  await withIndex(
    { weight_map: { w: 'a.safetensors', v: 'a.safetensors' } },
    async (folder) => {
      const error = await refusal(() => openCheckpoint(folder));
      expect(error.code).toBe('safetensors/no-tensor');
      expect(error.what).toContain('"v"');
    },
    files,
  );
  await withIndex({ weight_map: { w: 'gone.safetensors' } }, async (folder) => {
    expect((await refusal(() => openCheckpoint(folder))).code).toBe('file/not-found');
  });
});

test.each([
  ['no map', {}, 'safetensors/index'],
  ['an empty map', { weight_map: {} }, 'safetensors/index'],
  ['a map that is a list', { weight_map: ['a'] }, 'safetensors/index'],
  ['a number for a name', { weight_map: { w: 1 } }, 'safetensors/index'],
  ['a list', [], 'safetensors/index'],
  ['a name twice', '{"weight_map":{"w":"a","w":"b"}}', 'safetensors/duplicate-key'],
  ['no JSON', 'model', 'safetensors/json'],
  [
    'too many shards',
    { weight_map: Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [i, `${i}`])) },
    'safetensors/index',
  ],
])('an index with %s', async (_, index, code) => {
  await withIndex(index, async (folder) => {
    expect((await refusal(() => openCheckpoint(folder))).code).toBe(code);
  });
});
