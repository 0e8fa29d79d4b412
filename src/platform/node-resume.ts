// A file that comes in several goes: what arrived stays under a name of its own, and gets the real
// name only when it is whole and its digest is the one announced. Where the bytes come from is the
// caller's business, and so is that one writer works at a time.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AnyformerError } from '../tensor/error.js';
import { diskFull, isDiskFull, onFile } from './node-errors.js';
import { flushFolder, renameInto } from './node-write.js';
import type { ResumableSource } from './platform.js';

const CHUNK = 1 << 20;

export async function writeResumable(
  path: string,
  partial: string,
  source: ResumableSource,
): Promise<void> {
  for (const place of [path, partial]) {
    await onFile(place, () => mkdir(dirname(resolve(place)), { recursive: true }));
  }
  // A link planted under the partial's name is not followed.
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const handle = await onFile(partial, () => open(partial, flags, 0o644));
  let keep = true;
  try {
    await fill(handle, path, source);
    await onFile(partial, () => handle.sync());
  } catch (error) {
    keep = !isDiskFull(error) && !(error instanceof AnyformerError && error.code === DIGEST);
    if (!isDiskFull(error)) throw error;
    const { size: written } = await handle.stat();
    throw await diskFull(error, path, { bytes: source.bytes, written });
  } finally {
    await handle.close();
    if (!keep) await rm(partial, { force: true });
  }
  await onFile(path, () => renameInto(partial, path));
  await flushFolder(dirname(resolve(path)));
}

const DIGEST = 'file/digest';

/** Git's digest of a file is that of its size and its bytes. */
const hashOf = ({ digest: { algorithm }, bytes }: ResumableSource) =>
  algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);

async function fill(handle: FileHandle, path: string, source: ResumableSource): Promise<void> {
  const { bytes, digest, signal, progress } = source;
  let hash = hashOf(source);
  let at = (await handle.stat()).size;
  const restart = async () => {
    await handle.truncate(0);
    hash = hashOf(source);
    at = 0;
  };
  if (at > bytes) await restart();
  const piece = new Uint8Array(Math.min(CHUNK, at));
  for (let read = 0; read < at; ) {
    signal?.throwIfAborted();
    const length = Math.min(CHUNK, at - read);
    const { bytesRead } = await handle.read(piece, 0, length, read);
    if (bytesRead === 0) throw incomplete(path, bytes, `${read} bytes`);
    hash.update(piece.subarray(0, bytesRead));
    read += bytesRead;
  }
  progress?.(at);
  if (at < bytes) {
    const { start, chunks } = await source.from(at);
    if (start !== at) await restart();
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      if (at + chunk.length > bytes) {
        await restart();
        throw incomplete(path, bytes, 'more', 'file/excess');
      }
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at + done);
        done += bytesWritten;
      }
      hash.update(chunk);
      at += chunk.length;
      progress?.(at);
    }
  }
  if (at < bytes) throw incomplete(path, bytes, `${at} bytes`);
  const found = hash.digest('hex');
  if (found === digest.hex) return;
  throw new AnyformerError(DIGEST, {
    what: `${path}: the bytes that came are not those announced; they were thrown away`,
    expected: `${digest.algorithm} ${digest.hex}`,
    found,
    hint: 'try again; if it stays so, the source or something on the way changes the file',
  });
}

const incomplete = (path: string, bytes: number, found: string, code = 'file/incomplete') =>
  new AnyformerError(code, {
    what: `${path}: the source gave another number of bytes than announced`,
    expected: `${bytes} bytes`,
    found,
  });
