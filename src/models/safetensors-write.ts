// Writing safetensors: the same tensors and metadata always give the same bytes. Wider elements come
// first (stably), so that every tensor is aligned to its element; the header is padded with blanks so
// that the data start at a multiple of 8. Data stream out one tensor at a time.
import { type Written, writeAtomic } from '#platform';
import { bytesOf, type NDArray, sizeOf } from '../tensor/array.js';
import { type DType, dtypes } from '../tensor/dtype.js';
import { AnyformerError } from '../tensor/error.js';
import { printable } from './json-strict.js';
import { MAX_HEADER_BYTES } from './safetensors-header.js';
import { storedNames } from './safetensors-types.js';

export type TensorType = { dtype: DType; shape: readonly number[] };

export type SafetensorsPlan = {
  /** Length prefix, JSON and padding. */
  header: Uint8Array<ArrayBuffer>;
  /** The tensors in the order of the data. */
  order: readonly (readonly [name: string, type: TensorType])[];
  /** Size of the whole file. */
  bytes: number;
};

/**
 * The header for tensors known by type alone, so that their data need not be in memory. Errors:
 * `safetensors/name` (twice, reserved, or half a surrogate pair), `safetensors/shape`,
 * `safetensors/header-size`.
 */
export function planSafetensors(
  types: Iterable<readonly [name: string, type: TensorType]>,
  metadata: Iterable<readonly [key: string, value: string]> = [],
): SafetensorsPlan {
  const tensors = new Map<string, TensorType>();
  for (const [name, type] of types) {
    checkName(name, tensors.has(name));
    checkShape(name, type.shape);
    tensors.set(name, type);
  }
  const order = [...tensors].sort(([, a], [, b]) => dtypes[b.dtype].bytes - dtypes[a.dtype].bytes);
  // Written key by key: an object literal would move integer-like names to the front.
  const members: string[] = [];
  const notes = [...metadata];
  if (notes.length > 0) {
    const texts = notes.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    members.push(`"__metadata__":{${texts.join(',')}}`);
  }
  let at = 0;
  for (const [name, { dtype, shape }] of order) {
    const end = at + sizeOf(shape) * dtypes[dtype].bytes;
    const entry = { dtype: storedNames.get(dtype), shape, data_offsets: [at, end] };
    members.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    at = end;
  }
  const header = frame(`{${members.join(',')}}`);
  return { header, order, bytes: header.length + at };
}

/** The length prefix and the JSON, blanks after it up to a multiple of 8. */
function frame(json: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new AnyformerError('safetensors/header-size', {
      what: 'too many tensors or too much metadata for one file',
      expected: `a header of at most ${MAX_HEADER_BYTES} bytes`,
      found: `${length} bytes`,
    });
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}

function checkName(name: string, taken: boolean): void {
  const found = taken
    ? 'a name already used'
    : name === '__metadata__'
      ? 'a name that the format reserves'
      : /\p{Surrogate}/u.test(name)
        ? 'half of a surrogate pair'
        : undefined;
  if (found === undefined) return;
  const what = `tensor ${printable(name)} cannot be written`;
  throw new AnyformerError('safetensors/name', { what, expected: 'a unique name', found });
}

function checkShape(name: string, shape: readonly number[]): void {
  if (shape.every((d) => Number.isInteger(d) && d >= 0 && d <= 2 ** 32)) return;
  throw new AnyformerError('safetensors/shape', {
    what: `tensor ${printable(name)} cannot be written`,
    expected: 'whole dimensions from 0 to 2^32',
    found: `[${shape.join(', ')}]`,
  });
}

/** Header, data and size of a file that holds `tensors`; `chunks` are views, nothing is copied. */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, array: NDArray]>,
  metadata: Iterable<readonly [key: string, value: string]> = [],
): { header: Uint8Array<ArrayBuffer>; chunks: Iterable<Uint8Array<ArrayBuffer>>; bytes: number } {
  const arrays = new Map<string, NDArray>();
  const { header, order, bytes } = planSafetensors(recorded(tensors, arrays), metadata);
  function* chunks() {
    yield header;
    for (const [name, type] of order) yield dataOf(name, arrays.get(name), type);
  }
  return { header, chunks: { [Symbol.iterator]: chunks }, bytes };
}

/** Passes the pairs on and keeps them: names are checked by the reader, before they are kept. */
function* recorded(
  pairs: Iterable<readonly [string, NDArray]>,
  into: Map<string, NDArray>,
): Generator<readonly [string, NDArray]> {
  for (const pair of pairs) {
    yield pair;
    into.set(...pair);
  }
}

function dataOf(
  name: string,
  array: NDArray | undefined,
  type: TensorType,
): Uint8Array<ArrayBuffer> {
  const fits =
    array?.dtype === type.dtype &&
    array.data.length === sizeOf(type.shape) &&
    array.data.BYTES_PER_ELEMENT === dtypes[type.dtype].bytes;
  if (fits) return bytesOf(array);
  throw new AnyformerError('safetensors/size', {
    what: `the data of tensor ${printable(name)} do not fit its type`,
    expected: `${type.dtype} [${type.shape.join(', ')}]`,
    found: array === undefined ? 'nothing' : `${array.data.length} elements of ${array.dtype}`,
  });
}

/**
 * Writes a file whole or not at all, streamed, one tensor in memory at a time. `types` come first,
 * the data through `read` in file order. Errors: those of `planSafetensors`, of `read` and of the
 * platform; `safetensors/size` when `read` gives something else than announced.
 */
export async function writeSafetensors(
  path: string,
  source: {
    types: Iterable<readonly [name: string, type: TensorType]>;
    read: (name: string) => NDArray | Promise<NDArray>;
    metadata?: Iterable<readonly [key: string, value: string]>;
  },
  options: { signal?: AbortSignal } = {},
): Promise<Written> {
  const plan = planSafetensors(source.types, source.metadata);
  const { bytes } = plan;
  return await writeAtomic(path, chunksOf(plan, source.read), { ...options, bytes });
}

/** The chunks of a planned file, for `writeAtomic` or as one file of `writeFolder`. */
export async function* chunksOf(
  plan: SafetensorsPlan,
  read: (name: string) => NDArray | Promise<NDArray>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield plan.header;
  for (const [name, type] of plan.order) yield dataOf(name, await read(name), type);
}
