// Files that would run code, or are something else, under a safetensors name.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/models/checkpoint.js';
import { parseSafetensorsHeader } from '../../src/models/safetensors-header.js';
import { craft, expectRefused, inFolder, refusal } from './craft.js';

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

test.each([
  // os.system through REDUCE, protocol 0 body behind the protocol byte.
  ['protocol 2', '\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.'],
  ['protocol 4, framed', '\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system'],
  ['protocol 5', '\x80\x05\x95\x1e\x00\x00\x00\x00\x00\x00\x00.'],
  ['the old torch format', '\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'],
  ['a torch zip', 'PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl'],
  ['an empty zip', 'PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'],
  ['a pickle of 4 bytes', '\x80\x04N.'],
])('a pickle: %s', async (_, text) => {
  const error = await expectRefused(ascii(text), 'safetensors/pickle');
  expect(error.hint).toContain('model.safetensors');
});

test.each([
  ['GGUF', 'GGUF\x03\x00\x00\x00\x00\x00\x00\x00'],
  ['LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'],
  ['HDF5', '\x89HDF\r\n\x1a\n\x00\x00\x00\x00'],
])('another format: %s', async (name, text) => {
  const error = await expectRefused(ascii(text), 'safetensors/foreign');
  expect(error.found).toContain(name);
});

test('pytorch_model.bin in a folder is named, never opened', async () => {
  await inFolder(async (folder) => {
    await writeFile(join(folder, 'pytorch_model.bin'), 'anything');
    const error = await refusal(() => openCheckpoint(folder));
    expect(error.code).toBe('checkpoint/no-weights');
    expect(error.found).toContain('pickle');
  });
});

test('a safetensors file whose length reads like a pickle is not mistaken for one', () => {
  for (const length of [0x0280, 0x0480]) {
    const bytes = craft({ header: '{}'.padEnd(length, ' ') });
    expect([...bytes.slice(0, 2)]).toEqual([0x80, length >> 8]);
    expect(parseSafetensorsHeader(bytes, bytes.length).entries.size).toBe(0);
  }
});
