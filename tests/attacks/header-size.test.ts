// Lying lengths: refused before anything is allocated for them.
import { expect, test } from 'vitest';
import { craft, expectRefused, f32 } from './craft.js';

test.each([
  ['one over the cap', 100_000_001n],
  ['2^32', 2n ** 32n],
  ['2^53 + 1', 2n ** 53n + 1n],
  ['2^63', 2n ** 63n],
  ['2^64 - 1', 2n ** 64n - 1n],
])('a header length of %s', async (_, length) => {
  const before = process.memoryUsage().arrayBuffers;
  const bytes = craft({ header: { a: f32([1], 0, 4) }, data: 4, length });
  const error = await expectRefused(bytes, 'safetensors/header-size');
  expect(error.found).toBe(`${length} bytes`);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16e6);
});

test('a header within the cap but beyond the file', async () => {
  const bytes = craft({ header: { a: f32([1], 0, 4) }, data: 4, length: 99_999_999n });
  await expectRefused(bytes, 'safetensors/truncated');
});

test('a header cut short by its own length, or none at all', async () => {
  const header = JSON.stringify({ a: f32([1], 0, 4) });
  const short = craft({ header, data: 4, length: BigInt(header.length - 1) });
  await expectRefused(short, 'safetensors/json');
  await expectRefused(craft({ header: '', data: 16 }), 'safetensors/header');
});
