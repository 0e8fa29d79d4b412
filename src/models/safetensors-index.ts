// Sharded checkpoints: `model.safetensors.index.json` maps each tensor to one of several files. Names
// of files come from outside, so each goes through the platform's `safeName`.
import { folderOf, safeName } from '#platform';
import type { NDArray } from '../tensor/array.js';
import { AnyformerError } from '../tensor/error.js';
import { readJsonFile } from './json-file.js';
import { isJsonObject, type JsonValue, printable } from './json-strict.js';
import { openSafetensors, type SafetensorsFile, typeOf } from './safetensors.js';
import { kindOf, type SafetensorsEntry } from './safetensors-rules.js';

export type ShardedSafetensors = AsyncDisposable & {
  readonly path: string;
  /** Each tensor's entry and the shard that holds it. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry & { file: SafetensorsFile }>;
  read(name: string): Promise<NDArray>;
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
 * index says. Errors: those of the above, of strict JSON under `safetensors/`, `file/name` for a name that leaves the folder, `safetensors/no-tensor`.
 */
export async function openSharded(path: string): Promise<ShardedSafetensors> {
  const json = await readJsonFile(path, { code: 'safetensors', maxBytes: MAX_INDEX_BYTES });
  const map = parseSafetensorsIndex(json, path);
  const files = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const file of files.values()) await file.close();
  };
  try {
    // Every name is checked before any file is opened.
    const paths = new Map<string, string>();
    for (const shard of new Set(map.values())) {
      paths.set(shard, await safeName(folderOf(path), shard));
    }
    for (const [shard, shardPath] of paths) files.set(shard, await openSafetensors(shardPath));
    const entries = new Map<string, SafetensorsEntry & { file: SafetensorsFile }>();
    for (const [name, shard] of map) {
      const file = files.get(shard) as SafetensorsFile;
      const entry = file.entries.get(name);
      if (entry === undefined) {
        throw new AnyformerError('safetensors/no-tensor', {
          what: `${path} says that ${printable(name)} is in ${printable(shard)}`,
          expected: `that tensor in ${file.path}`,
          found: `${file.entries.size} other tensors`,
        });
      }
      entries.set(name, { ...entry, file });
    }
    return {
      path,
      entries,
      read: (name) => shardOf(entries, name, path).read(name),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function shardOf(
  entries: ShardedSafetensors['entries'],
  name: string,
  path: string,
): SafetensorsFile {
  typeOf(entries, name, path);
  return (entries.get(name) as { file: SafetensorsFile }).file;
}
