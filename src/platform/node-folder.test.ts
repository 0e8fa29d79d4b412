import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { safeName, writeFolder } from './node.js';
import type { FolderFile } from './platform.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-folder-'));
});
afterAll(() => rm(folder, { recursive: true }));

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });
const text = (value: string) => new TextEncoder().encode(value);
const fresh = async () => mkdtemp(join(folder, 'case-'));
const model = (weights: string): FolderFile[] => [
  { name: 'config.json', chunks: text('{}') },
  { name: 'onnx/model.onnx', chunks: [text(weights)] },
];

describe('writeFolder', () => {
  test('writes files and folders, the manifest last, with the hashes of the others', async () => {
    const place = await fresh();
    const order: string[] = [];
    const files: FolderFile[] = [
      {
        name: 'manifest.json',
        chunks: (written) => {
          order.push('manifest.json');
          return text(JSON.stringify(written));
        },
      },
      {
        name: 'weights.bin',
        chunks: (function* () {
          order.push('weights.bin');
          yield text('abc');
        })(),
      },
    ];
    const written = await writeFolder(join(place, 'new', 'model'), files, {
      last: 'manifest.json',
    });
    expect(order).toEqual(['weights.bin', 'manifest.json']);
    expect(written.map(({ name }) => name)).toEqual(order);
    const manifest = await readFile(join(place, 'new', 'model', 'manifest.json'), 'utf8');
    expect(JSON.parse(manifest)).toEqual([written[0]]);
    expect(written[0].sha256).toMatch(/^ba7816bf/);
    expect(await readdir(join(place, 'new'))).toEqual(['model']);
  });

  test('fills an empty folder, refuses one that holds anything', async () => {
    const place = await fresh();
    const target = join(place, 'model');
    await mkdir(target);
    await writeFolder(target, model('1'));
    let produced = false;
    const files: FolderFile[] = [
      {
        name: 'x',
        chunks: () => {
          produced = true;
          return text('');
        },
      },
    ];
    await expect(writeFolder(target, files)).rejects.toThrow(failsWith('file/exists'));
    expect(produced).toBe(false);
    expect(await readFile(join(target, 'onnx', 'model.onnx'), 'utf8')).toBe('1');
    expect(await readdir(place)).toEqual(['model']);
  });

  test('replaces when asked: no old file stays, nothing beside it stays', async () => {
    const place = await fresh();
    const target = join(place, 'model');
    await writeFolder(target, [...model('1'), { name: 'old.bin', chunks: text('') }]);
    await writeFolder(target, model('2'), { overwrite: true, last: 'config.json' });
    expect(await readdir(target)).toEqual(['config.json', 'onnx']);
    expect(await readFile(join(target, 'onnx', 'model.onnx'), 'utf8')).toBe('2');
    expect(await readdir(place)).toEqual(['model']);
  });

  test('replaces the folder behind a link and keeps the link', async () => {
    const place = await fresh();
    await writeFolder(join(place, 'real'), model('1'));
    await symlink(join(place, 'real'), join(place, 'link'));
    await writeFolder(join(place, 'link'), model('2'), { overwrite: true });
    expect(await readFile(join(place, 'real', 'onnx', 'model.onnx'), 'utf8')).toBe('2');
    expect(await readdir(place)).toEqual(['link', 'real']);
  });

  test('never replaces a folder it did not write, nor one around the working folder', async () => {
    const place = await fresh();
    await writeFile(join(place, 'thesis.txt'), 'years of work');
    const options = { overwrite: true, last: 'config.json' };
    await expect(writeFolder(place, model('1'), options)).rejects.toThrow(
      failsWith('file/protected'),
    );
    for (const target of [process.cwd(), join(process.cwd(), '..'), '/']) {
      await expect(writeFolder(target, model('1'), { overwrite: true })).rejects.toThrow(
        failsWith('file/protected'),
      );
    }
    expect(await readdir(place)).toEqual(['thesis.txt']);
  });

  test('a file in the way stays', async () => {
    const place = await fresh();
    await writeFile(join(place, 'f'), 'x');
    await expect(writeFolder(join(place, 'f'), model('1'), { overwrite: true })).rejects.toThrow(
      failsWith('file/kind'),
    );
    expect(await readFile(join(place, 'f'), 'utf8')).toBe('x');
  });

  test.each(['../out', '/tmp/out', 'C:out', 'a/../../out', 'nul'])(
    'a file called %j: refused, nothing written',
    async (name) => {
      const place = await fresh();
      const files = [...model('1'), { name, chunks: text('x') }];
      await expect(writeFolder(join(place, 'm'), files)).rejects.toThrow(failsWith('file/name'));
      expect(await readdir(place)).toEqual([]);
    },
  );

  test('names that one file system takes for the same, a missing manifest', async () => {
    const place = await fresh();
    const twice = [...model('1'), { name: 'Config.JSON', chunks: text('x') }];
    await expect(writeFolder(join(place, 'm'), twice)).rejects.toThrow(failsWith('file/name'));
    await expect(
      writeFolder(join(place, 'm'), model('1'), { last: 'manifest.json' }),
    ).rejects.toThrow(failsWith('file/manifest'));
    expect(await readdir(place)).toEqual([]);
  });

  test('failure or abort in any file leaves the old folder as it was', async () => {
    const place = await fresh();
    const target = join(place, 'a', 'model');
    await writeFolder(target, model('old'));
    function* full() {
      yield text('x');
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    }
    const broken: FolderFile[] = [...model('new'), { name: 'z', chunks: full }];
    await expect(writeFolder(target, broken, { overwrite: true })).rejects.toThrow(
      failsWith('file/disk-full'),
    );
    const stop = new AbortController();
    async function* aborting(): AsyncGenerator<FolderFile> {
      yield* model('new');
      stop.abort(new Error('enough'));
      yield { name: 'z', chunks: text('z') };
    }
    await expect(
      writeFolder(target, aborting(), { overwrite: true, signal: stop.signal }),
    ).rejects.toThrow('enough');
    await expect(writeFolder(join(place, 'b', 'c'), broken)).rejects.toThrow(
      failsWith('file/disk-full'),
    );
    expect(await readFile(join(target, 'onnx', 'model.onnx'), 'utf8')).toBe('old');
    expect(await readdir(place)).toEqual(['a']);
    expect(await readdir(join(place, 'a'))).toEqual(['model']);
  });

  test('20 writers of one new folder: one wins whole, the others are told it exists', async () => {
    const place = await fresh();
    const target = join(place, 'model');
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => writeFolder(target, model(String(i)))),
    );
    const lost = results.filter((result) => result.status === 'rejected');
    expect(lost).toHaveLength(19);
    for (const { reason } of lost) expect(reason).toEqual(failsWith('file/exists'));
    const winner = results.findIndex((result) => result.status === 'fulfilled');
    expect(await readFile(join(target, 'onnx', 'model.onnx'), 'utf8')).toBe(String(winner));
    expect(await readdir(place)).toEqual(['model']);
  });
});

describe('safeName', () => {
  test('joins inside the base, there or not yet there', async () => {
    const base = await fresh();
    await writeFile(join(base, 'here'), '');
    expect(await safeName(base, 'here')).toBe(join(base, 'here'));
    expect(await safeName(base, 'not/yet')).toBe(join(base, 'not', 'yet'));
    expect(await safeName(join(base, 'absent'), 'x')).toBe(join(base, 'absent', 'x'));
    await expect(safeName(base, '../x')).rejects.toThrow(failsWith('file/name'));
  });

  test('refuses links that lead out: files, folders, and to nowhere', async () => {
    const [base, outside] = [await fresh(), await fresh()];
    await writeFile(join(outside, 'secret'), '');
    await symlink(join(outside, 'secret'), join(base, 'file'));
    await symlink(outside, join(base, 'folder'));
    await symlink(join(outside, 'unborn'), join(base, 'nowhere'));
    await symlink('.', join(base, 'itself'));
    await symlink('loop', join(base, 'loop'));
    for (const name of ['file', 'folder/secret', 'folder/new', 'nowhere', 'nowhere/x', 'itself']) {
      await expect(safeName(base, name), name).rejects.toThrow(failsWith('file/name'));
    }
    await expect(safeName(base, 'loop')).rejects.toThrow(
      expect.objectContaining({ name: 'AnyformerError' }),
    );
  });

  test("a Hub cache's links are inside its root", async () => {
    const root = await fresh();
    const snapshot = join(root, 'snapshots', 'abc');
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(root, 'blobs'));
    await writeFile(join(root, 'blobs', 'f00'), '');
    await symlink('../../blobs/f00', join(snapshot, 'model.safetensors'));
    await expect(safeName(snapshot, 'model.safetensors')).rejects.toThrow(failsWith('file/name'));
    expect(await safeName(snapshot, 'model.safetensors', { root })).toBe(
      join(snapshot, 'model.safetensors'),
    );
  });

  test('a base that is itself a link is followed first', async () => {
    const place = await fresh();
    await mkdir(join(place, 'real'));
    await symlink(join(place, 'real'), join(place, 'link'));
    expect(await safeName(join(place, 'link'), 'x')).toBe(join(place, 'real', 'x'));
    // A sibling whose name begins like the base's is not inside it.
    await mkdir(join(place, 'real2'));
    await symlink(join(place, 'real2'), join(place, 'real', 'out'));
    await expect(safeName(join(place, 'real'), 'out/x')).rejects.toThrow(failsWith('file/name'));
  });
});
