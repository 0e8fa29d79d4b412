// Durable writing in Node: temporary name, write, flush to the disk, rename, flush the folder.
// Leaving any step out loses data: without the flush a crash leaves an empty file under the right
// name, with a shared temporary name two writers mix their bytes.
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AnyformerError } from '../tensor/error.js';
import { codeOf, diskFull, fileError, isDiskFull, onFile } from './node-errors.js';
import type { Chunks, WriteOptions, Written } from './platform.js';

// Temporary files and folders of this process, removed when it exits in the middle of a write.
const pending = new Set<string>();
let watching = false;

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.once('exit', () => {
    for (const path of pending) rmSync(path, { recursive: true, force: true });
  });
}

export function tempBeside(path: string, ending = 'tmp'): string {
  const target = resolve(path);
  // The name is cut so that the whole stays within the 255 bytes a name may have.
  const name = `.${[...basename(target)].slice(0, 40).join('')}.${process.pid}`;
  return join(dirname(target), `${name}-${randomBytes(8).toString('hex')}.${ending}`);
}

/** Gives `work` a temporary name beside `path`; whatever is left there afterwards is removed. */
export async function withTemp<T>(path: string, work: (temp: string) => Promise<T>): Promise<T> {
  const temp = tempBeside(path);
  watchExit();
  pending.add(temp);
  try {
    return await work(temp);
  } finally {
    await rm(temp, { recursive: true, force: true }).catch(() => undefined);
    pending.delete(temp);
  }
}

/** Makes the folders that `path` needs; when `work` fails, those that it made go again. */
export async function withParents<T>(path: string, work: () => Promise<T>): Promise<T> {
  const parent = dirname(resolve(path));
  const first = await makeParents(parent);
  try {
    const result = await work();
    if (first !== undefined) {
      for (let at = parent; at.length >= first.length; at = dirname(at)) {
        await flushFolder(dirname(at));
      }
    }
    return result;
  } catch (error) {
    if (first !== undefined) await removeEmpty(parent, first);
    throw error;
  }
}

async function makeParents(parent: string): Promise<string | undefined> {
  try {
    return await mkdir(parent, { recursive: true });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw fileError(error, parent);
    throw new AnyformerError('file/kind', {
      what: `${parent}: a file where a folder belongs`,
      hint: 'choose another folder',
      cause: error,
    });
  }
}

async function removeEmpty(from: string, to: string): Promise<void> {
  for (let at = from; at.length >= to.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return; // another writer put something there
    }
  }
}

export async function writeAtomic(
  path: string,
  chunks: Chunks,
  options: WriteOptions = {},
): Promise<Written> {
  options.signal?.throwIfAborted();
  return await withParents(path, () =>
    withTemp(path, async (temp) => {
      const mode = await stat(path).then(
        (facts) => facts.mode & 0o777,
        () => undefined,
      );
      const written = await writeFresh(temp, path, chunks, { ...options, mode });
      options.signal?.throwIfAborted();
      await onFile(path, () => renameInto(temp, path));
      await flushFolder(dirname(resolve(path)));
      return written;
    }),
  );
}

/**
 * Writes `chunks` to `file`, which must not exist, and flushes it. `path` is the name that errors
 * give: the one the caller asked for.
 */
export async function writeFresh(
  file: string,
  path: string,
  chunks: Chunks,
  options: WriteOptions & { mode?: number | undefined },
): Promise<Written> {
  const need = chunks instanceof Uint8Array ? chunks.length : options.bytes;
  const hash = createHash('sha256');
  let written = 0;
  try {
    const handle = await open(file, 'wx');
    try {
      if (options.mode !== undefined) await handle.chmod(options.mode);
      for await (const chunk of pieces(chunks)) {
        options.signal?.throwIfAborted();
        hash.update(chunk);
        await writeAll(handle, chunk);
        written += chunk.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isDiskFull(error)) throw await diskFull(error, path, { bytes: need, written });
    throw fileError(error, path);
  }
  if (need !== undefined && need !== written) {
    throw new AnyformerError('file/incomplete', {
      what: `${path}: the source gave another number of bytes than announced`,
      expected: `${need} bytes`,
      found: `${written} bytes`,
    });
  }
  return { bytes: written, sha256: hash.digest('hex') };
}

const pieceBytes = 1 << 24;

/** Large arrays in pieces, so that an abort is noticed between them. */
async function* pieces(chunks: Chunks): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks instanceof Uint8Array ? [chunks] : chunks) {
    if (chunk.length <= pieceBytes) yield chunk;
    else {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        yield chunk.subarray(at, at + pieceBytes);
      }
    }
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let done = 0;
  while (done < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done);
    done += bytesWritten;
  }
}

/** Renames; on Windows a scanner may hold the target open for a moment, so it tries again. */
export async function renameInto(from: string, to: string): Promise<void> {
  for (let round = 0; ; round++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const held = process.platform === 'win32' && ['EPERM', 'EBUSY', 'EACCES'];
      if (!held || round === 9 || !held.includes(codeOf(error) ?? '')) throw error;
      await new Promise((done) => setTimeout(done, 10 * 2 ** round));
    }
  }
}

/** Makes names in a folder durable. Windows has no such call, some network file systems neither. */
export async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await onFile(path, () => open(path, 'r'));
  try {
    await handle.sync();
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw fileError(error, path);
  } finally {
    await handle.close();
  }
}
