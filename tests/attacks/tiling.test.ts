// Data that the header does not tile exactly: hidden bytes (polyglots), shared bytes (a small file that
// unpacks to a huge one).
import { expect, test } from 'vitest';
import { craft, expectRefused, f32 } from './craft.js';

test('overlapping tensors', async () => {
  const header = { a: f32([2], 0, 8), b: f32([2], 4, 12) };
  const error = await expectRefused(craft({ header, data: 12 }), 'safetensors/overlap', '"b"');
  expect(error.what).toContain('"a"');
});

test('many names for the same bytes', async () => {
  const header = Object.fromEntries(
    Array.from({ length: 1000 }, (_, i) => [`w${i}`, f32([250], 0, 1000)]),
  );
  await expectRefused(craft({ header, data: 1000 }), 'safetensors/overlap');
});

test('an empty tensor inside another', async () => {
  const header = { a: f32([2], 0, 8), none: f32([0], 4, 4) };
  await expectRefused(craft({ header, data: 8 }), 'safetensors/overlap', '"none"');
});

test('a gap before, between and after', async () => {
  const at = (begin: number) => ({ a: f32([1], begin, begin + 4) });
  await expectRefused(craft({ header: at(4), data: 8 }), 'safetensors/gap', 'the header');
  const between = { a: f32([1], 0, 4), b: f32([1], 5, 9) };
  await expectRefused(craft({ header: between, data: 9 }), 'safetensors/gap', '"b"');
  await expectRefused(craft({ header: at(0), data: 5 }), 'safetensors/trailing');
});

test('a whole other file behind an empty header', async () => {
  const zip = new TextEncoder().encode('PK\u0003\u0004 a zip archive reads from its end');
  await expectRefused(craft({ header: {}, data: zip }), 'safetensors/trailing');
});

test('offsets that run backwards, or are not two', async () => {
  await expectRefused(craft({ header: { a: f32([1], 4, 0) }, data: 4 }), 'safetensors/offsets');
  for (const data_offsets of [[], [0], [0, 4, 8]]) {
    const header = { a: { dtype: 'F32', shape: [1], data_offsets } };
    await expectRefused(craft({ header, data: 4 }), 'safetensors/offsets');
  }
});
