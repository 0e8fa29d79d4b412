import { expect, test } from 'vitest';
import { craft, expectRefused, f32 } from './craft.js';

const whole = craft({ header: { a: f32([2], 0, 8), b: f32([1], 8, 12) }, data: 12 });

test('every proper prefix of a file is refused as truncated', async () => {
  for (let size = 0; size < whole.length; size++) {
    const error = await expectRefused(whole.slice(0, size), 'safetensors/truncated');
    expect(error.found).toContain(`${size} bytes`);
  }
});

test('a tensor that reaches beyond the file is named', async () => {
  const bytes = craft({ header: { small: f32([1], 0, 4), big: f32([64], 4, 260) }, data: 100 });
  const error = await expectRefused(bytes, 'safetensors/truncated', '"big"');
  expect(error.expected).toBe(`a file of at least ${bytes.length + 160} bytes`);
});
