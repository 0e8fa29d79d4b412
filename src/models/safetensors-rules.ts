// The rules that one tensor of a safetensors header obeys, and the rule that all of them tile the data
// exactly: no gap to hide bytes in, no overlap to amplify a small file, nothing after the last one.
import type { DType } from '../tensor/dtype.js';
import { AnyformerError } from '../tensor/error.js';
import { isJsonObject, type JsonObject, type JsonValue, printable } from './json-strict.js';
import { storedTypes } from './safetensors-types.js';

export type SafetensorsEntry = {
  /** The element type, or undefined where this library has none for `stored`. */
  dtype: DType | undefined;
  /** The type's name in the file. */
  stored: string;
  shape: readonly number[];
  /** Bytes from the start of the file. */
  offset: number;
  length: number;
};

/** Where a header's tensors lie. */
export type Place = { file: string; dataStart: number; fileSize: number };

const MAX_DIMENSION = 2 ** 32;
const ENTRY_KEYS = ['dtype', 'shape', 'data_offsets'];

function fail(code: string, what: string, expected: string, found: string): never {
  throw new AnyformerError(`safetensors/${code}`, { what, expected, found });
}

/** A value from outside in a few words. */
export const kindOf = (value: JsonValue | undefined): string => {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  return printable(String(value));
};

export function jsonObject(value: JsonValue, what: string, file: string): JsonObject {
  if (!isJsonObject(value)) {
    return fail('entry', `${what} of ${file} has the wrong form`, 'an object', kindOf(value));
  }
  return value;
}

/** `__metadata__`: text to text, nothing else. */
export function checkMetadata(value: JsonValue, file: string): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(jsonObject(value, '__metadata__', file))) {
    if (typeof text !== 'string') {
      fail('metadata', `__metadata__ of ${file} holds more than text`, 'strings', kindOf(text));
    }
    metadata.set(key, text);
  }
  return metadata;
}

/** One tensor: its keys, its shape, its place in the file, and dtype x shape = bytes. */
export function checkEntry(name: string, value: JsonValue, place: Place): SafetensorsEntry {
  const what = () => `tensor ${printable(name)} of ${place.file}`;
  const entry = isJsonObject(value) ? value : fail('entry', what(), 'an object', kindOf(value));
  for (const key in entry) {
    if (ENTRY_KEYS.includes(key)) continue;
    fail('entry', `${what()} has an unknown key`, ENTRY_KEYS.join(', '), printable(key));
  }
  const { dtype: stored, shape, data_offsets: offsets } = entry;
  if (typeof stored !== 'string') {
    return fail('entry', `${what()} has no element type`, 'a string dtype', kindOf(stored));
  }
  if (!isIntegers(shape)) return failIntegers(`the shape of ${what()}`, shape);
  if (!isIntegers(offsets)) return failIntegers(`data_offsets of ${what()}`, offsets);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin > end) {
    const found = `[${offsets.slice(0, 4)}]`;
    fail('offsets', `data_offsets of ${what()}`, '[begin, end], begin <= end', found);
  }
  const elements = countElements(shape, what);
  const type = storedTypes.get(stored);
  // elements < 2^53 and bits <= 64: exact as BigInt, compared before anything becomes a length.
  if (type && BigInt(elements) * BigInt(type.bits) !== BigInt(end - begin) * 8n) {
    fail(
      'size',
      `the bytes of ${what()} do not fit its shape`,
      `${elements} elements of ${stored}, shape [${shape.join(', ')}]`,
      `${end - begin} bytes`,
    );
  }
  if (end > place.fileSize - place.dataStart) {
    fail(
      'truncated',
      `${what()} reaches beyond the end of the file`,
      `a file of at least ${place.dataStart + end} bytes`,
      `${place.fileSize} bytes`,
    );
  }
  const offset = place.dataStart + begin;
  return { dtype: type?.dtype, stored, shape, offset, length: end - begin };
}

// The parser has let no other numbers through than naturals below 2^53.
const isIntegers = (value: JsonValue | undefined): value is number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number');

function failIntegers(what: string, value: JsonValue | undefined): never {
  const wrong = Array.isArray(value) ? value.find((item) => typeof item !== 'number') : value;
  return fail('entry', what, 'an array of integers', kindOf(wrong));
}

/**
 * The product of the dimensions. Every factor is at most 2^32 and every partial product at most
 * 2^53 - 1, so float64 holds each one exactly or shows that it is too large; a later zero dimension
 * does not excuse an overflow before it.
 */
function countElements(shape: readonly number[], what: () => string): number {
  let elements = 1;
  for (const dimension of shape) {
    elements *= dimension;
    if (dimension > MAX_DIMENSION || elements > Number.MAX_SAFE_INTEGER) {
      fail(
        'shape',
        `the shape of ${what()} is too large`,
        'dimensions up to 2^32 and a product below 2^53',
        printable(`[${shape.join(', ')}]`),
      );
    }
  }
  return elements;
}

/** `tensors` sorted by offset: each begins where the one before ends, the last ends the file. */
export function checkTiling(
  tensors: readonly (readonly [string, SafetensorsEntry])[],
  { file, dataStart, fileSize }: Place,
): void {
  let end = dataStart;
  let last: string | undefined;
  const before = () => (last === undefined ? 'the header' : `tensor ${printable(last)}`);
  for (const [name, entry] of tensors) {
    if (entry.offset !== end) {
      const what = `tensor ${printable(name)} of ${file}`;
      const expected = `data_offsets begin at ${end - dataStart}, where ${before()} ends`;
      const found = `${entry.offset - dataStart}`;
      if (entry.offset < end) fail('overlap', `${what} overlaps ${before()}`, expected, found);
      fail('gap', `bytes between ${before()} and ${what}`, expected, found);
    }
    end = entry.offset + entry.length;
    last = name;
  }
  if (end === fileSize) return;
  fail('trailing', `${file} goes on after ${before()}`, `${end} bytes`, `${fileSize} bytes`);
}
