// Element types and shapes that lie about the bytes.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../src/models/safetensors.js';
import { craft, expectRefused, f32, inFolder, refusal } from './craft.js';

const tensor = (dtype: string, shape: number[], bytes: number) =>
  craft({ header: { w: { dtype, shape, data_offsets: [0, bytes] } }, data: bytes });

test.each([
  ['F32', [2, 2], 12],
  ['F32', [3], 6],
  ['F64', [2], 8],
  ['BOOL', [8], 1],
  ['F4', [3], 2],
  ['F8_E4M3', [4], 8],
  ['F32', [], 0],
  ['F32', [0], 4],
])('%s of shape %j in %i bytes', async (dtype, shape, bytes) => {
  await expectRefused(tensor(dtype, shape, bytes), 'safetensors/size', '"w"');
});

test.each([
  [[2 ** 32 + 1]],
  [[2 ** 31, 2 ** 31]],
  // 2^64 elements: 0 in 64-bit arithmetic that wraps.
  [[2 ** 32, 2 ** 32]],
  // The product is 0, but only after it has overflowed.
  [[2 ** 32, 2 ** 32, 0]],
  [Array.from({ length: 400 }, () => 2 ** 20)],
])('dimensions whose product overflows: %j', async (shape) => {
  await expectRefused(craft({ header: { w: f32(shape, 0, 0) } }), 'safetensors/shape', '"w"');
});

test.each(['F8_E8M0', 'F8_E4M3FNUZ', 'I16', 'U16', 'E9M9'])(
  '%s is listed but not read',
  async (dtype) => {
    const bytes = craft({
      header: {
        strange: { dtype, shape: [2], data_offsets: [0, dtype.endsWith('16') ? 4 : 2] },
        plain: f32([1], dtype.endsWith('16') ? 4 : 2, dtype.endsWith('16') ? 8 : 6),
      },
      data: dtype.endsWith('16') ? 8 : 6,
    });
    const error = await expectRefused(bytes, 'safetensors/dtype', '"strange"');
    expect(error.found).toContain(dtype);
    await inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeFile(path, bytes);
      await using file = await openSafetensors(path);
      expect(file.entries.get('strange')).toMatchObject({ dtype: undefined, stored: dtype });
      expect((await file.read('plain')).shape).toEqual([1]);
      expect((await refusal(() => file.readAll())).code).toBe('safetensors/dtype');
    });
  },
);

test('a BOOL byte that is neither 0 nor 1', async () => {
  const header = { mask: { dtype: 'BOOL', shape: [3], data_offsets: [0, 3] } };
  const bytes = craft({ header, data: Uint8Array.of(0, 1, 2) });
  await expectRefused(bytes, 'safetensors/value', '"mask"');
});
