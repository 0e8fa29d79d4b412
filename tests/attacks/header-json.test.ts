// Headers that JSON.parse would take, or read differently from another reader.
import { expect, test } from 'vitest';
import { craft, expectRefused, f32 } from './craft.js';

const one = JSON.stringify(f32([1], 0, 4));

test.each([
  ['a tensor twice', `{"a":${one},"a":${one}}`, 'duplicate-key'],
  ['the same name, escaped', `{"a":${one},"\\u0061":${one}}`, 'duplicate-key'],
  [
    'offsets twice',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}',
    'duplicate-key',
  ],
  ['metadata twice', '{"__metadata__":{"k":"1","k":"2"}}', 'duplicate-key'],
  ['not JSON', '{]', 'json'],
  ['Python literals', "{'a': None}", 'json'],
  ['something after the object', `{"a":${one}} {}`, 'json'],
  ['padding other than blanks', `{"a":${one}}\u0000\u0000`, 'json'],
  ['half a surrogate pair', `{"\\ud800":${one}}`, 'json'],
  ['nesting', `{"a":${'['.repeat(50_000)}`, 'depth'],
  ['nested shapes', '{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}', 'entry'],
  ['a float dimension', '{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', 'number'],
  ['an exponent', '{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', 'number'],
  ['a negative dimension', '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 'number'],
  [
    'an offset beyond 2^53',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740993]}}',
    'number',
  ],
  [
    'an offset of 2^63',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775808]}}',
    'number',
  ],
  ['an offset as text', '{"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}}', 'entry'],
  ['no shape', '{"a":{"dtype":"F32","data_offsets":[0,4]}}', 'entry'],
  ['a null tensor', '{"a":null}', 'entry'],
  ['an array as a tensor', '{"a":[]}', 'entry'],
  ['a dtype that is no text', '{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}', 'entry'],
  [
    'a key that the format lacks',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"code":"x"}}',
    'entry',
  ],
  ['metadata of numbers', '{"__metadata__":{"k":1}}', 'metadata'],
  ['metadata of objects', '{"__metadata__":{"k":{}}}', 'metadata'],
  ['an array as header', '[]', 'header'],
  ['blanks before the object', ` {"a":${one}}`, 'header'],
])('%s', async (_, header, code) => {
  await expectRefused(craft({ header, data: 4 }), `safetensors/${code}`);
});

test('bytes that are not UTF-8', async () => {
  const header = Uint8Array.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]);
  await expectRefused(craft({ header }), 'safetensors/utf8');
});

test('a name of control characters is escaped in the message', async () => {
  const header = `{"\\u001b[31m\u202e":${JSON.stringify(f32([2], 0, 4))}}`;
  const error = await expectRefused(craft({ header, data: 4 }), 'safetensors/size');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
  expect(error.message).not.toMatch(/[\u001b\u202e]/);
});
