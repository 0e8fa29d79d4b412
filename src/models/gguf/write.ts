// Writing GGUF, version 3: header, metadata, table of tensors, data. The plan needs types only; data
// stream out, one tensor in memory at a time, encoded some rows at once. Shapes here are ours, rows
// first; the file has them columns first.
import { type Written, writeAtomic } from '#platform';
import { AnyformerError, castArray, type NDArray, sizeOf } from '../../tensor/index.js';
import { printable } from '../json-strict.js';
import { codecs } from './codecs.js';
import { fieldWriter } from './fields.js';
import {
  ALIGNMENT,
  type GgufMetadata,
  ggufBytes,
  ggufType,
  MAGIC,
  type WrittenType,
} from './types.js';

export type GgufTensor = {
  readonly name: string;
  readonly type: WrittenType;
  /** Up to 4 axes, rows first. */
  readonly shape: readonly number[];
};

export type GgufPlan = {
  /** Everything before the data, padded. */
  readonly header: Uint8Array<ArrayBuffer>;
  readonly tensors: readonly GgufTensor[];
  /** Size of the whole file. */
  readonly bytes: number;
};

/** llama.cpp's limit of a tensor's name, its closing zero included. */
const MAX_NAME = 64;

const padding = (bytes: number): number => (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;

/** Errors: `gguf/name`, `gguf/shape`. */
export function planGguf(metadata: GgufMetadata, tensors: readonly GgufTensor[]): GgufPlan {
  const fields = fieldWriter();
  fields.u32(new DataView(new TextEncoder().encode(MAGIC).buffer).getUint32(0, true));
  fields.u32(3);
  fields.u64(tensors.length);
  fields.u64(metadata.size);
  for (const [key, value] of metadata) {
    fields.text(key);
    fields.value(value);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    checkName(tensor.name, names);
    const bytes = bytesOfTensor(tensor);
    fields.text(tensor.name);
    fields.u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) fields.u64(size);
    fields.u32(ggufType(tensor.type).id);
    fields.u64(offset);
    offset += bytes + padding(bytes);
  }
  const written = fields.bytes();
  const header = new Uint8Array(written.length + padding(written.length));
  header.set(written);
  return { header, tensors, bytes: header.length + offset };
}

function checkName(name: string, names: Set<string>): void {
  const bytes = new TextEncoder().encode(name).length;
  const found = names.has(name)
    ? 'a name already used'
    : bytes === 0 || bytes >= MAX_NAME
      ? `${bytes} bytes`
      : undefined;
  names.add(name);
  if (found === undefined) return;
  throw new AnyformerError('gguf/name', {
    what: `tensor ${printable(name)} cannot be written`,
    expected: `a unique name of 1 to ${MAX_NAME - 1} bytes`,
    found,
  });
}

function bytesOfTensor({ name, type, shape }: GgufTensor): number {
  const { block } = ggufType(type);
  const sound = shape.length >= 1 && shape.length <= 4 && shape.every((d) => d >= 1);
  const bytes = sound ? ggufBytes(ggufType(type), shape) : undefined;
  if (bytes !== undefined) return bytes;
  throw new AnyformerError('gguf/shape', {
    what: `tensor ${printable(name)} cannot be written as ${type}`,
    expected: `1 to 4 axes, none empty, the last a multiple of ${block}`,
    found: `[${shape.join(', ')}]`,
  });
}

/** Elements encoded at once, rounded to whole rows. */
const SLICE_ELEMENTS = 1 << 20;

/**
 * The bytes of a planned file. `read` gives the tensors in the plan's order. Errors: `gguf/size` where
 * it gives something else than was announced, `gguf/value` for numbers that the type cannot hold.
 */
export async function* chunksOfGguf(
  { header, tensors }: GgufPlan,
  read: (name: string) => NDArray | Promise<NDArray>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield header;
  for (const tensor of tensors) {
    const array = await read(tensor.name);
    checkSize(tensor, array);
    const columns = tensor.shape[tensor.shape.length - 1];
    const step = Math.max(1, Math.floor(SLICE_ELEMENTS / columns)) * columns;
    const { encode } = codecs[tensor.type];
    let bytes = 0;
    for (let from = 0; from < array.data.length; from += step) {
      const values = slice(array, from, Math.min(array.data.length, from + step));
      checkValues(tensor, values);
      const encoded = encode(values);
      bytes += encoded.length;
      yield encoded;
    }
    if (padding(bytes) > 0) yield new Uint8Array(padding(bytes));
  }
}

/** Elements [from, to) as float32. */
function slice({ dtype, data }: NDArray, from: number, to: number): Float32Array {
  const part = { dtype, shape: [to - from], data: data.subarray(from, to) } as NDArray;
  return castArray(part, 'f32').data as Float32Array;
}

function checkSize({ name, shape }: GgufTensor, array: NDArray): void {
  if (array.data.length === sizeOf(shape)) return;
  throw new AnyformerError('gguf/size', {
    what: `the data of tensor ${printable(name)} do not fit its shape`,
    expected: `${sizeOf(shape)} elements, [${shape.join(', ')}]`,
    found: `${array.data.length} elements`,
  });
}

/** Largest magnitude that a type holds; more would become infinity without a word. */
const LARGEST: Partial<Record<WrittenType, number>> = {
  F16: 65504,
  Q8_0: 65504 * 127,
  Q4_0: 65504 * 8,
};

function checkValues({ name, type }: GgufTensor, values: Float32Array): void {
  const largest = LARGEST[type];
  if (largest === undefined) return;
  const wrong = values.find((x) => !(Math.abs(x) <= largest));
  if (wrong === undefined) return;
  throw new AnyformerError('gguf/value', {
    what: `tensor ${printable(name)} holds a number that ${type} cannot`,
    expected: `magnitudes up to ${largest}`,
    found: String(wrong),
    hint: 'write another type: F32 or BF16',
  });
}

/** Writes a file whole or not at all. Errors: those of the plan, of the data and of the platform. */
export async function writeGguf(
  path: string,
  source: {
    metadata: GgufMetadata;
    tensors: readonly GgufTensor[];
    read: (name: string) => NDArray | Promise<NDArray>;
  },
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Written> {
  const plan = planGguf(source.metadata, source.tensors);
  const { bytes } = plan;
  return await writeAtomic(path, chunksOfGguf(plan, source.read), { signal, bytes });
}
