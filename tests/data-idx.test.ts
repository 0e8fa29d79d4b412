// IDX files: what was written comes back, and no bytes do more than be refused.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIdx } from '../src/data/idx.js';
import { AnyformerError, toNumbers } from '../src/tensor/index.js';

const writers = {
  8: [1, 'setUint8'],
  9: [1, 'setInt8'],
  12: [4, 'setInt32'],
  13: [4, 'setFloat32'],
  14: [8, 'setFloat64'],
} as const;
type Type = keyof typeof writers;

function written(type: Type, shape: readonly number[], values: readonly number[]) {
  const [width, set] = writers[type];
  const bytes = new Uint8Array(4 + 4 * shape.length + width * values.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0, 0, type, shape.length]);
  shape.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  values.forEach((value, i) => {
    view[set](4 + 4 * shape.length + width * i, value);
  });
  return bytes;
}

const file = fc
  .record({
    type: fc.constantFrom<Type>(8, 9, 12, 13, 14),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ type, shape }) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const values = fc.array(fc.integer({ min: type === 8 ? 0 : -128, max: 127 }), {
      minLength: length,
      maxLength: length,
    });
    return values.map((numbers) => ({ type, shape, numbers }));
  });

describe('IDX', () => {
  it('gives back any array, plain or gzipped, wherever it lies in its buffer', async () => {
    await fc.assert(
      fc.asyncProperty(file, async ({ type, shape, numbers }) => {
        const bytes = written(type, shape, numbers);
        const shifted = new Uint8Array(bytes.length + 3).subarray(3);
        shifted.set(bytes);
        for (const given of [bytes, shifted, new Uint8Array(gzipSync(bytes))]) {
          const array = await parseIdx(given);
          expect(array.shape).toEqual(shape);
          expect([...toNumbers(array)]).toEqual(numbers);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('reads fractions in the byte order of the format', async () => {
    const array = await parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0));
    expect(toNumbers(array)[0]).toBe(1.5);
  });

  it('refuses every cut, and every byte too many', async () => {
    const bytes = written(8, [2, 3], [1, 2, 3, 4, 5, 6]);
    for (let length = 0; length < bytes.length; length++) {
      await expect(parseIdx(bytes.slice(0, length))).rejects.toMatchObject({ code: 'data/idx' });
    }
    await expect(parseIdx(Uint8Array.of(...bytes, 0))).rejects.toMatchObject({ code: 'data/idx' });
    const packed = new Uint8Array(gzipSync(bytes));
    for (const length of [3, 12, packed.length - 1]) {
      const cut = parseIdx(packed.slice(0, length));
      await expect(cut).rejects.toMatchObject({ code: 'data/gzip' });
    }
  });

  it('says which file holds another shape or type than wanted', async () => {
    const bytes = written(8, [2, 3], [1, 2, 3, 4, 5, 6]);
    expect((await parseIdx(bytes, { shape: [undefined, 3], dtype: 'u8' })).shape).toEqual([2, 3]);
    for (const options of [{ shape: [2, 4] }, { shape: [6] }, { dtype: 'f32' as const }]) {
      const read = parseIdx(bytes, { file: 'labels.idx', ...options });
      await expect(read).rejects.toThrow(/labels\.idx.*\n.*expected.*\n.*u8\[2, 3\]/);
    }
  });

  it('sizes whose product overflows are refused before memory is asked for', async () => {
    const bytes = Uint8Array.of(0, 0, 14, 8, ...Array(32).fill(0xff));
    await expect(parseIdx(bytes)).rejects.toMatchObject({ code: 'data/idx' });
    await expect(parseIdx(Uint8Array.of(0, 0, 8, 255, 1))).rejects.toMatchObject({
      code: 'data/idx',
    });
  });

  it('random and mutated bytes give an array or an error of ours', async () => {
    const mutated = fc
      .tuple(file, fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([{ type, shape, numbers }, changes]) => {
        const bytes = written(type, shape, numbers);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated);
    await fc.assert(
      fc.asyncProperty(bytes, async (given) => {
        try {
          const array = await parseIdx(new Uint8Array(given));
          expect(array.data.length).toBe(array.shape.reduce((a, b) => a * b, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(AnyformerError);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
