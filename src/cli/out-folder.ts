// Refusing an output folder before the work instead of after it. The writer checks again; this is so
// that nobody waits three minutes for "the folder exists".
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { exists, list } from '#platform';
import { AnyformerError } from '../tensor/error.js';

/**
 * `manifest` is the file that a folder written by the same command holds: only such a folder is
 * replaced. Errors: `file/exists`, `file/protected`, `file/kind`, `file/denied`.
 */
export async function checkOutput(
  path: string,
  { overwrite, manifest }: { overwrite: boolean; manifest: string },
): Promise<void> {
  await checkWritable(path);
  if (!(await exists(path))) return;
  const names = (await list(path)).map(({ name }) => name);
  if (names.length === 0) return;
  const found = `${names.length} ${names.length === 1 ? 'entry' : 'entries'}: ${names.slice(0, 5).join(', ')}`;
  if (!overwrite) {
    throw new AnyformerError('file/exists', {
      what: `${path}: the output folder exists and is not empty`,
      expected: 'a new or an empty folder',
      found,
      hint: 'name another with --out, or replace this one with --overwrite',
    });
  }
  if (names.includes(manifest)) return;
  throw new AnyformerError('file/protected', {
    what: `${path}: will not replace a folder that was not written here`,
    expected: `a folder that holds ${manifest}`,
    found,
    hint: 'remove the folder yourself or name another with --out',
  });
}

async function checkWritable(path: string): Promise<void> {
  let at = dirname(resolve(path));
  while (!(await exists(at)) && dirname(at) !== at) at = dirname(at);
  try {
    await access(at, constants.W_OK);
  } catch (cause) {
    throw new AnyformerError('file/denied', {
      what: `${path} cannot be written: no right to write in ${at}`,
      expected: 'a folder that you may write in',
      hint: 'name another folder with --out',
      cause,
    });
  }
}
