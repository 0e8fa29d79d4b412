// A folder written whole or not at all: built under a temporary name beside the target, every file
// and folder flushed, the manifest last, then renamed into place.
import { mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { AnyformerError } from '../tensor/error.js';
import { checkName } from './names.js';
import { codeOf, onFile } from './node-errors.js';
import {
  flushFolder,
  renameInto,
  tempBeside,
  withParents,
  withTemp,
  writeFresh,
} from './node-write.js';
import type { FolderFile, WriteFolderOptions, WrittenFile } from './platform.js';

export async function writeFolder(
  path: string,
  files: Iterable<FolderFile> | AsyncIterable<FolderFile>,
  options: WriteFolderOptions = {},
): Promise<WrittenFile[]> {
  options.signal?.throwIfAborted();
  // Behind a link to a folder, the folder is what is replaced.
  const target = await realpath(path).catch(() => resolve(path));
  await checkTarget(target, path, options);
  return await withParents(target, () =>
    withTemp(target, async (temp) => {
      await onFile(path, () => mkdir(temp));
      const written = await fillFolder(temp, target, files, options);
      options.signal?.throwIfAborted();
      await moveInto(temp, target, path, options);
      return written;
    }),
  );
}

/** Refuses before anything is written what the last step would refuse. */
async function checkTarget(target: string, path: string, options: WriteFolderOptions) {
  const held = await namesIn(target, path);
  if (held === undefined || held.length === 0) return;
  if (!options.overwrite) throw occupied(path, held);
  for (const place of [process.cwd(), homedir()]) {
    const real = await realpath(place).catch(() => place);
    if (real !== target && !real.startsWith(target.endsWith(sep) ? target : target + sep)) continue;
    throw new AnyformerError('file/protected', {
      what: `${path}: will not replace a folder that holds ${place}`,
      hint: 'name a folder of its own for the output',
    });
  }
  if (options.last !== undefined && !held.includes(checkName(options.last)[0])) {
    throw new AnyformerError('file/protected', {
      what: `${path}: will not replace a folder that was not written here`,
      expected: `a folder that holds ${options.last}`,
      found: held.slice(0, 5).join(', '),
      hint: 'remove the folder yourself or choose another name',
    });
  }
}

async function namesIn(target: string, path: string): Promise<string[] | undefined> {
  try {
    return await readdir(target);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    return await onFile(path, () => Promise.reject(error));
  }
}

const occupied = (path: string, held: string[]) =>
  new AnyformerError('file/exists', {
    what: `${path}: the folder exists and is not empty`,
    expected: 'a new or an empty folder',
    found: `${held.length} ${held.length === 1 ? 'entry' : 'entries'}: ${held.slice(0, 5).join(', ')}`,
    hint: 'choose another folder or ask for overwriting',
  });

async function fillFolder(
  temp: string,
  target: string,
  files: Iterable<FolderFile> | AsyncIterable<FolderFile>,
  { signal, last }: WriteFolderOptions,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  const names = new Set<string>();
  const folders = new Set<string>([temp]);

  const write = async (file: FolderFile) => {
    const parts = checkName(file.name);
    const place = join(temp, ...parts);
    for (let at = dirname(place); !folders.has(at); at = dirname(at)) folders.add(at);
    await onFile(join(target, ...parts), () => mkdir(dirname(place), { recursive: true }));
    const chunks = typeof file.chunks === 'function' ? file.chunks(written) : file.chunks;
    const named = join(target, ...parts);
    const facts = await writeFresh(place, named, chunks, { signal, bytes: file.bytes });
    written.push({ name: file.name, ...facts });
  };

  let manifest: FolderFile | undefined;
  for await (const file of files) {
    signal?.throwIfAborted();
    // Two names that differ in case only are one file on Windows and macOS.
    const key = checkName(file.name).join('/').normalize('NFC').toLowerCase();
    if (names.has(key)) {
      throw new AnyformerError('file/name', {
        what: `the file name ${JSON.stringify(file.name)} is given twice`,
        expected: 'names that differ in more than their case',
      });
    }
    names.add(key);
    if (file.name === last) manifest = file;
    else await write(file);
  }
  if (last !== undefined) {
    if (manifest === undefined) {
      throw new AnyformerError('file/manifest', {
        what: `${target}: the file to be written last was not among the files`,
        expected: last,
        found: written.map(({ name }) => name).join(', ') || 'no files',
      });
    }
    await write(manifest);
  }
  for (const folder of folders) await flushFolder(folder);
  return written;
}

async function moveInto(temp: string, target: string, path: string, options: WriteFolderOptions) {
  const parent = dirname(target);
  if (process.platform === 'win32') await rmEmpty(target);
  try {
    await renameInto(temp, target);
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'].includes(code)) {
      return await onFile(path, () => Promise.reject(error));
    }
    if (!options.overwrite) throw occupied(path, (await namesIn(target, path)) ?? []);
    await replace(temp, target, path);
  }
  await flushFolder(parent);
}

async function rmEmpty(target: string): Promise<void> {
  const held = await readdir(target).catch(() => undefined);
  if (held?.length === 0) await rm(target, { recursive: true });
}

/** The old folder steps aside, the new one takes its place; should that fail, the old one returns. */
async function replace(temp: string, target: string, path: string): Promise<void> {
  const aside = tempBeside(target, 'old');
  await onFile(path, () => renameInto(target, aside));
  try {
    await renameInto(temp, target);
  } catch (error) {
    await renameInto(aside, target).catch(() => undefined);
    return await onFile(path, () => Promise.reject(error));
  }
  await flushFolder(dirname(target));
  await onFile(aside, () => rm(aside, { recursive: true, force: true }));
}
