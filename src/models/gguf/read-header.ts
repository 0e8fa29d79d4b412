// The header of a GGUF file: metadata and table of tensors, every length checked against the bytes that
// are there before anything is allocated for it. Little-endian files of versions 2 and 3.
import { AnyformerError } from '../../tensor/index.js';
import { printable } from '../json-strict.js';
import type { HeaderCursor } from './header-cursor.js';
import {
  ALIGNMENT,
  type GgufMetadata,
  type GgufType,
  type GgufValue,
  ggufBytes,
  ggufTypes,
  type ValueType,
  valueBytes,
  valueTypes,
} from './types.js';

export type GgufEntry = {
  readonly type: GgufType;
  /** Rows first. */
  readonly shape: readonly number[];
  /** Where its bytes lie in the file. */
  readonly offset: number;
  readonly bytes: number;
};

/** Most tensors, and metadata fields. */
const MOST_ITEMS = 1 << 20;
/** Most items of one array: vocabularies have a million at most. */
const MOST_VALUES = 1 << 24;
const MOST_DEPTH = 4;

/** Errors: the first nine of `openGguf`. */
export async function readHeader(cursor: HeaderCursor, path: string) {
  await checkStart(cursor, path);
  const version = await cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    const swapped = version > 0xffff;
    throw new AnyformerError('gguf/format', {
      what: `${path} is a GGUF file of another kind`,
      expected: 'version 2 or 3, little-endian',
      found: swapped ? 'a big-endian file' : `version ${version}`,
    });
  }
  const tensorCount = await cursor.count('the number of tensors', MOST_ITEMS, 24);
  const fieldCount = await cursor.count('the number of metadata fields', MOST_ITEMS, 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < fieldCount; i++) {
    const key = await cursor.text(`the key of metadata field ${i}`);
    if (metadata.has(key)) throw twice(path, 'metadata field', key);
    metadata.set(key, await readValue(cursor, key, path));
  }
  const alignment = alignmentOf(metadata, path);
  const table: { name: string; type: GgufType; shape: number[]; start: number; bytes: number }[] =
    [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const name = await cursor.text(`the name of tensor ${i}`);
    if (names.has(name)) throw twice(path, 'tensor', name);
    names.add(name);
    table.push({ name, ...(await readType(cursor, name, path, alignment)) });
  }
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, GgufEntry>();
  for (const { name, type, shape, start, bytes } of table) {
    const offset = dataStart + start;
    if (offset + bytes > cursor.fileBytes) {
      throw new AnyformerError('gguf/truncated', {
        what: `${path} ends inside tensor ${printable(name)}`,
        expected: `${bytes} bytes from ${offset} on`,
        found: `a file of ${cursor.fileBytes} bytes`,
        hint: 'fetch the file again',
      });
    }
    tensors.set(name, { type, shape, offset, bytes });
  }
  checkOverlaps(tensors, path);
  return { version, metadata, tensors };
}

async function checkStart(cursor: HeaderCursor, path: string): Promise<void> {
  const magic = cursor.fileBytes < 4 ? 0 : await cursor.u32('the first bytes');
  if (magic === 0x46554747) return;
  throw new AnyformerError('gguf/format', {
    what: `${path} is not a GGUF file`,
    expected: "'GGUF' as its first bytes",
    found: cursor.fileBytes < 4 ? `${cursor.fileBytes} bytes` : `0x${magic.toString(16)}`,
  });
}

async function readValue(cursor: HeaderCursor, key: string, path: string): Promise<GgufValue> {
  const part = `the value of ${printable(key)}`;
  const type = await valueType(cursor, part, path);
  return (await typedValue(cursor, type, part, path, 0)) as GgufValue;
}

async function valueType(cursor: HeaderCursor, part: string, path: string): Promise<ValueType> {
  const id = await cursor.u32(`the type of ${part}`);
  const type = valueTypes[id];
  if (type !== undefined) return type;
  throw new AnyformerError('gguf/value', {
    what: `${path}: ${part} has an unknown type`,
    expected: `0 to ${valueTypes.length - 1}`,
    found: String(id),
  });
}

async function typedValue(
  cursor: HeaderCursor,
  type: ValueType,
  part: string,
  path: string,
  depth: number,
): Promise<GgufValue> {
  if (type !== 'array') return { type, value: await cursor.scalar(type, part) };
  if (depth >= MOST_DEPTH) {
    throw new AnyformerError('gguf/limit', {
      what: `${path}: ${part} holds arrays inside arrays`,
      expected: `at most ${MOST_DEPTH} of them`,
      found: 'more',
    });
  }
  const of = await valueType(cursor, part, path);
  const least = of === 'string' ? 8 : of === 'array' ? 12 : (valueBytes[of] ?? 1);
  const count = await cursor.count(`the length of ${part}`, MOST_VALUES, least);
  const value: (number | bigint | boolean | string | GgufValue)[] = [];
  for (let i = 0; i < count; i++) {
    value.push(
      of === 'array'
        ? await typedValue(cursor, of, part, path, depth + 1)
        : await cursor.scalar(of, part),
    );
  }
  return { type: 'array', of, value };
}

function alignmentOf(metadata: GgufMetadata, path: string): number {
  const given = metadata.get('general.alignment');
  if (given === undefined) return ALIGNMENT;
  const value = given.type === 'u32' ? Number(given.value) : 0;
  if (value >= 8 && value <= 1 << 20 && value % 8 === 0) return value;
  throw new AnyformerError('gguf/value', {
    what: `${path}: general.alignment is not valid`,
    expected: 'a u32, a multiple of 8 up to 1048576',
    found: given.type === 'array' ? 'an array' : `${given.type} ${given.value}`,
  });
}

async function readType(cursor: HeaderCursor, name: string, path: string, alignment: number) {
  const part = `tensor ${printable(name)}`;
  const axes = await cursor.u32(`the axes of ${part}`);
  const shape: number[] = [];
  if (axes >= 1 && axes <= 4) {
    for (let i = 0; i < axes; i++) shape.unshift(Number(await cursor.scalar('u64', part)));
  }
  const elements = shape.reduce((a, b) => a * b, 1);
  if (shape.length === 0 || !(elements >= 1 && elements <= 2 ** 48)) {
    throw new AnyformerError('gguf/shape', {
      what: `${path}: ${part} has no sound shape`,
      expected: '1 to 4 axes, none of them empty',
      found: shape.length === 0 ? `${axes} axes` : `[${shape.join(', ')}]`,
    });
  }
  const id = await cursor.u32(`the type of ${part}`);
  const type = ggufTypes.get(id);
  if (type === undefined) {
    throw new AnyformerError('gguf/type', {
      what: `${path}: ${part} has an element type that is not known`,
      expected: [...ggufTypes.values()].map((t) => t.name).join(', '),
      found: `type ${id}`,
    });
  }
  const bytes = ggufBytes(type, shape);
  if (bytes === undefined) {
    throw new AnyformerError('gguf/shape', {
      what: `${path}: the rows of ${part} are no whole blocks of ${type.name}`,
      expected: `rows of a multiple of ${type.block}`,
      found: `[${shape.join(', ')}]`,
    });
  }
  const start = Number(await cursor.scalar('u64', part));
  if (start % alignment !== 0 || start > cursor.fileBytes) {
    throw new AnyformerError('gguf/offset', {
      what: `${path}: ${part} does not lie where a tensor may`,
      expected: `a multiple of ${alignment} inside the file of ${cursor.fileBytes} bytes`,
      found: String(start),
    });
  }
  return { type, shape, start, bytes };
}

function checkOverlaps(tensors: ReadonlyMap<string, GgufEntry>, path: string): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.offset - b.offset);
  sorted.forEach(([name, entry], i) => {
    const [nextName, next] = sorted[i + 1] ?? [];
    if (!next || entry.offset + entry.bytes <= next.offset) return;
    throw new AnyformerError('gguf/offset', {
      what: `${path}: tensors ${printable(name)} and ${printable(nextName ?? '')} overlap`,
      expected: 'bytes of their own for each tensor',
      found: `${entry.offset} + ${entry.bytes} > ${next.offset}`,
    });
  });
}

const twice = (path: string, kind: string, name: string): AnyformerError =>
  new AnyformerError('gguf/duplicate', {
    what: `${path}: the ${kind} ${printable(name)} is there twice`,
    expected: 'unique names',
    found: 'two of them',
  });
