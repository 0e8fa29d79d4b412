// Reads little-endian fields from bytes that may be cut off or hostile: every read is checked and
// says which part of the file it was after.
import { AnyformerError } from '../../tensor/index.js';

export type ByteCursor = {
  /** Bytes consumed so far. */
  readonly at: number;
  u8(part: string): number;
  i32(part: string): number;
  f32(part: string): number;
  /** UTF-8 text of so many bytes. */
  text(length: number, part: string): string;
  skip(length: number, part: string): void;
};

/** Errors: `file/truncated`, `file/text`. */
export function byteCursor(bytes: Uint8Array<ArrayBuffer>, file: string): ByteCursor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  const take = (length: number, part: string): number => {
    const left = bytes.byteLength - at;
    if (!(length >= 0 && length <= left)) {
      throw new AnyformerError('file/truncated', {
        what: `${file} ends inside ${part}`,
        expected: `${length} bytes from ${at} on`,
        found: `${left} bytes`,
        hint: 'fetch the file again',
      });
    }
    at += length;
    return at - length;
  };
  return {
    get at() {
      return at;
    },
    u8: (part) => view.getUint8(take(1, part)),
    i32: (part) => view.getInt32(take(4, part), true),
    f32: (part) => view.getFloat32(take(4, part), true),
    text(length, part) {
      const start = take(length, part);
      try {
        return utf8.decode(bytes.subarray(start, start + length));
      } catch (cause) {
        throw new AnyformerError('file/text', {
          what: `${file}: ${part} is not text`,
          expected: 'UTF-8',
          found: `other bytes from ${start} on`,
          cause,
        });
      }
    },
    skip: (length, part) => {
      take(length, part);
    },
  };
}
