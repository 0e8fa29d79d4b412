// Eight-bit floats against the f16 that E5M2 is the upper half of, and the table of E4M3's paper; scales
// of every form; checkpoints that have them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromNumbers, toNumbers } from '../tensor/array.js';
import { fromHalf } from '../tensor/dtype.js';
import { openCheckpoint } from './checkpoint.js';
import { decodeFloat8, float8Config, plainFloat8 } from './float8.js';
import type { SafetensorsEntry } from './safetensors-rules.js';

const failsWith = (code: string) => expect.objectContaining({ name: 'AnyformerError', code });
const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
const entry = (stored: string, shape: number[]): SafetensorsEntry => ({
  stored,
  shape,
  dtype: undefined,
  offset: 0,
  length: shape.reduce((a, b) => a * b, 1),
});
const values = (stored: string) =>
  toNumbers(decodeFloat8('w', entry(stored, [256]), bytes, undefined, plainFloat8));

test('E5M2 is the upper byte of f16', () => {
  expect([...values('F8_E5M2')]).toEqual([...bytes].map((byte) => fromHalf(byte << 8)));
});

test('E4M3: its largest, its smallest, its NaN, and no infinity', () => {
  const all = values('F8_E4M3');
  const known = { 0: 0, 1: 2 ** -9, 7: 7 * 2 ** -9, 8: 2 ** -6, 56: 1, 126: 448 };
  for (const [byte, value] of Object.entries(known)) {
    expect(all[Number(byte)]).toBe(value);
    expect(all[Number(byte) | 0x80]).toBe(-value);
  }
  expect([0x7f, 0xff].every((byte) => Number.isNaN(all[byte]))).toBe(true);
  expect(all.some((value) => Math.abs(value) === Number.POSITIVE_INFINITY)).toBe(false);
  // Every number once, in order.
  const positive = [...all.slice(0, 0x7f)];
  expect(positive).toEqual([...new Set(positive)].sort((a, b) => a - b));
});

test('scales: one, one a row, one a block', () => {
  const sizes = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(sizes, sizes, sizes, sizes, (rows, columns, high, wide) => {
      const raw = Uint8Array.from({ length: rows * columns }, (_, i) => (i * 37) & 0x77);
      const plain = toNumbers(
        decodeFloat8('w', entry('F8_E4M3', [rows, columns]), raw, undefined, plainFloat8),
      );
      const [down, across] = [Math.ceil(rows / high), Math.ceil(columns / wide)];
      const forms = [
        { shape: [], at: () => 0 },
        { shape: [1], at: () => 0 },
        { shape: [rows], at: (r: number) => r },
        { shape: [rows, 1], at: (r: number) => r },
        ...(down * across === 1 || (down === rows && across === 1)
          ? []
          : [
              {
                shape: [down, across],
                at: (r: number, c: number) => Math.floor(r / high) * across + Math.floor(c / wide),
              },
            ]),
      ];
      for (const { shape, at } of forms) {
        const count = shape.reduce((a, b) => a * b, 1);
        const scale = fromNumbers(
          'f32',
          shape,
          Array.from({ length: count }, (_, i) => i + 0.5),
        );
        const options = { block: [high, wide], scaled: true } as const;
        const found = decodeFloat8('w', entry('F8_E4M3', [rows, columns]), raw, scale, options);
        const expected = plain.map((value, i) => {
          const place = at(Math.floor(i / columns), i % columns);
          return Math.fround(value * (place + 0.5));
        });
        expect([...toNumbers(found)]).toEqual([...expected]);
      }
    }),
  );
});

test.each([
  ['of another shape', [3, 3], 'f32'],
  ['of whole numbers', [1], 'i32'],
  ['of too many dimensions', [1, 2, 1], 'f32'],
] as const)('a scale %s is refused', (_, shape, dtype) => {
  const count = shape.reduce((a: number, b) => a * b, 1);
  const scale = fromNumbers(dtype, shape, new Array(count).fill(1));
  const run = () =>
    decodeFloat8('w', entry('F8_E4M3', [4, 8]), new Uint8Array(32), scale, plainFloat8);
  expect(run).toThrow(failsWith('safetensors/scale'));
});

test.each([
  [{ quant_method: 'fp8', weight_block_size: [64, 32] }, [64, 32]],
  [{ quant_method: 'fp8' }, [128, 128]],
  [{ quant_method: 'fp8', weight_block_size: [0, 'x'] }, [128, 128]],
  [{ quant_method: 'fbgemm_fp8' }, [128, 128]],
  [
    {
      quant_method: 'compressed-tensors',
      config_groups: { group_0: { weights: { num_bits: 8, type: 'float' } } },
    },
    [128, 128],
  ],
])('configs that say so: %j', (value, block) => {
  expect(float8Config(value)).toEqual({ block, scaled: true });
});

test.each([
  [undefined],
  [null],
  ['fp8'],
  [{ quant_method: 'awq' }],
  [{ quant_method: 'compressed-tensors', config_groups: {} }],
  [
    {
      quant_method: 'compressed-tensors',
      config_groups: { a: { weights: { num_bits: 8, type: 'int' } }, b: null },
    },
  ],
])('and configs that do not: %j', (value) => {
  expect(float8Config(value)).toBeUndefined();
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-float8-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(tensors: [name: string, dtype: string, shape: number[], data: Uint8Array][]) {
  let at = 0;
  const header = Object.fromEntries(
    tensors.map(([name, dtype, shape, data]) => {
      at += data.length;
      return [name, { dtype, shape, data_offsets: [at - data.length, at] }];
    }),
  );
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
  const path = join(folder, 'model.safetensors');
  await writeFile(path, Buffer.concat([length, text, ...tensors.map(([, , , data]) => data)]));
  return path;
}

const floats = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer);

test('a checkpoint: weights come as f32, scales are no weights, nothing is mapped as f32', async () => {
  const path = await write([
    ['l.weight', 'F8_E4M3', [2, 2], Uint8Array.of(0x38, 0x40, 0xb8, 0x00)],
    ['l.weight_scale_inv', 'F32', [2, 1], floats(2, 10)],
    ['l.input_scale', 'F32', [], floats(3)],
    ['l.bias', 'F32', [2], floats(1, 2)],
    ['other.input_scale', 'F32', [], floats(4)],
  ]);
  await using store = await openCheckpoint(path);
  expect([...store.names()]).toEqual(['l.weight', 'l.bias', 'other.input_scale']);
  expect(store.type('l.weight')).toEqual({ dtype: 'f32', shape: [2, 2] });
  expect([...(await store.read('l.weight')).data]).toEqual([2, 4, -10, 0]);
  expect(store.file?.('l.weight')).toBeUndefined();
  expect(store.file?.('l.bias')).toMatchObject({ length: 8 });
  await expect(store.read('l.input_scale')).rejects.toThrow(failsWith('checkpoint/no-tensor'));
});

test('without scales they are plain numbers, unless the config says that they are scaled', async () => {
  const path = await write([['w', 'F8_E5M2', [2], Uint8Array.of(0x3c, 0xc0)]]);
  await using store = await openCheckpoint(path);
  expect([...(await store.read('w')).data]).toEqual([1, -2]);
  await using scaled = await openCheckpoint(path, { float8: { block: [128, 128], scaled: true } });
  await expect(scaled.read('w')).rejects.toThrow(failsWith('safetensors/scale'));
});
