// A Hub that means harm: names in its listing and in its index that lead elsewhere, answers that are no
// answers. Nothing appears outside the cache, nothing half-written in it.
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resolveModel } from '../src/models/resolve.js';
import { AnyformerError } from '../src/tensor/error.js';
import { everything, modelFiles, shardedFiles, tempFolder, text } from './support/hub-model.js';
import { type Entry, entryOf, type HubFiles, hubServer, json } from './support/hub-server.js';

const good = await modelFiles();
const sharded = await shardedFiles(['a.safetensors', 'b.safetensors']);
const INDEX = 'model.safetensors.index.json';
const listed = (files: HubFiles) =>
  Object.entries(files).map(([path, bytes]) => entryOf(path, bytes));

/** Loads from a server of `files` and `listing`; gives the refusal and what the disk holds then. */
async function refusedBy(
  files: HubFiles,
  listing: Entry[] = listed(files),
  intercept?: Parameters<Awaited<ReturnType<typeof hubServer>>['intercept']>[0],
  prepare?: (cache: string) => Promise<void>,
) {
  await using server = await hubServer(files, { listing });
  await using place = await tempFolder();
  if (intercept) server.intercept(intercept);
  const cache = join(place.path, 'deep', 'er', 'hub');
  await prepare?.(cache);
  const settings = { endpoint: server.endpoint, cache, offline: false };
  try {
    await using _ = await resolveModel('org/small', { settings, pauseMs: 1 });
  } catch (error) {
    if (!(error instanceof AnyformerError)) throw error;
    const disk = await everything(place.path);
    expect(disk.filter((name) => !name.startsWith(join('deep', 'er', 'hub')))).toEqual([]);
    expect(disk.filter((name) => name.endsWith('.lock'))).toEqual([]);
    return { error, disk };
  }
  throw new Error('accepted');
}

test.each(['../../x', '../x.safetensors', '/etc/cron.d/x', 'a/../../x', '..\\..\\x', 'a\0b', ''])(
  'a listing with the name %j',
  async (path) => {
    const listing = [...listed(good), entryOf(path, text('x'))];
    const { error, disk } = await refusedBy(good, listing);
    expect(error.code).toBe('hub/listing');
    expect(disk).toEqual([]);
  },
);

test('odd names that nobody wants do no harm', async () => {
  const odd = ['with: colon.png', 'nul', 'CONFIG.JSON', 'docs/con', 'trailing.'];
  await using server = await hubServer(good, {
    listing: [...odd.map((path) => entryOf(path, text('x'))), ...listed(good)],
  });
  await using place = await tempFolder();
  const settings = { endpoint: server.endpoint, cache: place.path, offline: false };
  await using _ = await resolveModel('org/small', { settings });
  expect((await everything(place.path)).join()).not.toMatch(/colon|CONFIG|docs/);
});

test.each([
  ['../../x', 'file/name'],
  ['/abs.safetensors', 'file/name'],
  ['C:\\x.safetensors', 'file/name'],
  ['a\0.safetensors', 'file/name'],
  ['nul.safetensors', 'file/name'],
  ['gone.safetensors', 'hub/missing-shards'],
])('an index that names %j', async (name, code) => {
  const index = JSON.stringify({ weight_map: { w: name, v: 'a.safetensors' } });
  const { error, disk } = await refusedBy({ ...sharded, [INDEX]: text(index) });
  expect(error.code).toBe(code);
  expect(disk).toEqual([]);
});

test('all missing shards are named', async () => {
  const { 'a.safetensors': _a, 'b.safetensors': _b, ...rest } = sharded;
  const { error } = await refusedBy(rest);
  expect(error.code).toBe('hub/missing-shards');
  expect(error.found).toContain('a.safetensors');
  expect(error.found).toContain('b.safetensors');
});

test('shards whose names differ in case only', async () => {
  const files = await shardedFiles(['Part.safetensors', 'part.safetensors']);
  const { error, disk } = await refusedBy(files);
  expect(error.code).toBe('file/name');
  expect(disk).toEqual([]);
});

test.each([
  ['no list', { error: 'x' }],
  ['a digest that is a path', [{ ...entryOf('config.json', text('x')), oid: '../../../x' }]],
  [
    'an LFS digest that is a path',
    [{ ...entryOf('config.json', text('x')), lfs: { oid: '../x', size: 1, pointerSize: 1 } }],
  ],
  ['a size that is none', [{ ...entryOf('config.json', text('x')), size: -1 }]],
  ['a file twice', [entryOf('config.json', text('x')), entryOf('config.json', text('y'))]],
  ['a name that is none', [{ ...entryOf('config.json', text('x')), path: 7 }]],
])('a listing that is %s', async (_, listing) => {
  const { error, disk } = await refusedBy(good, listing as Entry[]);
  expect(error.code).toMatch(/^hub\/listing$/);
  expect(disk).toEqual([]);
});

test.each([
  ['a path', '../../../../x'],
  ['a branch', 'main'],
  ['a number', 7],
  ['nothing', undefined],
])('a commit that is %s', async (_, sha) => {
  const { error, disk } = await refusedBy(good, undefined, (request, response) => {
    if (!request.url.includes('/revision/')) return false;
    json(response, { _id: '1', id: 'org/small', sha });
    return true;
  });
  expect(error.code).toBe('hub/listing');
  expect(disk).toEqual([]);
});

test.each(['<html>', '{"a":1,"a":2}', '[', '\u0000'])('an answer of %j', async (body) => {
  const { error } = await refusedBy(good, undefined, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    return true;
  });
  expect(error.code).toMatch(/^hub\//);
});

test('an answer without end is cut off', async () => {
  const { error } = await refusedBy(good, undefined, async (_, response) => {
    response.writeHead(200);
    const filler = ' '.repeat(1 << 20);
    for (let i = 0; i < 64 && !response.destroyed; i++) {
      if (!response.write(filler)) await new Promise((done) => setTimeout(done, 2));
    }
    response.end();
    return true;
  });
  expect(error.code).toBe('hub/listing');
});

test('a listing that goes on at another host does not take the token there', async () => {
  const seen: (string | undefined)[] = [];
  await using other = await hubServer({});
  other.intercept((request, response) => {
    seen.push(request.headers.authorization);
    json(response, []);
    return true;
  });
  await using server = await hubServer(good);
  server.intercept((request, response) => {
    if (!request.url.includes('/tree/')) return false;
    response.writeHead(200, { link: `<${other.endpoint}/more>; rel="next"` });
    response.end(JSON.stringify(listed(good)));
    return true;
  });
  await using place = await tempFolder();
  const { endpoint } = server;
  const settings = { endpoint, cache: place.path, offline: false, token: 'hf_secret' };
  await using _ = await resolveModel('org/small', { settings });
  expect(seen).toEqual([undefined]);
});

test('a pickle alone is refused with a way out', async () => {
  const { 'model.safetensors': _, ...rest } = good;
  const { error } = await refusedBy({ ...rest, 'pytorch_model.bin': text('x') });
  expect(error).toMatchObject({ code: 'hub/no-weights', found: '"pytorch_model.bin"' });
  const { 'config.json': __, ...none } = good;
  expect((await refusedBy(none)).error.code).toBe('hub/no-config');
});

test('links planted in the cache are not written through', async () => {
  const bait = async (cache: string) => {
    const outside = join(cache, '..', '..', '..', 'bait');
    await mkdir(join(cache, 'models--org--small', 'blobs'), { recursive: true });
    await mkdir(join(cache, 'models--org--small', 'snapshots'), { recursive: true });
    await writeFile(outside, 'kept');
    await symlink('/', join(cache, 'models--org--small', 'snapshots', 'a'.repeat(40)));
  };
  await using server = await hubServer(good);
  await using place = await tempFolder();
  const cache = join(place.path, 'deep', 'er', 'hub');
  await bait(cache);
  const settings = { endpoint: server.endpoint, cache, offline: false };
  const error = await resolveModel('org/small', { settings }).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'file/name' });
});
