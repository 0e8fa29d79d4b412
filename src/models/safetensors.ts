// Reading a safetensors file: the header at opening, tensors when asked for, each byte of data at most
// once. The file stays open, so that what was checked is what is read. Sets of files are next door
// (safetensors-index.ts), the rules in safetensors-header.ts and safetensors-rules.ts.
import type { OpenFile } from '#platform';
import { openFile } from '#platform';
import { type NDArray, ndarray } from '../tensor/array.js';
import { type DType, viewAs } from '../tensor/dtype.js';
import { AnyformerError, nearest } from '../tensor/error.js';
import { printable } from './json-strict.js';
import { headerLength, parseSafetensorsHeader } from './safetensors-header.js';
import type { SafetensorsEntry } from './safetensors-rules.js';
import { supportedTypes } from './safetensors-types.js';

export type SafetensorsFile = AsyncDisposable & {
  readonly path: string;
  /** By name, in the order of the data. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /** One range read; the array owns its buffer. */
  read(name: string): Promise<NDArray>;
  /** The bytes of a tensor of any type of the format. */
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** All tensors in the order of the data: one pass from the first byte to the last. */
  tensors(): AsyncGenerator<[name: string, array: NDArray]>;
  /** `tensors()` collected. */
  readAll(): Promise<Map<string, NDArray>>;
  close(): Promise<void>;
};

/** Tensors below this size are read together with their neighbours. */
const TOGETHER_BYTES = 1 << 20;

/**
 * Opens a safetensors file and checks its whole header. Errors: those of `parseSafetensorsHeader`
 * and of the platform's files; later `safetensors/no-tensor`, `safetensors/dtype` (a type of the
 * format that this library has no arrays for), `safetensors/value` (a BOOL byte other than 0 and 1).
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openFile(path);
  try {
    return fileOver(file, await readHeader(file));
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: OpenFile) {
  const start = await file.read(0, Math.min(file.bytes, 32));
  const header = new Uint8Array(8 + headerLength(start, file.bytes, file.path));
  header.set(start.subarray(0, header.length));
  if (header.length > start.length)
    await file.readInto(header.subarray(start.length), start.length);
  return parseSafetensorsHeader(header, file.bytes, file.path);
}

function fileOver(
  file: OpenFile,
  { entries, metadata }: ReturnType<typeof parseSafetensorsHeader>,
): SafetensorsFile {
  const { path } = file;

  async function* tensors(): AsyncGenerator<[string, NDArray]> {
    const names = [...entries.keys()];
    for (const name of names) typeOf(entries, name, path);
    for (const run of runsOf([...entries.values()])) {
      const first = entries.get(names[run.from]) as SafetensorsEntry;
      const bytes = await file.read(first.offset, run.bytes);
      for (let i = run.from; i < run.to; i++) {
        const { shape, offset, length, dtype } = typeOf(entries, names[i], path);
        // A copy of its own for each of several: a buffer may be handed over to a worker.
        const part =
          run.to - run.from === 1
            ? bytes
            : bytes.slice(offset - first.offset, offset - first.offset + length);
        yield [names[i], toArray(dtype, shape, part, names[i], path)];
      }
    }
  }

  return {
    path,
    entries,
    metadata,
    tensors,
    async read(name) {
      const { dtype, shape, offset, length } = typeOf(entries, name, path);
      return toArray(dtype, shape, await file.read(offset, length), name, path);
    },
    async readBytes(name) {
      const { offset, length } = entryOf(entries, name, path);
      return await file.read(offset, length);
    },
    async readAll() {
      const all = new Map<string, NDArray>();
      for await (const [name, array] of tensors()) all.set(name, array);
      return all;
    },
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Opens, reads everything in one pass, closes. */
export async function readSafetensors(
  path: string,
): Promise<{ tensors: Map<string, NDArray>; metadata: ReadonlyMap<string, string> }> {
  await using file = await openSafetensors(path);
  return { tensors: await file.readAll(), metadata: file.metadata };
}

/** The entry of a name. Errors: `safetensors/no-tensor`. */
export function entryOf<E extends SafetensorsEntry>(
  entries: ReadonlyMap<string, E>,
  name: string,
  file: string,
): E {
  const entry = entries.get(name);
  if (entry) return entry;
  throw new AnyformerError('safetensors/no-tensor', {
    what: `${file} has no tensor ${printable(name)}`,
    expected: 'a name in the file',
    found: printable(name),
    hint: suggestion(name, entries.keys()),
  });
}

/** The entry with an element type of ours, or the reason why it cannot be read. */
export function typeOf(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  name: string,
  file: string,
): SafetensorsEntry & { dtype: DType } {
  const entry = entryOf(entries, name, file);
  const { dtype } = entry;
  if (dtype === undefined) {
    throw new AnyformerError('safetensors/dtype', {
      what: `tensor ${printable(name)} of ${file} has an element type that cannot be read`,
      expected: supportedTypes(),
      found: printable(entry.stored),
      hint: 'convert the tensor to F32, F16 or BF16',
    });
  }
  return { ...entry, dtype };
}

/** "did you mean" for a missing tensor; edit distances only over a list of sane size. */
function suggestion(name: string, known: Iterable<string>): string | undefined {
  const names = [...known].filter((other) => other.length < 200);
  if (names.length === 0 || names.length > 5000 || name.length > 200) return undefined;
  return `nearest: ${nearest(name, names)
    .map((other) => printable(other))
    .join(', ')}`;
}

/** Neighbours cut into single reads: big tensors alone, small ones together up to the limit. */
function runsOf(entries: readonly SafetensorsEntry[]) {
  const runs: { from: number; to: number; bytes: number }[] = [];
  for (const [i, { length }] of entries.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && last.bytes + length <= TOGETHER_BYTES) {
      last.to = i + 1;
      last.bytes += length;
    } else runs.push({ from: i, to: i + 1, bytes: length });
  }
  return runs;
}

function toArray(
  dtype: DType,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  file: string,
): NDArray {
  const wrong = dtype === 'bool' ? bytes.find((byte) => byte > 1) : undefined;
  if (wrong !== undefined) {
    throw new AnyformerError('safetensors/value', {
      what: `tensor ${printable(name)} of ${file} is BOOL`,
      expected: 'bytes 0 and 1',
      found: `byte ${wrong}`,
    });
  }
  return ndarray(dtype, shape, viewAs(dtype, bytes));
}
