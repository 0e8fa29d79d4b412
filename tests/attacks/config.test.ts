// Configuration files that are too big, ambiguous, or wrong in a value.
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { checkConfig, readConfigFile } from '../../src/models/config-file.js';
import { inFolder, refusal } from './craft.js';

const read = (content: string | Uint8Array) =>
  inFolder(async (folder) => {
    const path = join(folder, 'config.json');
    await writeFile(path, content);
    return await refusal(() => readConfigFile(path));
  });

test.each([
  ['a key twice', '{"width":64,"width":-1}', 'config/duplicate-key'],
  ['not JSON', '{width: 64}', 'config/json'],
  ['empty', '', 'config/json'],
  ['NaN', '{"eps": NaN}', 'config/json'],
  ['an overflowing number', '{"eps": 1e400}', 'config/number'],
  ['deep nesting', '['.repeat(1000), 'config/depth'],
])('%s', async (_, text, code) => {
  const error = await read(text);
  expect(error.code).toBe(code);
  expect(error.what).toContain('config.json');
});

test('bytes that are not UTF-8', async () => {
  expect((await read(Uint8Array.of(0x7b, 0xff, 0x7d))).code).toBe('config/utf8');
});

test('a file over the cap is refused by its size, unread', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'config.json');
    await writeFile(path, '{}');
    await truncate(path, 50e9);
    const error = await refusal(() => readConfigFile(path));
    expect(error.code).toBe('config/size');
    expect(error.found).toBe('50000000000 bytes');
  });
});

test('a wrong value is named by its path', async () => {
  const schema = z.strictObject({
    width: z.int().positive(),
    family: z.enum(['llama', 'bert']),
    layers: z.array(z.object({ heads: z.int().min(1) })).optional(),
  });
  const check = async (value: unknown) =>
    await refusal(async () => checkConfig(schema, value, 'dir/config.json'));
  const good = { width: 64, family: 'llama' };

  const negative = await check({ ...good, width: -3 });
  expect(negative.code).toBe('config/value');
  expect(negative.message).toContain('dir/config.json: key width');
  expect([negative.expected, negative.found]).toEqual(['more than 0', '-3']);

  const unknown = await check({ ...good, family: 'lama' });
  expect([unknown.expected, unknown.found]).toEqual(['one of "llama", "bert"', '"lama"']);

  const nested = await check({ ...good, layers: [{ heads: 2 }, { heads: 'x' }] });
  expect(nested.what).toContain('layers[1].heads');
  expect(nested.found).toBe('"x"');

  const two = await check({ family: 'llama', surprise: 1 });
  expect(two.found).toBe('nothing');
  expect(two.hint).toContain('also wrong');
});
