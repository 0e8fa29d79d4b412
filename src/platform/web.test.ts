// The page's twin, against a local server: one path that knows ranges, one that does not.
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Platform } from './platform.js';
import * as web from './web.js';

const platform: Platform = web;
const content = new Uint8Array(300_000).map((_, i) => (i * 7919) >>> 5);
let server: Server;
let base = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/denied') return response.writeHead(403).end();
    if (request.url !== '/ranges' && request.url !== '/whole') {
      return response.writeHead(404).end();
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    let body: Uint8Array = content;
    if (range !== null && request.url === '/ranges') {
      const end = range[2] === '' ? content.length : Number(range[2]) + 1;
      body = content.subarray(Number(range[1]), end);
      response.writeHead(206, { 'content-length': body.length });
    } else response.writeHead(200, { 'content-length': body.length });
    return response.end(request.method === 'HEAD' ? undefined : body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });

test.each(['ranges', 'whole'])('reads files and ranges of a server: %s', async (path) => {
  const url = platform.joinPath(base, path);
  expect(Buffer.compare(await platform.readFile(url), content)).toBe(0);
  expect(await platform.readRange(url, 1000, 500)).toEqual(content.slice(1000, 1500));
  expect(await platform.readRange(url, 0, 0)).toHaveLength(0);
  await expect(platform.readRange(url, 299_990, 11)).rejects.toThrow(failsWith('file/truncated'));
  expect(await platform.fileBytes(url)).toBe(content.length);
  const parts: Uint8Array[] = [];
  for await (const part of platform.readChunks(url, { start: 5, length: 250_000 })) {
    parts.push(part);
  }
  expect(Buffer.compare(Buffer.concat(parts), content.subarray(5, 250_005))).toBe(0);
  await using file = await platform.openFile(url);
  const target = new Uint8Array(8);
  await file.readInto(target, 64);
  expect(target).toEqual(content.slice(64, 72));
  await expect(file.read(0, content.length + 1)).rejects.toThrow(failsWith('file/truncated'));
  const sha256 = createHash('sha256').update(content).digest('hex');
  expect(await platform.hashFile(url)).toEqual({ bytes: content.length, sha256 });
});

test('what the server refuses, and a server that is not there', async () => {
  await expect(platform.readFile(`${base}/absent`)).rejects.toThrow(failsWith('file/not-found'));
  await expect(platform.readFile(`${base}/denied`)).rejects.toThrow(failsWith('file/denied'));
  await expect(platform.readFile('http://127.0.0.1:1/')).rejects.toThrow(failsWith('file/io'));
  expect(await platform.exists(`${base}/absent`)).toBe(false);
  expect(await platform.exists(`${base}/whole`)).toBe(true);
  await expect(platform.exists(`${base}/denied`)).rejects.toThrow(failsWith('file/denied'));
});

test('outside names stay inside, also once the address is parsed', async () => {
  const name = await platform.safeName('https://host/models/m', 'a/%2e%2e/%2e%2e/%2e%2e/x#y');
  expect(new URL(name).pathname.startsWith('/models/m/a/')).toBe(true);
  await expect(platform.safeName('https://host/m', '../x')).rejects.toThrow(failsWith('file/name'));
});

test('paths are addresses', () => {
  expect(platform.environment('HOME')).toBeUndefined();
  expect(platform.joinPath('https://h/a/', '/b/', 'c')).toBe('https://h/a/b/c');
  expect(platform.joinPath()).toBe('.');
  expect(platform.baseName('https://h/a/b.bin')).toBe('b.bin');
  expect(platform.folderOf('https://h/a/b.bin')).toBe('https://h/a');
  expect(platform.folderOf('b.bin')).toBe('.');
});

test('what a page cannot do says so', async () => {
  const bytes = new Uint8Array(1);
  for (const call of [
    () => platform.list('x'),
    () => platform.makeFolder('x'),
    () => platform.remove('x'),
    () => platform.writeAtomic('x', bytes),
    () => platform.writeFolder('x', []),
    () => platform.withLock('x', async () => 1),
    () => platform.linkInto('x', 'y'),
    async () => platform.homeFolder(),
    async () => platform.tempBeside('x'),
    async () => platform.residentBytes(),
    async () => platform.peakResidentBytes(),
  ]) {
    await expect(call()).rejects.toThrow(failsWith('platform/unsupported'));
  }
});

test('machine facts are what the browser tells, or unknown', async () => {
  const seen = { hardwareConcurrency: 6, deviceMemory: 8, userAgent: 'Browser/1' };
  vi.stubGlobal('navigator', seen);
  try {
    const facts = await platform.machine();
    expect(facts).toMatchObject({ cores: 6, memoryBytes: 2 ** 33, runtime: 'Browser/1' });
    vi.stubGlobal('navigator', undefined);
    expect(await platform.machine()).toMatchObject({ cores: 1, memoryBytes: 0 });
  } finally {
    vi.unstubAllGlobals();
  }
});
