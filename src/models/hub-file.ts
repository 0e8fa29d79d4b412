// One file of a Hub model: a part of it into memory, or all of it into the cache. Downloads go on where
// they stopped, one writer at a time, and count only when their digest is right.
import { exists, fileBytes, withLock, writeResumable } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import type { HubFile, HubListing } from './hub-listing.js';
import { bodyOf, type HubAccess, request, retrying } from './hub-request.js';

const escaped = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** Where the Hub serves a file, at the commit of the listing. */
export const addressOf = (
  { reference, commit }: HubListing,
  { path }: HubFile,
  { endpoint }: HubAccess,
): string => `${endpoint}/${escaped(reference.name)}/resolve/${commit}/${escaped(path)}`;

/**
 * `length` bytes from `start`. Of a server that knows no ranges no more is read than is needed.
 * Errors: `hub/range`, `hub/dropped` and those of `request`.
 */
export async function readHubRange(
  address: string,
  start: number,
  length: number,
  access: HubAccess,
): Promise<Uint8Array<ArrayBuffer>> {
  if (length === 0) return new Uint8Array(0);
  const attempt = async () => {
    const out = new Uint8Array(length);
    const range = `bytes=${start}-${start + length - 1}`;
    const response = await request(address, access, { range });
    let skip = start - firstByte(response, start, address);
    let done = 0;
    for await (const chunk of bodyOf(response, access)) {
      const part = chunk.subarray(skip, skip + length - done);
      skip = Math.max(0, skip - chunk.length);
      out.set(part, done);
      done += part.length;
      if (done === length) return out;
    }
    throw new AnyformerError('hub/dropped', {
      what: `${address} ended too early`,
      expected: `${length} bytes from ${start}`,
      found: `${done} bytes`,
    });
  };
  return await retrying(attempt, access);
}

/** The place in the file of the answer's first byte: the one asked for, or 0. */
function firstByte({ status, headers }: Response, wanted: number, address: string): number {
  const [, first] = /^bytes (\d+)-/.exec(headers.get('content-range') ?? '') ?? [];
  if (status === 206 && Number(first) === wanted) return wanted;
  if (status === 200) return 0;
  throw new AnyformerError('hub/range', {
    what: `${address} gives another part than asked for`,
    expected: `bytes from ${wanted}`,
    found: `status ${status}, ${first === undefined ? 'no range' : `bytes from ${first}`}`,
  });
}

export type BlobPlace = {
  readonly address: string;
  /** The blob's path in the cache. */
  readonly blob: string;
  /** Its lock file. */
  readonly lock: string;
};

export const isThere = async (blob: string, { bytes }: HubFile): Promise<boolean> =>
  (await exists(blob)) && (await fileBytes(blob)) === bytes;

/**
 * Puts a file into the cache, if it is not there. Errors: `file/digest`, `file/excess`,
 * `file/incomplete`, `file/disk-full`, and those of `request`.
 */
export async function fetchBlob(
  file: HubFile,
  { address, blob, lock }: BlobPlace,
  access: HubAccess,
  progress?: (bytes: number) => void,
): Promise<void> {
  const { signal } = access;
  if (await isThere(blob, file)) return;
  const partial = `${blob}.anyformer.incomplete`;
  let here = 0;
  let most = 0;
  const source = {
    ...file,
    signal,
    from: (start: number) => openAt(address, start, access),
    progress: (bytes: number) => {
      here = bytes;
      progress?.(bytes);
    },
  };
  const progressed = () => {
    const moved = here > most;
    most = Math.max(most, here);
    return moved;
  };
  const whole = async () =>
    await retrying(() => writeResumable(blob, partial, source), access, progressed);
  const work = async () => {
    if (await isThere(blob, file)) return; // somebody else fetched it meanwhile
    const resumes = await exists(partial);
    try {
      await whole();
    } catch (error) {
      // What an earlier run left may be what is wrong.
      const damaged = error instanceof AnyformerError && error.code === 'file/digest';
      if (!damaged || !resumes) throw error;
      await whole();
    }
  };
  await withLock(lock, work, { signal });
}

async function openAt(address: string, start: number, access: HubAccess) {
  const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
  const response = await request(address, access, headers);
  if (response.status === 416 && start > 0) {
    await response.body?.cancel();
    return await openAt(address, 0, access);
  }
  const chunks = bodyOf(response, access);
  return { start: firstByte(response, start, address), chunks };
}
