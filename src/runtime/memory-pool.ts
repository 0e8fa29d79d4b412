// Memory that a run has finished with, kept for the next output of the same size. Fresh memory costs
// a page fault every 4 KiB, more than many kernels that fill it. Sizes repeat in loops; what is not
// asked for again is pushed out by what is.
import { type DType, dtypes, sizeOf, type TypedArray } from '../tensor/index.js';

export type MemoryPool = {
  /** Memory for a value of this type. Its contents are whatever was there before. */
  take(dtype: DType, shape: readonly number[]): TypedArray;
  /** Gives memory back; only whole buffers that nobody else reads. */
  give(data: TypedArray): void;
  readonly bytes: number;
};

/** Keeps at most `limit` bytes; buffers under 4 KiB are not worth keeping. */
export function memoryPool(limit: number): MemoryPool {
  // In order of arrival: the oldest go first.
  const free = new Set<ArrayBuffer>();
  let bytes = 0;
  const remove = (buffer: ArrayBuffer) => {
    free.delete(buffer);
    bytes -= buffer.byteLength;
  };
  return {
    take(dtype, shape) {
      const { array, bytes: size } = dtypes[dtype];
      const length = sizeOf(shape);
      for (const buffer of free) {
        if (buffer.byteLength === length * size) {
          remove(buffer);
          return new array(buffer, 0, length);
        }
      }
      return new array(length);
    },
    give({ buffer, byteLength }) {
      if (byteLength !== buffer.byteLength || byteLength < 4096 || byteLength > limit) return;
      if (free.has(buffer)) return;
      free.add(buffer);
      bytes += byteLength;
      for (const oldest of free) {
        if (bytes <= limit) break;
        remove(oldest);
      }
    },
    get bytes() {
      return bytes;
    },
  };
}
