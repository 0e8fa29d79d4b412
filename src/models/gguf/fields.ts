// The fields of a GGUF header as bytes: little-endian numbers, strings with their length before them,
// arrays with the type and number of their items.
import type { GgufValue, ValueType } from './types.js';
import { valueTypes } from './types.js';

export type FieldWriter = {
  u32(value: number): void;
  u64(value: number | bigint): void;
  text(value: string): void;
  /** A value with its type before it. */
  value(value: GgufValue): void;
  /** What was written so far. */
  bytes(): Uint8Array<ArrayBuffer>;
};

const utf8 = new TextEncoder();

export function fieldWriter(): FieldWriter {
  let buffer = new Uint8Array(1 << 16);
  let view = new DataView(buffer.buffer);
  let at = 0;

  /**
   * Room for so many bytes; where they begin. The buffer may be another afterwards: it is named only
   * after the call.
   */
  const take = (count: number): number => {
    if (at + count > buffer.length) {
      const larger = new Uint8Array(Math.max(2 * buffer.length, at + count));
      larger.set(buffer.subarray(0, at));
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    at += count;
    return at - count;
  };

  const text = (value: string): void => {
    const encoded = utf8.encode(value);
    const place = take(8 + encoded.length);
    view.setBigUint64(place, BigInt(encoded.length), true);
    buffer.set(encoded, place + 8);
  };

  const number =
    (bytes: number, write: (at: number, value: number | bigint) => void) =>
    (value: number | bigint): void => {
      const place = take(bytes);
      write(place, value);
    };

  const fixed: Readonly<Record<string, (value: number | bigint) => void>> = {
    u8: number(1, (at, v) => view.setUint8(at, Number(v))),
    i8: number(1, (at, v) => view.setInt8(at, Number(v))),
    u16: number(2, (at, v) => view.setUint16(at, Number(v), true)),
    i16: number(2, (at, v) => view.setInt16(at, Number(v), true)),
    u32: number(4, (at, v) => view.setUint32(at, Number(v), true)),
    i32: number(4, (at, v) => view.setInt32(at, Number(v), true)),
    f32: number(4, (at, v) => view.setFloat32(at, Number(v), true)),
    u64: number(8, (at, v) => view.setBigUint64(at, BigInt(v), true)),
    i64: number(8, (at, v) => view.setBigInt64(at, BigInt(v), true)),
    f64: number(8, (at, v) => view.setFloat64(at, Number(v), true)),
  };

  const item = (type: ValueType, value: GgufValue['value'] | GgufValue): void => {
    if (type === 'string') text(String(value));
    else if (type === 'bool') fixed.u8(value === true ? 1 : 0);
    else if (type === 'array') body(value as GgufValue);
    else fixed[type](value as number);
  };

  const body = (value: GgufValue): void => {
    if (value.type !== 'array') {
      item(value.type, value.value);
      return;
    }
    fixed.u32(valueTypes.indexOf(value.of));
    fixed.u64(value.value.length);
    for (const one of value.value) item(value.of, one);
  };

  return {
    u32: (value) => fixed.u32(value),
    u64: (value) => fixed.u64(value),
    text,
    value: (value) => {
      fixed.u32(valueTypes.indexOf(value.type));
      body(value);
    },
    bytes: () => buffer.slice(0, at),
  };
}
