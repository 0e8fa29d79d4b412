// Reads the fields of a GGUF header from an open file, a window at a time. Whatever a field announces
// is compared with the bytes that are left before it is believed.
import type { OpenFile } from '#platform';
import { AnyformerError } from '../../tensor/index.js';
import { type ValueType, valueBytes } from './types.js';

export type HeaderCursor = {
  /** Bytes consumed so far. */
  readonly at: number;
  readonly fileBytes: number;
  u32(part: string): Promise<number>;
  /** A u64 that counts things of at least so many bytes each. */
  count(part: string, most: number, bytesEach: number): Promise<number>;
  text(part: string): Promise<string>;
  /** A value of any type but array. */
  scalar(
    type: Exclude<ValueType, 'array'>,
    part: string,
  ): Promise<number | bigint | boolean | string>;
};

const WINDOW = 1 << 20;

export function headerCursor(file: OpenFile): HeaderCursor {
  const { path, bytes: fileBytes } = file;
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let window = new Uint8Array(0);
  let view = new DataView(window.buffer);
  /** Where the window begins in the file. */
  let start = 0;
  let at = 0;

  /** Makes `length` bytes present and consumes them; their place in the window. */
  const take = async (length: number, part: string): Promise<number> => {
    if (length > fileBytes - at) {
      throw new AnyformerError('gguf/truncated', {
        what: `${path} ends inside ${part}`,
        expected: `${length} bytes from ${at} on`,
        found: `${fileBytes - at} bytes`,
        hint: 'fetch the file again',
      });
    }
    if (at + length > start + window.length) {
      window = await file.read(at, Math.min(fileBytes - at, Math.max(length, WINDOW)));
      view = new DataView(window.buffer, window.byteOffset, window.byteLength);
      start = at;
    }
    at += length;
    return at - length - start;
  };

  const u64 = async (part: string): Promise<bigint> => {
    const place = await take(8, part);
    return view.getBigUint64(place, true);
  };

  const count = async (part: string, most: number, bytesEach: number): Promise<number> => {
    const value = await u64(part);
    const room = Math.floor((fileBytes - at) / bytesEach);
    if (value <= BigInt(Math.min(most, room))) return Number(value);
    const tooMany = value > BigInt(most);
    throw new AnyformerError(tooMany ? 'gguf/limit' : 'gguf/truncated', {
      what: `${path}: ${part} is more than ${tooMany ? 'any sound file has' : 'the file can hold'}`,
      expected: `at most ${Math.min(most, room)}`,
      found: String(value),
    });
  };

  const text = async (part: string): Promise<string> => {
    const length = await count(`the length of ${part}`, Number.MAX_SAFE_INTEGER, 1);
    const place = await take(length, part);
    try {
      return utf8.decode(window.subarray(place, place + length));
    } catch (cause) {
      throw new AnyformerError('gguf/text', {
        what: `${path}: ${part} is not text`,
        expected: 'UTF-8',
        found: `other bytes from ${start + place} on`,
        cause,
      });
    }
  };

  const scalar: HeaderCursor['scalar'] = async (type, part) => {
    if (type === 'string') return await text(part);
    const place = await take(valueBytes[type] ?? 1, part);
    switch (type) {
      case 'u8':
        return view.getUint8(place);
      case 'i8':
        return view.getInt8(place);
      case 'u16':
        return view.getUint16(place, true);
      case 'i16':
        return view.getInt16(place, true);
      case 'u32':
        return view.getUint32(place, true);
      case 'i32':
        return view.getInt32(place, true);
      case 'f32':
        return view.getFloat32(place, true);
      case 'u64':
        return view.getBigUint64(place, true);
      case 'i64':
        return view.getBigInt64(place, true);
      case 'f64':
        return view.getFloat64(place, true);
      case 'bool':
        return checkBool(view.getUint8(place), part);
    }
  };

  const checkBool = (byte: number, part: string): boolean => {
    if (byte <= 1) return byte === 1;
    throw new AnyformerError('gguf/value', {
      what: `${path}: ${part} is no bool`,
      expected: '0 or 1',
      found: String(byte),
    });
  };

  return {
    get at() {
      return at;
    },
    fileBytes,
    u32: async (part) => {
      const place = await take(4, part);
      return view.getUint32(place, true);
    },
    count,
    text,
    scalar,
  };
}
