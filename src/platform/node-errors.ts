// System errors turned into the library's own, naming the path and what to do.
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AnyformerError } from '../tensor/error.js';

type SystemError = Error & { code?: string };

export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error as SystemError).code : undefined;

export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '');

const kinds: Record<string, { code: string; what: string; hint?: string }> = {
  ENOENT: { code: 'file/not-found', what: 'no such file or folder', hint: 'check the spelling' },
  EACCES: { code: 'file/denied', what: 'permission denied' },
  EPERM: { code: 'file/denied', what: 'permission denied' },
  EROFS: { code: 'file/denied', what: 'the file system is read-only' },
  EISDIR: { code: 'file/kind', what: 'a folder where a file belongs' },
  ENOTDIR: { code: 'file/kind', what: 'a file where a folder belongs' },
  EEXIST: { code: 'file/exists', what: 'already exists' },
  ENOTEMPTY: { code: 'file/exists', what: 'already exists and holds files' },
};

/** The error to throw for a failed system call on `path`; errors of other makes pass through. */
export function fileError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (error instanceof AnyformerError || !(error instanceof Error) || code === undefined) {
    return error;
  }
  if ((error as SystemError & { syscall?: string }).syscall === undefined) return error;
  const kind = kinds[code] ?? { code: 'file/io', what: `the system reports ${code}` };
  return new AnyformerError(kind.code, {
    what: `${path}: ${kind.what}`,
    hint: kind.hint,
    cause: error,
  });
}

/** Runs a file operation, its system errors turned into ours. */
export async function onFile<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw fileError(error, path);
  }
}

/** `file/disk-full`: how much was wanted, how much is free. */
export async function diskFull(
  error: unknown,
  path: string,
  need: { bytes?: number | undefined; written: number },
): Promise<AnyformerError> {
  const free = await statfs(dirname(path)).then(
    (facts) => facts.bavail * facts.bsize,
    () => undefined,
  );
  return new AnyformerError('file/disk-full', {
    what: `${path}: the disk is full, nothing was kept`,
    expected: need.bytes === undefined ? undefined : `room for ${need.bytes} bytes`,
    found:
      `${need.written} bytes written before it filled` +
      (free === undefined ? '' : `, ${free} bytes free now`),
    hint: 'free some space or write to another disk',
    cause: error,
  });
}
