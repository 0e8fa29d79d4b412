// A package's tarball through npm itself, so that the user's registry, proxy and credentials hold.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AnyformerError } from '../tensor/error.js';
import type { Bytes } from './platform.js';

const MOST_WORDS = 4000;

/** The bytes of the tarball that `npm pack` gives for NAME@VERSION: see `Platform.npmTarball`. */
export async function npmTarball(
  spec: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  signal?.throwIfAborted();
  if (!/^(@[a-z0-9-]+\/)?[a-z0-9][a-z0-9._-]*@\d+\.\d+\.\d+$/.test(spec)) {
    throw new AnyformerError('platform/npm', {
      what: 'not one version of an npm package',
      expected: 'NAME@VERSION',
      found: spec,
    });
  }
  const folder = await mkdtemp(join(tmpdir(), 'anyformer-npm-'));
  try {
    await pack(spec, folder, signal);
    const [file, ...others] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
    if (file === undefined || others.length > 0) throw failed(spec, 'npm gave no tarball');
    return new Uint8Array(await readFile(join(folder, file)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In the working folder, whose .npmrc counts too. */
function pack(spec: string, folder: string, signal: AbortSignal | undefined): Promise<void> {
  // npm is a batch file there, which only a shell runs.
  const shell = process.platform === 'win32';
  const place = shell ? `"${folder}"` : folder;
  const args = ['pack', spec, '--ignore-scripts', '--loglevel=error', '--pack-destination', place];
  return new Promise((done, fail) => {
    const child = spawn('npm', args, { shell, signal, stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-MOST_WORDS);
    });
    child.once('error', (cause) => {
      if (signal?.aborted) fail(signal.reason);
      else fail(failed(spec, `npm cannot be run (${cause.message})`, cause));
    });
    child.once('close', (code) => {
      if (code === 0) done();
      else fail(failed(spec, reasonIn(words) ?? `npm ended with ${code}`));
    });
  });
}

/** npm's first lines that say something: not its code, nor where its log lies. */
function reasonIn(words: string): string | undefined {
  const lines = words
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter(
      (line) => line !== '' && !/^(A complete log|npm warn|code |errno |syscall )/.test(line),
    );
  return lines[0]?.slice(0, 200);
}

const failed = (spec: string, found: string, cause?: unknown): AnyformerError =>
  new AnyformerError('platform/npm', {
    what: `npm cannot fetch ${spec}`,
    expected: 'a registry in reach that has it',
    found,
    cause,
  });
