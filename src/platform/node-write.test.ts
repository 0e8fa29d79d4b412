import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tempBeside, writeAtomic } from './node.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-write-'));
});
afterAll(() => rm(folder, { recursive: true }));

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });
const text = (value: string) => new TextEncoder().encode(value);
const fresh = async () => mkdtemp(join(folder, 'case-'));

test('writes one array, many, or a stream, and says what it wrote', async () => {
  const place = await fresh();
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  async function* stream() {
    yield text('a');
    yield text('');
    yield text('bc');
  }
  for (const chunks of [text('abc'), [text('ab'), text('c')], stream()]) {
    expect(await writeAtomic(join(place, 'f'), chunks)).toEqual({ bytes: 3, sha256 });
    expect(await readFile(join(place, 'f'), 'utf8')).toBe('abc');
  }
  expect(await readdir(place)).toEqual(['f']);
});

test('makes missing folders, and takes them away again when the write fails', async () => {
  const place = await fresh();
  await writeAtomic(join(place, 'a', 'b', 'f'), text('x'));
  expect(await readFile(join(place, 'a', 'b', 'f'), 'utf8')).toBe('x');
  async function* failing() {
    yield text('x');
    throw new Error('source broke');
  }
  await expect(writeAtomic(join(place, 'c', 'd', 'f'), failing())).rejects.toThrow('source broke');
  expect(await readdir(place)).toEqual(['a']);
});

test('keeps the permissions of a file it replaces; replaces a link instead of following', async () => {
  const place = await fresh();
  const path = join(place, 'f');
  await writeAtomic(path, text('one'));
  await chmod(path, 0o600);
  await writeAtomic(path, text('two'));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await symlink(path, join(place, 'link'));
  await writeAtomic(join(place, 'link'), text('three'));
  expect(await readFile(path, 'utf8')).toBe('two');
  expect(await readFile(join(place, 'link'), 'utf8')).toBe('three');
});

test('names of 255 bytes leave room for the temporary name', async () => {
  const place = await fresh();
  for (const name of ['n'.repeat(255), 'é'.repeat(127), '🂡'.repeat(63)]) {
    await writeAtomic(join(place, name), text(name));
  }
  expect(await readdir(place)).toHaveLength(3);
  expect(tempBeside(join(place, 'f'))).not.toBe(tempBeside(join(place, 'f')));
});

test('50 writers of one path at once: one of them, whole, and nothing else left', async () => {
  const place = await fresh();
  const path = join(place, 'shared');
  const size = 200_000;
  const writers = Array.from({ length: 50 }, async (_, i) => {
    async function* slow() {
      for (let part = 0; part < 4; part++) {
        await new Promise((done) => setTimeout(done, Math.random() * 5));
        yield new Uint8Array(size / 4).fill(i);
      }
    }
    await writeAtomic(path, slow());
    const seen = await readFile(path);
    expect(seen.length).toBe(size);
    expect(seen.every((byte) => byte === seen[0])).toBe(true);
  });
  await Promise.all(writers);
  expect(await readdir(place)).toEqual(['shared']);
});

test('an abort leaves the old file and no temporary one', async () => {
  const place = await fresh();
  const path = join(place, 'f');
  await writeAtomic(path, text('old'));
  const stop = new AbortController();
  async function* endless() {
    for (let i = 0; ; i++) {
      if (i === 3) stop.abort(new Error('enough'));
      yield new Uint8Array(1000);
    }
  }
  await expect(writeAtomic(path, endless(), { signal: stop.signal })).rejects.toThrow('enough');
  const signal = AbortSignal.abort(new Error('before'));
  await expect(writeAtomic(path, text('new'), { signal })).rejects.toThrow('before');
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(place)).toEqual(['f']);
});

test('a folder in the way, a file as a folder: typed errors, nothing left', async () => {
  const place = await fresh();
  await mkdir(join(place, 'taken'));
  await expect(writeAtomic(join(place, 'taken'), text('x'))).rejects.toThrow(
    failsWith('file/kind'),
  );
  await writeAtomic(join(place, 'f'), text('x'));
  await expect(writeAtomic(join(place, 'f', 'x'), text('x'))).rejects.toThrow(
    failsWith('file/kind'),
  );
  expect(await readdir(place)).toEqual(['f', 'taken']);
});

test('a source that gives another number of bytes than announced', async () => {
  const place = await fresh();
  const path = join(place, 'f');
  await expect(writeAtomic(path, [text('ab')], { bytes: 3 })).rejects.toThrow(
    failsWith('file/incomplete'),
  );
  expect(await readdir(place)).toEqual([]);
});

test('a full disk, simulated: names the path and the bytes needed', async () => {
  const place = await fresh();
  async function* full() {
    yield new Uint8Array(10);
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  }
  const path = join(place, 'big');
  const failure = await writeAtomic(path, full(), { bytes: 4096 }).catch((error) => error);
  expect(failure).toEqual(failsWith('file/disk-full'));
  expect(failure.what).toContain(path);
  expect(failure.expected).toContain('4096 bytes');
  expect(failure.found).toMatch(/^10 bytes written .* \d+ bytes free/);
  expect(await readdir(place)).toEqual([]);
});

/** A 1 MB file system, where this user may mount one. */
async function tinyDisk(): Promise<string | undefined> {
  const place = await fresh();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place], { stdio: 'ignore' });
    return place;
  } catch {
    return undefined;
  }
}

test('a full disk, for real', async ({ skip }) => {
  const disk = await tinyDisk();
  if (disk === undefined) return skip('needs the right to mount a tmpfs');
  try {
    const path = join(disk, 'f');
    await writeAtomic(path, text('old'));
    await expect(writeAtomic(path, randomBytes(2 << 20))).rejects.toThrow(
      failsWith('file/disk-full'),
    );
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(disk)).toEqual(['f']);
  } finally {
    execFileSync('umount', [disk]);
  }
});

/** Compiles this folder for a plain Node process and starts `source` there, which imports it. */
async function start(place: string, source: string) {
  const bundle = join(place, 'platform.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'node.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile: bundle,
    logLevel: 'error',
  });
  return () => {
    const code = `import * as platform from ${JSON.stringify(bundle)};\n${source}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    const started = new Promise<void>((done) => child.stdout.once('data', () => done()));
    return { child, ended, started };
  };
}

test('kill -9 in the middle of a write: the old file or the new one, whole', async () => {
  const place = await fresh();
  const target = join(place, 'out', 'f');
  const size = 4 << 20;
  const run = await start(
    place,
    `for (let round = 0; ; round++) {
       const byte = 65 + (round % 26);
       const parts = Array.from({ length: 16 }, () => new Uint8Array(${size / 16}).fill(byte));
       await platform.writeAtomic(${JSON.stringify(target)}, parts);
       if (round === 0) console.log('started');
     }`,
  );
  let left = 0;
  for (let round = 0; round < 12; round++) {
    const { child, ended, started } = run();
    await started;
    await new Promise((done) => setTimeout(done, Math.random() * 40));
    child.kill('SIGKILL');
    await ended;
    const bytes = await readFile(target);
    expect(bytes.length).toBe(size);
    expect(bytes.equals(Buffer.alloc(size, bytes[0]))).toBe(true);
    left += (await readdir(join(place, 'out'))).filter((name) => name.endsWith('.tmp')).length;
  }
  // Proof that some kills did land inside a write.
  expect(left).toBeGreaterThan(0);
});

test('kill -9 while a folder is replaced: the old one or the new one, whole', async () => {
  const place = await fresh();
  const target = join(place, 'out', 'model');
  const names = ['config.json', 'a/weights.bin', 'b.bin'];
  const size = 1 << 18;
  const run = await start(
    place,
    `for (let round = 0; ; round++) {
       const chunks = new Uint8Array(${size}).fill(65 + (round % 26));
       const files = ${JSON.stringify(names)}.map((name) => ({ name, chunks }));
       const options = { overwrite: true, last: 'config.json' };
       await platform.writeFolder(${JSON.stringify(target)}, files, options);
       if (round === 0) console.log('started');
     }`,
  );
  for (let round = 0; round < 12; round++) {
    const { child, ended, started } = run();
    await started;
    await new Promise((done) => setTimeout(done, Math.random() * 30));
    child.kill('SIGKILL');
    await ended;
    // Between the two renames the old folder is beside the target, under its own name.
    const held = await readdir(join(place, 'out'));
    const aside = held.find((name) => name.endsWith('.old')) ?? '';
    const whole = join(place, 'out', held.includes('model') ? 'model' : aside);
    const bytes = await Promise.all(names.map((name) => readFile(join(whole, name))));
    const all = Buffer.concat(bytes);
    expect(all.length).toBe(size * names.length);
    expect(all.equals(Buffer.alloc(all.length, all[0]))).toBe(true);
    await rm(join(place, 'out'), { recursive: true });
  }
});

test('process.exit in the middle of a write leaves no temporary file', async () => {
  const place = await fresh();
  const target = join(place, 'out', 'f');
  const run = await start(
    place,
    `async function* endless() {
       for (let i = 0; ; i++) {
         if (i === 20) process.exit(7);
         yield new Uint8Array(1 << 16);
       }
     }
     await platform.writeAtomic(${JSON.stringify(target)}, endless());`,
  );
  expect(await run().ended).toBe(7);
  expect(await readdir(join(place, 'out'))).toEqual([]);
});
