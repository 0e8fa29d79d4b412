// Models from a Hub on loopback: what lands in the cache, what is asked of the server, and what a server
// that drops, lies or sends elsewhere brings about.
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type HubOptions, type HubProgress, planHubModel } from '../src/models/hub.js';
import { remoteModel } from '../src/models/hub-inspect.js';
import { hubSettings } from '../src/models/hub-settings.js';
import { inspectModel } from '../src/models/inspect.js';
import { resolveModel } from '../src/models/resolve.js';
import { cli } from './support/cli.js';
import { everything, modelFiles, shardedFiles, tempFolder } from './support/hub-model.js';
import { type HubServer, hubServer, rangeOf, sendFile, sha256 } from './support/hub-server.js';
import { smallDecoder } from './support/small-models.js';

const WEIGHTS = 'model.safetensors';
const files = await modelFiles();
const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });

let server: HubServer;
let place: Awaited<ReturnType<typeof tempFolder>>;
let options: HubOptions;

async function serve(given = files, more: Parameters<typeof hubServer>[1] = {}) {
  server = await hubServer(given, more);
  place = await tempFolder();
  const settings = { endpoint: server.endpoint, cache: join(place.path, 'hub'), offline: false };
  options = { settings, patienceMs: 2000, pauseMs: 1 };
}

beforeEach(() => serve());
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const root = () => join(place.path, 'hub', 'models--org--small');
const load = async (name = 'org/small', more: HubOptions = {}) => {
  await using model = await resolveModel(name, { ...options, ...more });
  const first = [...model.weights.names()][0];
  return { name: model.name, array: await model.weights.read(first), tokenizer: model.tokenizer };
};

describe('the cache', () => {
  test('has the layout that all libraries of the Hub share', async () => {
    const { name, array, tokenizer } = await load();
    expect(name).toBe('org/small');
    expect(tokenizer).toBeDefined();
    const expected = smallDecoder();
    expect(array).toEqual(await expected.weights.read([...expected.weights.names()][0]));
    const { commit } = server;
    expect(await readFile(join(root(), 'refs', 'main'), 'utf8')).toBe(commit);
    const snapshot = join(root(), 'snapshots', commit);
    expect(await everything(snapshot)).toEqual(Object.keys(files).sort());
    const link = await readlink(join(snapshot, WEIGHTS));
    expect(link).toBe(join('..', '..', 'blobs', sha256(files[WEIGHTS])));
    expect((await everything(join(root(), 'blobs'))).length).toBe(Object.keys(files).length);
    expect(await everything(join(place.path, 'hub', '.locks'))).toEqual([]);
  });

  test('is used: a second load asks for the listing alone', async () => {
    await load();
    const before = server.seen.length;
    await load();
    expect(server.seen.slice(before).every(({ url }) => url.startsWith('/api/'))).toBe(true);
  });

  test('a folder of the cache loads by its path too, links and all', async () => {
    const sharded = await shardedFiles(['a.safetensors', 'sub/b.safetensors']);
    await server[Symbol.asyncDispose]();
    await serve(sharded);
    await load();
    const snapshot = join(root(), 'snapshots', server.commit);
    await using model = await resolveModel(snapshot);
    expect([...model.weights.names()].length).toBeGreaterThan(5);
  });

  test('offline: what is there loads, what is not is told, nothing is asked', async () => {
    await load('org/small@v1');
    const before = server.seen.length;
    const settings = { ...options.settings, offline: true };
    expect((await load('org/small@v1', { settings })).name).toBe('org/small@v1');
    await load(`org/small@${server.commit}`, { settings });
    await expect(load('org/small', { settings })).rejects.toThrow(failsWith('hub/offline'));
    await expect(load('org/other', { settings })).rejects.toThrow(failsWith('hub/offline'));
    expect(server.seen.length).toBe(before);
    await rm(join(root(), 'snapshots', server.commit, 'config.json'));
    await expect(load('org/small@v1', { settings })).rejects.toThrow(failsWith('hub/offline'));
  });

  test('a damaged blob of another size is fetched again', async () => {
    await load();
    const blob = join(root(), 'blobs', sha256(files[WEIGHTS]));
    await writeFile(blob, 'short');
    await load();
    expect(sha256(await readFile(blob))).toBe(sha256(files[WEIGHTS]));
  });
});

describe('revisions', () => {
  test('a tag and a commit are pinned; the commit is asked for its files', async () => {
    await load(`org/small@${server.commit}`);
    expect(await everything(root())).not.toContain('refs/main');
    await load('org/small@v1');
    expect(await everything(root())).toContain('refs/v1');
  });

  test.each(['org/small@nope', 'org/absent'])('%s is not there', async (name) => {
    await expect(load(name)).rejects.toThrow(failsWith('hub/not-found'));
    expect(await everything(place.path)).toEqual([]);
  });

  test.each(['org/small@../../x', 'org/small@', 'org/small@a//b', 'org/small@a b'])(
    '%s is no revision',
    async (name) => {
      await expect(load(name)).rejects.toThrow(failsWith('hub/reference'));
    },
  );
});

test('events, sizes and their sums', async () => {
  const events: HubProgress[] = [];
  const plan = await planHubModel({ name: 'org/small', revision: 'main' }, options);
  const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
  expect(plan).toMatchObject({ bytes, missingBytes: bytes });
  expect(server.asked(WEIGHTS)).toEqual([]);
  await load('org/small', { progress: (event) => events.push(event) });
  const weights = events.filter(({ file }) => file === WEIGHTS).map(({ status }) => status);
  expect(weights.slice(0, 2)).toEqual(['initiate', 'download']);
  expect(weights.at(-1)).toBe('done');
  expect(weights.slice(2, -1).every((status) => status === 'progress')).toBe(true);
  expect(events.at(-1)).toEqual({
    status: 'ready',
    name: 'org/small',
    loadedAll: bytes,
    totalAll: bytes,
  });
  expect(events.findLast(({ file }) => file !== undefined)?.file).toBe('config.json');
  const all = events.map(({ loadedAll }) => loadedAll);
  expect(all).toEqual([...all].sort((a, b) => a - b));
  const again = await planHubModel({ name: 'org/small', revision: 'main' }, options);
  expect(again.missingBytes).toBe(0);
});

describe('a server that', () => {
  test('drops the connection is asked for the rest only', async () => {
    let drops = 0;
    server.intercept((request, response, file) => {
      if (file?.path !== WEIGHTS || drops >= 7) return false;
      drops++;
      const [from, to] = rangeOf(request, file.bytes.length);
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': to - from,
        ...(from > 0 ? { 'content-range': `bytes ${from}-${to - 1}/${file.bytes.length}` } : {}),
      });
      response.write(file.bytes.subarray(from, from + 5000), () => response.destroy());
      return true;
    });
    await load();
    const starts = server.asked(WEIGHTS).map(({ range }) => Number(range?.slice(6, -1) ?? 0));
    expect(starts).toHaveLength(8);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts.at(-1)).toBeGreaterThan(20_000);
  });

  test('always drops at the same place is given up, and what came is kept', async () => {
    server.intercept((request, response, file) => {
      if (file?.path !== WEIGHTS) return false;
      const [from] = rangeOf(request, file.bytes.length);
      if (from >= 5000) return !!response.destroy();
      response.writeHead(200, { 'content-length': file.bytes.length });
      response.write(file.bytes.subarray(0, 5000), () => response.destroy());
      return true;
    });
    await expect(load()).rejects.toThrow(/hub|cannot be reached/);
    const names = await everything(root());
    expect(names.filter((name) => name.startsWith('snapshots')).join()).not.toContain(WEIGHTS);
    expect(names.join()).not.toContain('/config.json');
    server.intercept(() => false);
    await load();
    expect(server.asked(WEIGHTS).at(-1)?.range).toBe('bytes=5000-');
  });

  test.each([
    ['fewer bytes than listed', -100, 'file/incomplete'],
    ['more bytes than listed', 100, 'file/excess'],
  ])('sends %s', async (_, difference, code) => {
    server.intercept((_request, response, file) => {
      if (file?.path !== WEIGHTS) return false;
      const bytes = new Uint8Array(file.bytes.length + difference);
      bytes.set(file.bytes.subarray(0, bytes.length));
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      return true;
    });
    await expect(load()).rejects.toThrow(failsWith(code));
    expect((await everything(root())).join()).not.toContain(sha256(files[WEIGHTS]).concat(','));
    server.intercept(() => false);
    await load();
  });

  test('announces more than it sends, then closes', async () => {
    server.intercept((request, response, file) => {
      if (file?.path !== WEIGHTS || request.headers.range !== undefined) return false;
      response.writeHead(200, { 'content-length': file.bytes.length * 3 });
      response.write(file.bytes.subarray(0, 9000), () => response.destroy());
      return true;
    });
    await load();
  });

  test('changes a byte: refused by the digest, then fetched again from the start', async () => {
    for (const path of [WEIGHTS, 'config.json']) {
      server.intercept((request, response, file) => {
        if (file?.path !== path) return false;
        const bytes = Uint8Array.from(file.bytes);
        bytes[bytes.length - 1] ^= 1;
        sendFile(request, response, bytes);
        return true;
      });
      await expect(load()).rejects.toThrow(failsWith('file/digest'));
      expect((await everything(root())).join()).not.toContain('incomplete');
    }
    server.intercept(() => false);
    await load();
  });

  test('leaves a partial file of other bytes: seen by the digest, started again', async () => {
    const blobs = join(root(), 'blobs');
    await mkdir(blobs, { recursive: true });
    const partial = join(blobs, `${sha256(files[WEIGHTS])}.anyformer.incomplete`);
    await writeFile(partial, new Uint8Array(3000).fill(7));
    await load();
    expect(server.asked(WEIGHTS).map(({ range }) => range)).toEqual(['bytes=3000-', undefined]);
    await rm(join(blobs, sha256(files[WEIGHTS])));
    await writeFile(partial, new Uint8Array(files[WEIGHTS].length + 5));
    await load();
  });

  test('knows no ranges, or answers 416', async () => {
    for (const status of [200, 416]) {
      const blob = join(root(), 'blobs', sha256(files[WEIGHTS]));
      await mkdir(join(root(), 'blobs'), { recursive: true });
      await rm(blob, { force: true });
      await writeFile(`${blob}.anyformer.incomplete`, files[WEIGHTS].subarray(0, 2000));
      server.intercept((request, response, file) => {
        if (file?.path !== WEIGHTS || request.headers.range === undefined) return false;
        if (status === 416) response.writeHead(416).end();
        else response.writeHead(200, { 'content-length': file.bytes.length }).end(file.bytes);
        return true;
      });
      await load();
      expect(sha256(await readFile(blob))).toBe(sha256(files[WEIGHTS]));
    }
  });

  test('answers with another range than asked for', async () => {
    const blobs = join(root(), 'blobs');
    await mkdir(blobs, { recursive: true });
    await writeFile(
      join(blobs, `${sha256(files[WEIGHTS])}.anyformer.incomplete`),
      files[WEIGHTS].subarray(0, 2000),
    );
    server.intercept((_, response, file) => {
      if (file?.path !== WEIGHTS) return false;
      response.writeHead(206, { 'content-range': `bytes 10-99/100` }).end(new Uint8Array(90));
      return true;
    });
    await expect(load()).rejects.toThrow(failsWith('hub/range'));
  });

  test('is busy for a moment is asked again', async () => {
    let busy = 0;
    server.intercept((_, response) => {
      if (busy++ % 2 === 0) return !!response.writeHead(503).end();
      return false;
    });
    await load();
  });

  test('falls silent is given up after some time', async () => {
    server.intercept((_request, response, file) => {
      if (file?.path !== WEIGHTS) return false;
      response.writeHead(200, { 'content-length': file.bytes.length });
      response.write(file.bytes.subarray(0, 100));
      return true;
    });
    await expect(load('org/small', { patienceMs: 60 })).rejects.toThrow(failsWith('hub/dropped'));
  });

  test.each([
    [401, 'RepoNotFound', 'HF_TOKEN'],
    [403, 'GatedRepo', "accept the model's terms"],
  ])('answers %i %s', async (status, code, hint) => {
    server.intercept((_, response) => {
      response.writeHead(status, { 'x-error-code': code, 'x-error-message': 'no' }).end();
      return true;
    });
    const error = await load().catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'hub/denied' });
    expect(error.hint).toContain(hint);
    expect(server.seen).toHaveLength(1);
  });

  test('is not there', async () => {
    const settings = { ...options.settings, endpoint: 'http://127.0.0.1:1' };
    await expect(load('org/small', { settings })).rejects.toThrow(failsWith('hub/unreachable'));
  });

  test('redirects: the token stays with the endpoint', async () => {
    const elsewhere: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      elsewhere.push(request.headers.authorization);
      sendFile(request, response, files[WEIGHTS]);
    });
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    try {
      const { port } = other.address() as AddressInfo;
      server.intercept((request, response) => {
        if (!request.url.includes(WEIGHTS)) return false;
        // First to itself, under another address, then to another host.
        const again = request.url.includes('?again');
        const to = again ? `http://127.0.0.1:${port}/data` : `${request.url}?again`;
        response.writeHead(again ? 302 : 307, { location: to }).end();
        return true;
      });
      await load('org/small', { settings: { ...options.settings, token: 'hf_secret' } });
      expect(elsewhere).toEqual([undefined]);
      expect(new Set(server.seen.map(({ authorization }) => authorization))).toEqual(
        new Set(['Bearer hf_secret']),
      );
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  test.each([
    ['in a circle', (url: string) => url],
    ['to a file', () => 'file:///etc/passwd'],
    ['to no address', () => undefined],
  ])('redirects %s', async (_, to) => {
    server.intercept((request, response, file) => {
      if (!file) return false;
      const location = to(request.url);
      response.writeHead(302, location === undefined ? {} : { location }).end();
      return true;
    });
    await expect(load()).rejects.toThrow(failsWith('hub/redirect'));
  });
});

test('an abort ends a download, which goes on the next time', async () => {
  const stop = new AbortController();
  server.intercept((_request, response, file) => {
    if (file?.path !== WEIGHTS) return false;
    response.writeHead(200, { 'content-length': file.bytes.length });
    response.write(file.bytes.subarray(0, 4000));
    return true;
  });
  const progress = ({ file, loaded }: HubProgress) => {
    if (file === WEIGHTS && loaded === 4000) stop.abort(new Error('enough'));
  };
  await expect(load('org/small', { signal: stop.signal, progress })).rejects.toThrow('enough');
  expect(await everything(join(place.path, 'hub', '.locks'))).toEqual([]);
  server.intercept(() => false);
  await load();
  expect(server.asked(WEIGHTS).at(-1)?.range).toBe('bytes=4000-');
});

describe('inspect', () => {
  test('reads headers by range and no weights', async () => {
    const big = await shardedFiles(['one.safetensors', 'two.safetensors']);
    await server[Symbol.asyncDispose]();
    await serve(big);
    const reference = { name: 'org/small', revision: 'main' };
    const { model, plan } = await remoteModel(reference, options);
    expect(inspectModel(model)).toMatchObject({
      ...inspectModel(smallDecoder()),
      name: 'org/small',
    });
    expect(plan.files.map(({ path }) => path)).toContain('one.safetensors');
    await expect(model.weights.read([...model.weights.names()][0])).rejects.toThrow(
      failsWith('hub/types-only'),
    );
    expect(await everything(place.path)).toEqual([]);
    for (const { range } of server.asked('one.safetensors')) expect(range).toBeDefined();
  });

  test('of a server without ranges no more is read than the header', async () => {
    const weights = files[WEIGHTS];
    let sent = 0;
    server.intercept(async (_request, response, file) => {
      if (file?.path !== WEIGHTS) return false;
      response.writeHead(200, { 'content-length': weights.length + 10 ** 8 });
      response.write(weights);
      const filler = new Uint8Array(1 << 20);
      while (sent < 10 ** 8 && !response.destroyed) {
        sent += filler.length;
        if (!response.write(filler)) await new Promise((done) => setTimeout(done, 5));
      }
      return true;
    });
    await remoteModel({ name: 'org/small', revision: 'main' }, options);
    expect(sent).toBeLessThan(10 ** 8);
  });

  test('on the command line, by the environment', async () => {
    vi.stubEnv('HF_ENDPOINT', `${server.endpoint}/`);
    vi.stubEnv('HF_HOME', place.path);
    vi.stubEnv('HF_HUB_CACHE', '');
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    const { code, stdout } = await cli('inspect', 'org/small');
    expect(code).toBe(0);
    expect(stdout).toContain('not yet in the cache');
    const told = await cli('inspect', 'org/small', '--json');
    expect(JSON.parse(told.stdout).download).toMatchObject({ commit: server.commit, files: 4 });
    const out = await cli('generate', 'org/small', 'the', '--max-new-tokens', '2', '--json');
    expect(out.code).toBe(0);
    expect(out.stderr).toContain('fetching org/small from the Hub');
    vi.stubEnv('HF_HUB_OFFLINE', 'yes');
    expect((await cli('inspect', 'org/small')).code).toBe(0);
    expect((await cli('inspect', 'org/none')).stderr).toContain('hub/offline');
  });
});

test('settings follow the environment in the order of huggingface_hub', () => {
  const names = ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_HOME', 'XDG_CACHE_HOME'];
  for (const name of [...names, 'HF_ENDPOINT', 'HF_TOKEN', 'HF_HUB_OFFLINE']) vi.stubEnv(name, '');
  vi.stubEnv('HOME', '/home/someone');
  const cache = () => hubSettings().cache;
  expect(cache()).toBe('/home/someone/.cache/huggingface/hub');
  vi.stubEnv('XDG_CACHE_HOME', '/xdg');
  expect(cache()).toBe('/xdg/huggingface/hub');
  vi.stubEnv('HF_HOME', '~/hf');
  expect(cache()).toBe('/home/someone/hf/hub');
  vi.stubEnv('HUGGINGFACE_HUB_CACHE', '/old');
  expect(cache()).toBe('/old');
  vi.stubEnv('HF_HUB_CACHE', '/new');
  expect(cache()).toBe('/new');
  expect(hubSettings()).toMatchObject({ endpoint: 'https://huggingface.co', offline: false });
  vi.stubEnv('HF_HUB_OFFLINE', 'TRUE');
  vi.stubEnv('HF_TOKEN', ' hf_x\n');
  expect(hubSettings()).toMatchObject({ offline: true, token: 'hf_x' });
  vi.stubEnv('HF_ENDPOINT', 'ftp://x');
  expect(() => hubSettings()).toThrow(failsWith('hub/endpoint'));
});
