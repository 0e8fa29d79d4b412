// Weights that stay in files until a program is compiled: where a file really lies, so that the
// runtime can map it into memory, and reading it where that will not do.
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { readRange } from '#platform';
import { checkLocation } from '../onnx/location.js';
import { AnyformerError, type NDArray, ndarray, viewAs } from '../tensor/index.js';
import type { PlacedFile } from './compile.js';
import type { FileBytes } from './device.js';

export async function readFileBytes(file: FileBytes): Promise<NDArray> {
  const bytes = await readRange(file.path, file.offset, file.length);
  return ndarray(file.dtype, file.shape, viewAs(file.dtype, bytes));
}

/**
 * The file behind links, which the runtime refuses to follow; undefined where its name is one that
 * the runtime may not be given. `file/truncated` where it ends before the weights do: a mapping
 * would not notice until it is read.
 */
export async function placeFile({
  path,
  offset,
  length,
}: FileBytes): Promise<PlacedFile | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return undefined;
  const { dev, ino, size, mtimeMs } = await stat(real);
  if (offset + length > size) {
    throw new AnyformerError('file/truncated', {
      what: `${path} ends before the weights that it should hold`,
      expected: `at least ${offset + length} bytes`,
      found: `${size} bytes`,
    });
  }
  const name = basename(real);
  try {
    checkLocation(name, path);
  } catch {
    return undefined;
  }
  return { folder: dirname(real), name, stamp: `${dev}.${ino}.${size}.${mtimeMs}` };
}
