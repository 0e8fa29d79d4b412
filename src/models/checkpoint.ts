// Weights by name, wherever they are: in memory, in a file, in several, or some in one place and the
// rest in another. Reading is lazy; nothing here changes a weight, but that eight-bit floats come as
// f32 (float8.ts).
import { exists, joinPath } from '#platform';
import type { NDArray } from '../tensor/array.js';
import type { DType } from '../tensor/dtype.js';
import { AnyformerError, nearest } from '../tensor/error.js';
import {
  companionsOf,
  decodeFloat8,
  type Float8Options,
  isFloat8,
  plainFloat8,
  scaleOf,
} from './float8.js';
import { printable } from './json-strict.js';
import { openSafetensors, typeOf } from './safetensors.js';
import { openSharded } from './safetensors-index.js';
import type { SafetensorsEntry } from './safetensors-rules.js';

export interface WeightStore {
  names(): Iterable<string>;
  has(name: string): boolean;
  /** Known without reading the data. Errors: `checkpoint/no-tensor`, `safetensors/dtype`. */
  type(name: string): { dtype: DType; shape: readonly number[] };
  read(name: string): Promise<NDArray>;
  /** Where the bytes lie, for a runtime that maps them; undefined for weights in memory. */
  file?(name: string): { path: string; offset: number; length: number } | undefined;
}

/** A store that holds files open until it is closed. */
export type FileStore = WeightStore & AsyncDisposable & { close(): Promise<void> };

/** What a file store is made over: one safetensors file, or a set of them. */
export type Opened = {
  readonly path: string;
  readonly entries: ReadonlyMap<string, SafetensorsEntry & { file?: { readonly path: string } }>;
  read(name: string): Promise<NDArray>;
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
};

function missing(name: string, names: Iterable<string>): AnyformerError {
  const known = [...names];
  const close = known.length > 0 && known.length <= 5000 ? nearest(name, known) : [];
  return new AnyformerError('checkpoint/no-tensor', {
    what: `no tensor ${printable(name)} in the checkpoint`,
    expected: `one of its ${known.length} tensors`,
    found: printable(name),
    hint: close.length > 0 ? `nearest: ${close.map((n) => printable(n)).join(', ')}` : undefined,
  });
}

/** Weights in memory. The map is used as it is: later changes to it show. */
export function memoryStore(arrays: ReadonlyMap<string, NDArray>): WeightStore {
  const get = (name: string): NDArray => {
    const array = arrays.get(name);
    if (array === undefined) throw missing(name, arrays.keys());
    return array;
  };
  return {
    names: () => arrays.keys(),
    has: (name) => arrays.has(name),
    type: (name) => ({ dtype: get(name).dtype, shape: get(name).shape }),
    read: async (name) => get(name),
  };
}

/** Weights in an opened safetensors file, or in an opened set of them. */
export function fileStore(opened: Opened, float8: Float8Options = plainFloat8): FileStore {
  const { path, entries } = opened;
  const eight = [...entries].filter(([, entry]) => isFloat8(entry)).map(([name]) => name);
  const hidden = new Set(eight.flatMap(companionsOf));
  const has = (name: string) => entries.has(name) && !hidden.has(name);
  function* names(): Generator<string> {
    for (const name of entries.keys()) if (!hidden.has(name)) yield name;
  }
  const get = (name: string) => {
    const entry = entries.get(name);
    if (!entry || !has(name)) throw missing(name, names());
    return isFloat8(entry) ? { ...entry, dtype: 'f32' as const } : typeOf(entries, name, path);
  };
  const close = () => opened.close();
  return {
    names,
    has,
    type: (name) => ({ dtype: get(name).dtype, shape: get(name).shape }),
    read: async (name) => {
      const entry = get(name);
      if (!isFloat8(entry)) return await opened.read(name);
      const scale = scaleOf(name, (other) => entries.has(other));
      const factors = scale === undefined ? undefined : await opened.read(scale);
      return decodeFloat8(name, entry, await opened.readBytes(name), factors, float8);
    },
    file: (name) => {
      const entry = get(name);
      if (isFloat8(entry)) return undefined;
      const { offset, length } = entry;
      return { path: entries.get(name)?.file?.path ?? path, offset, length };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * `over` before `base`: a name in both comes from `over`. Names in `without` are taken away from
 * `base` (a pass that replaces `w` by `w.q` and `w.scale` takes `w` away). Closes nothing.
 */
export function layeredStore(
  over: WeightStore,
  base: WeightStore,
  without: ReadonlySet<string> = new Set(),
): WeightStore {
  const inBase = (name: string) => base.has(name) && !without.has(name);
  function* names(): Generator<string> {
    for (const name of base.names()) if (!without.has(name) || over.has(name)) yield name;
    for (const name of over.names()) if (!base.has(name)) yield name;
  }
  const holder = (name: string): WeightStore => {
    if (over.has(name)) return over;
    if (inBase(name)) return base;
    throw missing(name, names());
  };
  return {
    names,
    has: (name) => over.has(name) || inBase(name),
    type: (name) => holder(name).type(name),
    read: async (name) => await holder(name).read(name),
    file: (name) => holder(name).file?.(name),
  };
}

export type CheckpointOptions = {
  /** How eight-bit floats are scaled. */
  float8?: Float8Options | undefined;
  /** Links of shards may lead as far as this folder; the index's own unless told. */
  root?: string | undefined;
};

/**
 * Opens the weights at `path`: a `.safetensors` file, an `.index.json`, or a folder with
 * `model.safetensors` or `model.safetensors.index.json`. Errors: `checkpoint/no-weights` and those
 * of the two readers.
 */
export async function openCheckpoint(
  path: string,
  { float8, root }: CheckpointOptions = {},
): Promise<FileStore> {
  const one = async (file: string) => fileStore(await openSafetensors(file), float8);
  const many = async (file: string) => fileStore(await openSharded(file, { root }), float8);
  if (path.endsWith('.index.json')) return await many(path);
  // Other formats too: the reader names what the file is and the way out.
  if (/\.(safetensors|bin|pt|pth|ckpt|pkl|gguf|h5)$/i.test(path)) return await one(path);
  const single = joinPath(path, 'model.safetensors');
  if (await exists(single)) return await one(single);
  const index = joinPath(path, 'model.safetensors.index.json');
  if (await exists(index)) return await many(index);
  const pickle = await exists(joinPath(path, 'pytorch_model.bin'));
  throw new AnyformerError('checkpoint/no-weights', {
    what: `no weights in ${path}`,
    expected: 'model.safetensors or model.safetensors.index.json',
    found: pickle ? 'pytorch_model.bin, a pickle: it runs code when loaded' : 'neither',
    hint: pickle ? 'ask the author for model.safetensors' : 'give the folder of a model',
  });
}
