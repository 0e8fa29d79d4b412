// The platform in a page. A path is an address: files are fetched, also by range, and hashed with Web
// Crypto. A page has no disk of its own to list or write, and no view of the machine's memory: those
// calls fail with `platform/unsupported`.
import { AnyformerError } from '../tensor/error.js';
import { checkName } from './names.js';
import type {
  Bytes,
  Chunks,
  Entry,
  FolderFile,
  MachineFacts,
  OpenFile,
  ReadOptions,
  ResumableSource,
  WriteFolderOptions,
  WriteOptions,
  Written,
  WrittenFile,
} from './platform.js';

export { checkName } from './names.js';
export type {
  Bytes,
  Chunks,
  Entry,
  FolderFile,
  MachineFacts,
  OpenFile,
  Platform,
  ReadOptions,
  ResumableSource,
  WriteFolderOptions,
  WriteOptions,
  Written,
  WrittenFile,
} from './platform.js';

export const kind: 'node' | 'web' = 'web';

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    init.signal?.throwIfAborted();
    throw new AnyformerError('file/io', { what: `${path}: the request failed`, cause });
  }
  if (response.ok) return response;
  const { status } = response;
  const code =
    status === 404 || status === 410
      ? 'file/not-found'
      : status === 401 || status === 403
        ? 'file/denied'
        : 'file/io';
  throw new AnyformerError(code, { what: `${path}: the server answers ${status}` });
}

const truncated = (path: string, start: number, length: number, found: number) =>
  new AnyformerError('file/truncated', {
    what: `${path}: the file ends too early`,
    expected: `${length} bytes from ${start}`,
    found: `${found} bytes`,
  });

export async function readFile(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  const response = await request(path, { signal: signal ?? null });
  return new Uint8Array(await response.arrayBuffer());
}

export async function readRange(path: string, start: number, length: number): Promise<Bytes> {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || start < 0 || length < 0) {
    throw new AnyformerError('file/range', {
      what: `${path}: not a byte range`,
      expected: 'whole numbers from 0',
      found: `${length} bytes from ${start}`,
    });
  }
  if (length === 0) return new Uint8Array(0);
  const response = await request(path, {
    headers: { range: `bytes=${start}-${start + length - 1}` },
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A server that knows no ranges answers 200 with the whole file.
  const part = response.status === 206 ? bytes : bytes.slice(start, start + length);
  if (part.length !== length) throw truncated(path, start, length, part.length);
  return part;
}

export async function* readChunks(path: string, options: ReadOptions = {}): AsyncGenerator<Bytes> {
  const start = options.start ?? 0;
  const end = options.length === undefined ? Number.POSITIVE_INFINITY : start + options.length;
  const range = Number.isFinite(end)
    ? `bytes=${start}-${Math.max(start, end - 1)}`
    : `bytes=${start}-`;
  const response = await request(path, {
    signal: options.signal ?? null,
    ...(start > 0 || Number.isFinite(end) ? { headers: { range } } : {}),
  });
  let at = response.status === 206 ? start : 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done || value === undefined || at >= end) break;
      const from = Math.max(0, start - at);
      const to = Math.min(value.length, end - at);
      at += value.length;
      if (to > from) yield new Uint8Array(value.slice(from, to));
    }
    if (at < end && Number.isFinite(end)) throw truncated(path, start, end - start, at - start);
  } finally {
    await reader?.cancel();
  }
}

/** Reads by range; the size is asked for once. */
export async function openFile(path: string): Promise<OpenFile> {
  const bytes = await fileBytes(path);
  const close = async () => {};
  const read = async (start: number, length: number): Promise<Bytes> => {
    if (start + length > bytes) throw truncated(path, start, length, bytes);
    return await readRange(path, start, length);
  };
  return {
    path,
    bytes,
    read,
    readInto: async (target, start) => target.set(await read(start, target.length)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

export async function fileBytes(path: string): Promise<number> {
  const response = await request(path, { method: 'HEAD' });
  const length = response.headers.get('content-length');
  if (length !== null && response.headers.get('content-encoding') === null) return Number(length);
  return (await readFile(path)).length;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await request(path, { method: 'HEAD' });
    return true;
  } catch (error) {
    if (error instanceof AnyformerError && error.code === 'file/not-found') return false;
    throw error;
  }
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Web Crypto hashes no streams, so the file is in memory meanwhile. */
export async function hashFile(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Written> {
  const bytes = await readFile(path, options);
  return { bytes: bytes.length, sha256: await sha256(bytes) };
}

/** Parts are escaped, because an address would read `%2e%2e` as a step to the parent folder. */
export async function safeName(base: string, name: string): Promise<string> {
  return joinPath(base, ...checkName(name).map(encodeURIComponent));
}

export function joinPath(...parts: string[]): string {
  const joined = parts
    .filter((part) => part !== '')
    .map((part, i) => (i === 0 ? part : part.replace(/^\/+/, '')))
    .map((part, i, all) => (i === all.length - 1 ? part : part.replace(/\/+$/, '')))
    .join('/');
  return joined === '' ? '.' : joined;
}

export const baseName = (path: string): string => path.replace(/\/+$/, '').split('/').at(-1) ?? '';

export function folderOf(path: string): string {
  const end = path.replace(/\/+$/, '').lastIndexOf('/');
  return end < 0 ? '.' : end === 0 ? '/' : path.slice(0, end);
}

type Facts = Partial<Navigator> & { deviceMemory?: number };

// Some runtimes with web interfaces have no navigator.
const facts = (): Facts => globalThis.navigator ?? {};

export async function machine(): Promise<MachineFacts> {
  const { deviceMemory, userAgent } = facts();
  return {
    cpu: 'unknown',
    cores: parallelism(),
    parallelism: parallelism(),
    // The browser rounds to a power of two, in GiB, and says 8 at most.
    memoryBytes: (deviceMemory ?? 0) * 2 ** 30,
    load: [0, 0, 0],
    platform: 'web',
    runtime: userAgent ?? 'unknown',
  };
}

export const parallelism = (): number => facts().hardwareConcurrency || 1;

function unsupported(what: string): never {
  throw new AnyformerError('platform/unsupported', {
    what: `a page cannot ${what}`,
    hint: 'run this in Node',
  });
}

export const list = async (_folder: string): Promise<Entry[]> => unsupported('list a folder');
export const makeFolder = async (_path: string): Promise<void> => unsupported('make a folder');
export const remove = async (_path: string): Promise<void> => unsupported('remove a file');
export const tempBeside = (_path: string): string => unsupported('name a temporary file');
export const writeAtomic = async (
  _path: string,
  _chunks: Chunks,
  _options?: WriteOptions,
): Promise<Written> => unsupported('write a file');
export const writeFolder = async (
  _path: string,
  _files: Iterable<FolderFile> | AsyncIterable<FolderFile>,
  _options?: WriteFolderOptions,
): Promise<WrittenFile[]> => unsupported('write a folder');
export const writeResumable = async (
  _path: string,
  _partial: string,
  _source: ResumableSource,
): Promise<void> => unsupported('write a file');
export const withLock = async <T>(
  _path: string,
  _work: () => Promise<T>,
  _options?: { signal?: AbortSignal | undefined },
): Promise<T> => unsupported('lock a file');
export const linkInto = async (_target: string, _path: string): Promise<void> =>
  unsupported('link a file');
export const homeFolder = (): string => unsupported('name a home folder');
export const residentBytes = (): number => unsupported('read its memory use');
export const peakResidentBytes = (): number => unsupported('read its memory use');

export const packageFolder = (_name: string): string | undefined => undefined;
export const ownPath = (_name: string): string | undefined => undefined;
export const cacheFolders = (): readonly string[] => [];
export const npmTarball = async (
  _spec: string,
  _options?: { signal?: AbortSignal | undefined },
): Promise<Bytes> => unsupported('ask npm for a package');
export const environment = (_name: string): string | undefined => undefined;
