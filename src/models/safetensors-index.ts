// Sharded checkpoints: `model.safetensors.index.json` maps each tensor to one of several files. Names
// of files come from outside, so each goes through the platform's `safeName`.
import { exists, folderOf, safeName } from '#platform';
import type { NDArray } from '../tensor/array.js';
import { AnyformerError } from '../tensor/error.js';
import { readJsonFile } from './json-file.js';
import { isJsonObject, type JsonValue, printable } from './json-strict.js';
import { entryOf, openSafetensors, type SafetensorsFile } from './safetensors.js';
import { kindOf, type SafetensorsEntry } from './safetensors-rules.js';

export type ShardedSafetensors = AsyncDisposable & {
  readonly path: string;
  /** Each tensor's entry and the shard that holds it. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry & { file: SafetensorsFile }>;
  read(name: string): Promise<NDArray>;
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
};

const MAX_SHARDS = 10_000;
const MAX_INDEX_BYTES = 100_000_000;

/**
 * The `weight_map` of an index file: tensor to file name, as the file has it, not yet checked for
 * safety. Errors: `safetensors/index`.
 */
export function parseSafetensorsIndex(json: JsonValue, file: string): Map<string, string> {
  const wrong = (expected: string, found: string) =>
    new AnyformerError('safetensors/index', { what: `${file} is no index`, expected, found });
  const weights = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(weights)) throw wrong('an object "weight_map"', kindOf(weights));
  const map = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weights)) {
    if (typeof shard !== 'string') {
      throw wrong(`a file name for ${printable(tensor)}`, kindOf(shard));
    }
    map.set(tensor, shard);
  }
  if (map.size === 0) throw wrong('tensors in "weight_map"', 'none');
  const shards = new Set(map.values()).size;
  if (shards > MAX_SHARDS) throw wrong(`at most ${MAX_SHARDS} files`, `${shards}`);
  return map;
}

/**
 * Opens the index and every file it names, checks every header and that each tensor is where the
 * index says; what is missing is told all at once. Links may lead as far as `root`, the index's own
 * folder unless told. Errors: those of the above, of strict JSON under `safetensors/`, `file/name` for
 * a name that leaves the folder, `file/not-found`, `safetensors/no-tensor`.
 */
export async function openSharded(
  path: string,
  { root }: { root?: string | undefined } = {},
): Promise<ShardedSafetensors> {
  const json = await readJsonFile(path, { code: 'safetensors', maxBytes: MAX_INDEX_BYTES });
  const map = parseSafetensorsIndex(json, path);
  const paths = await shardPaths(path, new Set(map.values()), root);
  const files = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const file of files.values()) await file.close();
  };
  try {
    for (const [shard, shardPath] of paths) files.set(shard, await openSafetensors(shardPath));
    const entries = new Map<string, SafetensorsEntry & { file: SafetensorsFile }>();
    const missing: string[] = [];
    for (const [name, shard] of map) {
      const file = files.get(shard) as SafetensorsFile;
      const entry = file.entries.get(name);
      if (entry) entries.set(name, { ...entry, file });
      else missing.push(`${printable(name)} in ${printable(shard)}`);
    }
    if (missing.length > 0) {
      throw new AnyformerError('safetensors/no-tensor', {
        what: `${path} names ${missing.length} tensors that are not where it says: ${listed(missing)}`,
        expected: `all ${map.size} tensors of the index`,
        found: `${entries.size} of them`,
        hint: 'the index and the files are of different versions: fetch both again',
      });
    }
    const fileOf = (name: string) => entryOf(entries, name, path).file;
    return {
      path,
      entries,
      read: (name) => fileOf(name).read(name),
      readBytes: (name) => fileOf(name).readBytes(name),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Every name is checked, and every file looked for, before any is opened. */
async function shardPaths(
  index: string,
  shards: ReadonlySet<string>,
  root: string | undefined,
): Promise<Map<string, string>> {
  const folder = folderOf(index);
  const paths = new Map<string, string>();
  const missing: string[] = [];
  for (const shard of shards) {
    const path = await safeName(folder, shard, root === undefined ? {} : { root });
    if (await exists(path)) paths.set(shard, path);
    else missing.push(printable(shard));
  }
  if (missing.length === 0) return paths;
  throw new AnyformerError('file/not-found', {
    what: `${index} names ${shards.size} files, of which ${missing.length} are not there: ${listed(missing)}`,
    expected: `${shards.size} files beside the index`,
    found: `${paths.size} of them`,
    hint: 'fetch the missing files',
  });
}

const listed = (names: readonly string[]): string =>
  names.slice(0, 50).join(', ') + (names.length > 50 ? ` and ${names.length - 50} more` : '');
