import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as node from './node.js';
import type { Platform } from './platform.js';

const platform: Platform = node;
const content = new Uint8Array(3_000_000).map((_, i) => (i * 7919) >>> 5);
let folder = '';
let file = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-read-'));
  file = join(folder, 'content.bin');
  await writeFile(file, content);
});
afterAll(() => rm(folder, { recursive: true }));

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test('the whole file, in a buffer of its own', async () => {
  const bytes = await platform.readFile(file);
  expect(Buffer.compare(bytes, content)).toBe(0);
  expect(bytes.byteOffset).toBe(0);
  expect(bytes.buffer.byteLength).toBe(content.length);
});

test('an empty file', async () => {
  await writeFile(join(folder, 'empty'), '');
  expect(await platform.readFile(join(folder, 'empty'))).toHaveLength(0);
  expect(await gather(platform.readChunks(join(folder, 'empty')))).toHaveLength(0);
});

test('byte ranges, read whole and in chunks, equal slices', async () => {
  const size = content.length;
  await fc.assert(
    fc.asyncProperty(fc.nat(size), fc.nat(size), async (a, b) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const wanted = content.subarray(start, end);
      const range = await platform.readRange(file, start, end - start);
      expect(Buffer.compare(range, wanted)).toBe(0);
      const chunks = await gather(platform.readChunks(file, { start, length: end - start }));
      expect(Buffer.compare(chunks, wanted)).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test('a range past the end fails before any memory is taken for it', async () => {
  await expect(platform.readRange(file, 0, content.length + 1)).rejects.toThrow(
    failsWith('file/truncated'),
  );
  await expect(platform.readRange(file, 0, 2 ** 52)).rejects.toThrow(failsWith('file/truncated'));
  await expect(platform.readRange(file, 2 ** 52, 1)).rejects.toThrow(failsWith('file/truncated'));
  for (const [start, length] of [
    [-1, 4],
    [0, -4],
    [0.5, 4],
    [0, Number.NaN],
  ]) {
    await expect(platform.readRange(file, start, length)).rejects.toThrow(failsWith('file/range'));
  }
});

test('a file that shrinks while it is open', async () => {
  const shrinking = join(folder, 'shrinking');
  await writeFile(shrinking, content.subarray(0, 1000));
  await using open = await platform.openFile(shrinking);
  await truncate(shrinking, 10);
  await expect(open.read(0, 1000)).rejects.toThrow(failsWith('file/truncated'));
});

test('an open file stays the same file when its name is given to another', async () => {
  const path = join(folder, 'renamed');
  await writeFile(path, 'old');
  await using open = await platform.openFile(path);
  await platform.writeAtomic(path, new TextEncoder().encode('new'));
  expect(Buffer.from(await open.read(0, 3)).toString()).toBe('old');
  const target = new Uint8Array(5);
  await open.readInto(target.subarray(1, 4), 0);
  expect(Buffer.from(target).toString()).toBe('\0old\0');
});

test('hashes agree with node:crypto', async () => {
  const wanted = createHash('sha256').update(content).digest('hex');
  expect(await platform.hashFile(file)).toEqual({ bytes: content.length, sha256: wanted });
  expect(await platform.sha256(content)).toBe(wanted);
});

test('what is not there, or not a file', async () => {
  const absent = join(folder, 'absent');
  await expect(platform.readFile(absent)).rejects.toThrow(failsWith('file/not-found'));
  await expect(platform.readFile(absent)).rejects.toThrow(absent);
  await expect(platform.readFile(folder)).rejects.toThrow(failsWith('file/kind'));
  await expect(platform.readFile('/dev/zero')).rejects.toThrow(failsWith('file/kind'));
  await expect(platform.readFile(join(file, 'x'))).rejects.toThrow(failsWith('file/kind'));
  await expect(platform.fileBytes(absent)).rejects.toThrow(failsWith('file/not-found'));
  await expect(platform.list(absent)).rejects.toThrow(failsWith('file/not-found'));
  await expect(platform.list(file)).rejects.toThrow(failsWith('file/kind'));
  expect(await platform.exists(absent)).toBe(false);
  expect(await platform.exists(join(file, 'x'))).toBe(false);
  expect(await platform.exists(file)).toBe(true);
  expect(await platform.exists(folder)).toBe(true);
  expect(await platform.fileBytes(file)).toBe(content.length);
});

test('a folder is listed sorted, links as what they lead to', async () => {
  const place = join(folder, 'listed');
  await mkdir(join(place, 'sub'), { recursive: true });
  await writeFile(join(place, 'b'), '');
  await symlink(file, join(place, 'a'));
  await symlink(join(place, 'sub'), join(place, 'c'));
  await symlink('nowhere', join(place, 'd'));
  expect(await platform.list(place)).toEqual([
    { name: 'a', kind: 'file' },
    { name: 'b', kind: 'file' },
    { name: 'c', kind: 'folder' },
    { name: 'd', kind: 'other' },
    { name: 'sub', kind: 'folder' },
  ]);
});

test('folders are made and removed, repeatedly without complaint', async () => {
  const deep = join(folder, 'x', 'y', 'z');
  await platform.makeFolder(deep);
  await platform.makeFolder(deep);
  expect(await platform.exists(deep)).toBe(true);
  await platform.remove(join(folder, 'x'));
  await platform.remove(join(folder, 'x'));
  expect(await platform.exists(deep)).toBe(false);
});

test('an aborted read rejects with the reason', async () => {
  const reason = new Error('stop');
  const signal = AbortSignal.abort(reason);
  await expect(platform.readFile(file, { signal })).rejects.toBe(reason);
  await expect(platform.hashFile(file, { signal })).rejects.toBe(reason);
});

test('machine facts are those of a machine', async () => {
  const facts = await platform.machine();
  expect(facts.cores).toBeGreaterThanOrEqual(1);
  expect(facts.parallelism).toBeLessThanOrEqual(facts.cores);
  expect(facts.parallelism).toBe(platform.parallelism());
  expect(facts.memoryBytes).toBeGreaterThan(2 ** 27);
  expect(facts.runtime).toBe(`node ${process.versions.node}`);
  expect(facts.cpu).not.toBe('');
  expect(facts.load.every((value) => value >= 0)).toBe(true);
});

test('resident memory follows an allocation that is touched', () => {
  const before = platform.residentBytes();
  const block = new Uint8Array(64 << 20).fill(1);
  expect(platform.residentBytes() - before).toBeGreaterThan(48 << 20);
  expect(platform.peakResidentBytes()).toBeGreaterThanOrEqual(block.length);
});
