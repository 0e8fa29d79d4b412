// Reading files in Node. Every read fills a buffer of its own (never Node's shared pool), so that
// callers may look at the bytes as numbers of any width without copying.
import { createHash } from 'node:crypto';
import { access, type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { AnyformerError } from '../tensor/error.js';
import { codeOf, onFile } from './node-errors.js';
import type { Bytes, Entry, OpenFile, ReadOptions, Written } from './platform.js';

const chunkBytes = 1 << 20;
// One system call reads less than 2 GiB.
const callBytes = 1 << 30;

export async function openFile(path: string): Promise<OpenFile> {
  const handle = await onFile(path, () => open(path, 'r'));
  try {
    const facts = await onFile(path, () => handle.stat());
    if (!facts.isFile()) {
      throw new AnyformerError('file/kind', {
        what: `${path}: not a file`,
        expected: 'a regular file',
        found: facts.isDirectory() ? 'a folder' : 'a device, pipe or socket',
      });
    }
    const close = () => handle.close();
    return {
      path,
      bytes: facts.size,
      close,
      [Symbol.asyncDispose]: close,
      readInto: (target, start) => fill(handle, path, target, start),
      async read(start, length) {
        checkRange(path, start, length, facts.size);
        const target = new Uint8Array(length);
        await fill(handle, path, target, start);
        return target;
      },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Before allocating: a lying length must not ask for memory that the file cannot fill. */
function checkRange(path: string, start: number, length: number, bytes: number): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || start < 0 || length < 0) {
    throw new AnyformerError('file/range', {
      what: `${path}: not a byte range`,
      expected: 'whole numbers from 0',
      found: `${length} bytes from ${start}`,
    });
  }
  if (start + length > bytes) throw truncated(path, start, length, bytes);
}

function truncated(path: string, start: number, length: number, bytes: number): AnyformerError {
  return new AnyformerError('file/truncated', {
    what: `${path}: the file ends too early`,
    expected: `${length} bytes from ${start}`,
    found: `a file of ${bytes} bytes`,
    hint: 'fetch or write the file again',
  });
}

async function fill(handle: FileHandle, path: string, target: Uint8Array, start: number) {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(target.length - done, callBytes);
    const { bytesRead } = await onFile(path, () => handle.read(target, done, length, start + done));
    if (bytesRead === 0) throw truncated(path, start, target.length, start + done);
    done += bytesRead;
  }
}

export async function readFile(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  signal?.throwIfAborted();
  await using file = await openFile(path);
  return await file.read(0, file.bytes);
}

export async function readRange(path: string, start: number, length: number): Promise<Bytes> {
  await using file = await openFile(path);
  return await file.read(start, length);
}

export async function* readChunks(path: string, options: ReadOptions = {}): AsyncGenerator<Bytes> {
  await using file = await openFile(path);
  const start = options.start ?? 0;
  const length = options.length ?? Math.max(0, file.bytes - start);
  checkRange(path, start, length, file.bytes);
  for (let at = start; at < start + length; at += chunkBytes) {
    options.signal?.throwIfAborted();
    yield await file.read(at, Math.min(chunkBytes, start + length - at));
  }
}

export async function hashFile(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Written> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of readChunks(path, options)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function fileBytes(path: string): Promise<number> {
  await using file = await openFile(path);
  return file.bytes;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    return await onFile(path, () => stat(path).then(() => true));
  }
}

export async function list(folder: string): Promise<Entry[]> {
  const found = await onFile(folder, () => readdir(folder, { withFileTypes: true }));
  const entries = found.map(async (entry): Promise<Entry> => {
    // A link counts as what it leads to: Hub caches are made of links.
    const facts = entry.isSymbolicLink()
      ? await stat(`${folder}/${entry.name}`).catch(() => entry)
      : entry;
    const kind = facts.isFile() ? 'file' : facts.isDirectory() ? 'folder' : 'other';
    return { name: entry.name, kind };
  });
  return (await Promise.all(entries)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function makeFolder(path: string): Promise<void> {
  await onFile(path, () => mkdir(path, { recursive: true }));
}

export async function remove(path: string): Promise<void> {
  await onFile(path, () => rm(path, { recursive: true, force: true, maxRetries: 3 }));
}
