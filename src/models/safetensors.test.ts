import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { bytesOf, fromNumbers, type NDArray, ndarray } from '../tensor/array.js';
import { type DType, dtypes, viewAs } from '../tensor/dtype.js';
import { AnyformerError } from '../tensor/error.js';
import { memoryStore } from './checkpoint.js';
import { openSafetensors, readSafetensors } from './safetensors.js';
import { parseSafetensorsHeader } from './safetensors-header.js';
import { encodeSafetensors, planSafetensors, writeSafetensors } from './safetensors-write.js';

const reads = vi.hoisted(() => [] as [start: number, length: number][]);
vi.mock('#platform', async (original) => {
  const real = await original<typeof import('#platform')>();
  return {
    ...real,
    openFile: async (path: string) => {
      const file = await real.openFile(path);
      return {
        ...file,
        read: (start: number, length: number) => {
          reads.push([start, length]);
          return file.read(start, length);
        },
        readInto: (target: Uint8Array, start: number) => {
          reads.push([start, target.length]);
          return file.readInto(target, start);
        },
      };
    },
  };
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const anyArray: fc.Arbitrary<NDArray> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(dtypes) as DType[])),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const bytes = shape.reduce((a, b) => a * b, 1) * dtypes[dtype].bytes;
    const max = dtype === 'bool' ? 1 : 255;
    return fc
      .array(fc.integer({ min: 0, max }), { minLength: bytes, maxLength: bytes })
      .map((values) => ndarray(dtype, shape, viewAs(dtype, Uint8Array.from(values))));
  });
const anyTensors = fc
  .uniqueArray(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), anyArray), {
    selector: ([name]) => name,
    maxLength: 8,
  })
  .filter((tensors) => tensors.every(([name]) => name !== '__metadata__'));
const anyMetadata = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }));

/** Bit for bit: NaN patterns count. */
function expectSame(a: NDArray | undefined, b: NDArray) {
  expect(a?.dtype).toBe(b.dtype);
  expect(a?.shape).toEqual(b.shape);
  expect(a !== undefined && Buffer.compare(bytesOf(a), bytesOf(b)) === 0).toBe(true);
}

describe('round trip', () => {
  test('what is written is read back bit for bit, aligned, in one pass', async () => {
    const path = join(folder, 'round.safetensors');
    await fc.assert(
      fc.asyncProperty(anyTensors, anyMetadata, async (tensors, metadata) => {
        const { chunks, bytes } = encodeSafetensors(tensors, Object.entries(metadata));
        const file = Buffer.concat([...chunks]);
        expect(file.length).toBe(bytes);
        await writeFile(path, file);
        const back = await readSafetensors(path);
        expect(back.tensors.size).toBe(tensors.length);
        for (const [name, array] of tensors) expectSame(back.tensors.get(name), array);
        expect(new Map(back.metadata)).toEqual(new Map(Object.entries(metadata)));
        const header = parseSafetensorsHeader(file, file.length);
        expect(header.dataStart % 8).toBe(0);
        for (const { offset, dtype } of header.entries.values()) {
          expect(offset % dtypes[dtype ?? 'u8'].bytes).toBe(0);
        }
        const again = encodeSafetensors(tensors, Object.entries(metadata));
        expect(Buffer.concat([...again.chunks]).equals(file)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('the bytes are those of the format', () => {
    const { chunks } = encodeSafetensors([['w', fromNumbers('f32', [2], [1, -2])]], [['k', 'v']]);
    const file = Buffer.concat([...chunks]);
    const json = '{"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    expect(file.readBigUInt64LE(0)).toBe(BigInt(Math.ceil(json.length / 8) * 8));
    expect(file.toString('latin1', 8, file.length - 8).trimEnd()).toBe(json);
    expect([file.readFloatLE(file.length - 8), file.readFloatLE(file.length - 4)]).toEqual([1, -2]);
  });
});

describe('lazy reading', () => {
  const tensors = [
    ['big', fromNumbers('f32', [600, 600], new Float32Array(360_000).fill(3))],
    ['small', fromNumbers('f32', [2], [1, 2])],
    ['bits', fromNumbers('u8', [3], [1, 2, 3])],
    ['large', fromNumbers('u8', [1_500_000], new Uint8Array(1_500_000).fill(7))],
  ] as const;

  test('opening reads the header, one tensor is one range, a pass reads each byte once', async () => {
    const path = join(folder, 'lazy.safetensors');
    const store = memoryStore(new Map<string, NDArray>(tensors));
    await writeSafetensors(path, { types: tensors, read: store.read });
    reads.length = 0;
    await using file = await openSafetensors(path);
    const entry = file.entries.get('bits');
    const dataStart = Math.min(...[...file.entries.values()].map(({ offset }) => offset));
    expectTiled(reads, 0, dataStart);
    reads.length = 0;
    expectSame(await file.read('bits'), tensors[2][1]);
    expect(reads).toEqual([[entry?.offset, 3]]);
    reads.length = 0;
    const all = await file.readAll();
    expectTiled(reads, dataStart, (await readFile(path)).length);
    for (const [name, array] of tensors) expectSame(all.get(name), array);
    // Each array owns its buffer, so it may be handed to a worker without taking others along.
    for (const { data } of all.values()) expect(data.buffer.byteLength).toBe(data.byteLength);
  });

  function expectTiled(ranges: readonly [number, number][], from: number, to: number) {
    let at = from;
    for (const [start, length] of ranges) {
      expect(start).toBe(at);
      at += length;
    }
    expect(at).toBe(to);
  }

  test('a missing tensor is named with its neighbours', async () => {
    await using file = await openSafetensors(join(folder, 'lazy.safetensors'));
    await expect(file.read('smal')).rejects.toMatchObject({
      code: 'safetensors/no-tensor',
      hint: expect.stringContaining('"small"'),
    });
  });
});

describe('writing', () => {
  const one = fromNumbers('f32', [1], [1]);

  test('names that cannot be written are refused', () => {
    for (const name of ['__metadata__', '\ud800']) {
      expect(() => planSafetensors([[name, one]])).toThrow(AnyformerError);
    }
    expect(() =>
      encodeSafetensors([
        ['w', one],
        ['w', one],
      ]),
    ).toThrow(/already used/);
  });

  test('data that differ from their announced type leave no file', async () => {
    const path = join(folder, 'liar.safetensors');
    const before = await readdir(folder);
    const types = [['w', { dtype: 'f32', shape: [2] }]] as const;
    await expect(writeSafetensors(path, { types, read: () => one })).rejects.toMatchObject({
      code: 'safetensors/size',
    });
    expect(await readdir(folder)).toEqual(before);
  });
});
