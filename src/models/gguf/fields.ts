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

  /** Room for so many bytes; where they begin. */
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
    view.setBigUint64(take(8), BigInt(encoded.length), true);
    buffer.set(encoded, take(encoded.length));
  };

  const fixed: Readonly<Record<string, (value: number | bigint) => void>> = {
    u8: (v) => view.setUint8(take(1), Number(v)),
    i8: (v) => view.setInt8(take(1), Number(v)),
    u16: (v) => view.setUint16(take(2), Number(v), true),
    i16: (v) => view.setInt16(take(2), Number(v), true),
    u32: (v) => view.setUint32(take(4), Number(v), true),
    i32: (v) => view.setInt32(take(4), Number(v), true),
    f32: (v) => view.setFloat32(take(4), Number(v), true),
    u64: (v) => view.setBigUint64(take(8), BigInt(v), true),
    i64: (v) => view.setBigInt64(take(8), BigInt(v), true),
    f64: (v) => view.setFloat64(take(8), Number(v), true),
  };

  const item = (type: ValueType, value: GgufValue['value'] | GgufValue): void => {
    if (type === 'string') text(String(value));
    else if (type === 'bool') view.setUint8(take(1), value === true ? 1 : 0);
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
