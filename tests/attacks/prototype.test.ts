// Keys that reach for prototypes are keys like any other.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { checkConfig, parseConfig } from '../../src/models/config-file.js';
import { openSafetensors } from '../../src/models/safetensors.js';
import { convert, craft, expectRefused, f32, inFolder } from './craft.js';

const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype'];

const untouched = () => {
  const fresh = {} as Record<string, unknown>;
  expect(fresh.dtype).toBeUndefined();
  expect(fresh.polluted).toBeUndefined();
  expect(Object.getPrototypeOf(fresh)).toBe(Object.prototype);
};

test('tensors with such names are tensors, read and written back', async () => {
  const entries = names.map((name, i) => `"${name}":${JSON.stringify(f32([1], 4 * i, 4 * i + 4))}`);
  const metadata = '"__metadata__":{"__proto__":"p","constructor":"c"}';
  const bytes = craft({ header: `{${metadata},${entries.join(',')}}`, data: 4 * names.length });
  await inFolder(async (folder) => {
    const [path, copy] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
    await writeFile(path, bytes);
    await convert(path, copy);
    for (const each of [path, copy]) {
      await using file = await openSafetensors(each);
      expect([...file.entries.keys()]).toEqual(names);
      expect((await file.read('__proto__')).data).toEqual(new Float32Array(1));
    }
    await using file = await openSafetensors(path);
    expect(file.metadata.get('__proto__')).toBe('p');
  });
  untouched();
});

test('an entry cannot inherit its fields', async () => {
  const inherited = `{"w":{"__proto__":${JSON.stringify(f32([1], 0, 4))}}}`;
  await expectRefused(craft({ header: inherited, data: 4 }), 'safetensors/entry', '"w"');
  untouched();
});

test('a configuration cannot inherit or pollute', () => {
  const value = parseConfig(
    '{"__proto__":{"polluted":true,"width":64},"constructor":{}}',
    'c.json',
  );
  expect((value as { width?: number }).width).toBeUndefined();
  untouched();
  const schema = z.looseObject({ width: z.number().optional() });
  const checked = checkConfig(schema, value, 'c.json') as Record<string, unknown>;
  expect(checked.width).toBeUndefined();
  expect(checked.polluted).toBeUndefined();
  untouched();
});
