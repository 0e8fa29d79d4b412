// Outside names on this disk: the rules of names.ts, then containment with every link followed.
import { lstat, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { AnyformerError } from '../tensor/error.js';
import { checkName } from './names.js';
import { codeOf, onFile } from './node-errors.js';

/** The path of an outside name inside `base`: see `Platform.safeName`. */
export async function safeName(
  base: string,
  name: string,
  { root = base }: { root?: string } = {},
): Promise<string> {
  const parts = checkName(name);
  const path = join(await realPlace(base), ...parts);
  const real = await realPlace(path);
  if (isInside(await realPlace(root), real)) return path;
  throw new AnyformerError('file/name', {
    what: `the file name ${JSON.stringify(name)} leads out of its folder`,
    expected: `a place inside ${root}`,
    found: real,
    hint: 'a link on the disk points there; remove it',
  });
}

function isInside(root: string, path: string): boolean {
  const steps = relative(root, path);
  return steps !== '' && steps !== '..' && !steps.startsWith(`..${sep}`) && !isAbsolute(steps);
}

/** Where `path` is, or would be if it were made, every link followed. */
async function realPlace(path: string): Promise<string> {
  const at = resolve(path);
  try {
    return await realpath(at);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return await onFile(at, () => Promise.reject(error));
  }
  // Writing through a link to nowhere makes a file where the link says.
  const facts = await lstat(at).catch(() => undefined);
  if (facts?.isSymbolicLink()) {
    throw new AnyformerError('file/name', {
      what: `${at}: a link to something that is not there`,
      hint: 'remove the link or restore what it points to',
    });
  }
  const parent = dirname(at);
  return parent === at ? at : join(await realPlace(parent), relative(parent, at));
}
