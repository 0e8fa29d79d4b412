// One download however many ask for it: in one process, in two, and after one was killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repository } from '../scripts/tree.mjs';
import { resolveModel } from '../src/models/resolve.js';
import { withLock } from '../src/platform/node.js';
import { modelFiles, tempFolder } from './support/hub-model.js';
import { hubServer, rangeOf, sendFile } from './support/hub-server.js';

const WEIGHTS = 'model.safetensors';
const files = await modelFiles();

function child(endpoint: string, cache: string): { child: ChildProcess; ended: Promise<string> } {
  const code = `import { resolveModel } from ${JSON.stringify(join(repository, 'dist/models/index.js'))};
    const m = await resolveModel('org/small'); console.log([...m.weights.names()].length);
    await m[Symbol.asyncDispose]();`;
  const env = { ...process.env, HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '' };
  const process_ = spawn(process.execPath, ['--input-type=module', '-e', code], { env });
  let out = '';
  process_.stdout.on('data', (chunk) => {
    out += chunk;
  });
  process_.stderr.on('data', (chunk) => {
    out += chunk;
  });
  return { child: process_, ended: new Promise((done) => process_.once('close', () => done(out))) };
}

/** Bytes that a download has left so far; the child makes the folder and renames files meanwhile. */
async function partialLength(blobs: string): Promise<number> {
  try {
    const partial = (await readdir(blobs)).find((name) => name.endsWith('.incomplete'));
    return partial ? (await readFile(join(blobs, partial))).length : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
}

test('two loads in one process, two processes beside it: each file is asked for once', async () => {
  await using server = await hubServer(files);
  await using place = await tempFolder();
  server.intercept(async (request, response, file) => {
    if (file?.path !== WEIGHTS) return false;
    await new Promise((done) => setTimeout(done, 600));
    sendFile(request, response, file.bytes);
    return true;
  });
  const settings = { endpoint: server.endpoint, cache: place.path, offline: false };
  const load = async () => {
    await using model = await resolveModel('org/small', { settings });
    return [...model.weights.names()].length;
  };
  const others = [1, 2].map(() => child(server.endpoint, place.path).ended);
  const counts = await Promise.all([load(), load(), ...others]);
  expect(new Set(counts.map((count) => Number(count))).size).toBe(1);
  for (const path of Object.keys(files)) expect(server.asked(path)).toHaveLength(1);
});

test('a process killed in the middle: the next goes on where it was', async () => {
  await using server = await hubServer(files);
  await using place = await tempFolder();
  let half: (() => void) | undefined;
  const arrived = new Promise<void>((done) => {
    half = done;
  });
  server.intercept((request, response, file) => {
    if (file?.path !== WEIGHTS || request.headers.range !== undefined) return false;
    response.writeHead(200, { 'content-length': file.bytes.length });
    response.write(file.bytes.subarray(0, 10_000));
    half?.();
    return true;
  });
  const { child: victim, ended } = child(server.endpoint, place.path);
  await arrived;
  const blobs = join(place.path, 'models--org--small', 'blobs');
  try {
    while ((await partialLength(blobs)) !== 10_000)
      await new Promise((done) => setTimeout(done, 20));
  } finally {
    victim.kill('SIGKILL'); // before its folder goes away
    await ended;
  }
  const settings = { endpoint: server.endpoint, cache: place.path, offline: false };
  await using _ = await resolveModel('org/small', { settings });
  const request = server.asked(WEIGHTS).at(-1);
  expect(rangeOf({ headers: { range: request?.range } } as never, 0)[0]).toBe(10_000);
});

test('a lock of a process that ended is broken, one that is touched is not', async () => {
  await using place = await tempFolder();
  const path = join(place.path, 'x.lock');
  await mkdir(place.path, { recursive: true });
  // No process has this number.
  await writeFile(path, JSON.stringify({ id: 'x', host: hostname(), pid: 2 ** 30 }));
  const order: string[] = [];
  const one = withLock(path, async () => {
    order.push('a in');
    await new Promise((done) => setTimeout(done, 3500));
    order.push('a out');
  });
  const two = withLock(path, async () => void order.push('b'));
  await Promise.all([one, two]);
  expect(order.join()).toMatch(/^(a in,a out,b|b,a in,a out)$/);
  expect(await readdir(place.path)).toEqual([]);
});

test('waiting for a lock ends with the signal', async () => {
  await using place = await tempFolder();
  const path = join(place.path, 'x.lock');
  const stop = new AbortController();
  await withLock(path, async () => {
    setTimeout(() => stop.abort(new Error('enough')), 150);
    const second = withLock(path, async () => 'in', { signal: stop.signal });
    await expect(second).rejects.toThrow('enough');
  });
  expect(await withLock(path, async () => 'in')).toBe('in');
});
