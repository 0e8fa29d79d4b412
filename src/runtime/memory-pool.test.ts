import { describe, expect, it } from 'vitest';
import { memoryPool } from './memory-pool.js';

const kilobytes = (n: number) => new Float32Array(n * 256);

describe('a memory pool', () => {
  it('hands out what it was given, in another type of the same size', () => {
    const pool = memoryPool(2 ** 20);
    const data = kilobytes(8);
    pool.give(data);
    const taken = pool.take('i64', [4, 256]);
    expect(taken.buffer).toBe(data.buffer);
    expect(taken).toBeInstanceOf(BigInt64Array);
    expect(pool.bytes).toBe(0);
    expect(pool.take('f32', [2048]).buffer).not.toBe(data.buffer);
  });

  it('never hands out one piece twice', () => {
    const pool = memoryPool(2 ** 20);
    const data = kilobytes(8);
    pool.give(data);
    pool.give(new Float32Array(data.buffer));
    expect(pool.take('f32', [2048]).buffer).toBe(data.buffer);
    expect(pool.take('f32', [2048]).buffer).not.toBe(data.buffer);
  });

  it('keeps neither parts of buffers, nor crumbs, nor more than its limit', () => {
    const pool = memoryPool(64 * 1024);
    pool.give(kilobytes(16).subarray(0, 2048));
    pool.give(kilobytes(1));
    pool.give(kilobytes(100));
    expect(pool.bytes).toBe(0);
    const pieces = Array.from({ length: 10 }, () => kilobytes(10));
    for (const piece of pieces) pool.give(piece);
    expect(pool.bytes).toBe(60 * 1024);
    // The oldest went first.
    expect(pool.take('f32', [2560]).buffer).toBe(pieces[4].buffer);
  });
});
