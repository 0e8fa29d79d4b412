// What users get: the command from a clone, and the tarball installed into an empty folder.
// ANYFORMER_QUICK in the environment leaves the installation out.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository } from '../scripts/tree.mjs';

const run = promisify(execFile);
const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
const bin = join(repository, 'bin', 'anyformer');

describe('from the clone', () => {
  test('--version and --help', async () => {
    const version = await run(process.execPath, [bin, '--version']);
    expect(version.stdout.trim()).toBe(manifest.version);
    const help = await run(process.execPath, [bin, '--help']);
    expect(help.stdout).toContain('Usage: anyformer');
  });

  test('the file itself runs where the system knows its first line', async ({ skip }) => {
    if (process.platform === 'win32') return skip('Windows has no such lines');
    const { stdout } = await run(bin, ['--version'], { cwd: tmpdir() });
    expect(stdout.trim()).toBe(manifest.version);
  });

  test('wrong usage ends with a code other than 0, its message on standard error', async () => {
    const failure = await run(process.execPath, [bin, '--no-such-option']).catch((error) => error);
    expect(failure.code).toBe(2);
    expect(failure.stderr).toContain('--no-such-option');
    expect(failure.stdout).toBe('');
  });
});

describe.skipIf(process.env.ANYFORMER_QUICK)('from the tarball', () => {
  let place = '';
  let tarball = '';
  const npm = async (args: string[], cwd: string) =>
    await run('npm', args, {
      cwd,
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', NO_UPDATE_NOTIFIER: '1' },
      shell: process.platform === 'win32',
      maxBuffer: 1 << 26,
    });

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'anyformer-pack-'));
    await npm(['pack', '--pack-destination', place], repository);
    const [name] = (await readdir(place)).filter((file) => file.endsWith('.tgz'));
    tarball = join(place, name);
  }, 120_000);
  afterAll(() => rm(place, { recursive: true, force: true }));

  test('publint finds nothing to say', async () => {
    const content = await readFile(tarball);
    const buffer = content.buffer.slice(
      content.byteOffset,
      content.byteOffset + content.byteLength,
    ) as ArrayBuffer;
    const { messages } = await publint({
      pack: { tarball: buffer },
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  test('installs into an empty folder and runs', { timeout: 300_000 }, async () => {
    const folder = join(place, 'consumer');
    await mkdir(folder);
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
    await npm(['install', ...flags, tarball], folder);

    const installed = join(folder, 'node_modules', 'anyformer');
    const held = await readdir(installed, { recursive: true });
    expect(held).toContain('LICENSE');
    expect(held.filter((path) => /\.test\.|\.tsbuildinfo$|^src/.test(path))).toEqual([]);

    // By the name that npm links, from a folder that is not the package's.
    const path = join(folder, 'node_modules', '.bin') + delimiter + process.env.PATH;
    const options = {
      cwd: folder,
      env: { ...process.env, PATH: path },
      shell: process.platform === 'win32',
    };
    const version = await run('anyformer', ['--version'], options);
    expect(version.stdout.trim()).toBe(manifest.version);
    expect(version.stderr).toBe('');
    const help = await run('anyformer', ['--help'], options);
    expect(help.stdout).toContain('Usage: anyformer');
  });
});
