import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkName } from './names.js';

const refused = [
  ['', 'empty'],
  ['..', 'parent'],
  ['../x', 'parent'],
  ['a/../../x', 'parent'],
  ['a/..', 'parent'],
  ['..\\x', 'backslash'],
  ['a\\..\\..\\x', 'backslash'],
  ['/etc/passwd', 'absolute'],
  ['\\windows\\system32', 'absolute'],
  ['//server/share/x', 'UNC'],
  ['\\\\server\\share\\x', 'UNC'],
  ['\\\\?\\C:\\x', 'UNC'],
  ['C:\\x', 'drive'],
  ['C:x', 'drive'],
  ['c:/x', 'drive'],
  ['file.txt:stream', 'reserves'],
  ['a\0b', 'control'],
  ['model.safetensors\n', 'control'],
  ['a//b', 'empty folder'],
  ['a/', 'empty folder'],
  ['.', 'dot'],
  ['./a', 'dot'],
  ['...', 'dot'],
  ['.. /x', 'space'],
  ['a. /b', 'space'],
  ['NUL', 'device'],
  ['a/con.txt', 'device'],
  ['COM1', 'device'],
  ['lpt\u00b9.bin', 'device'],
  ['\ud800', 'surrogate'],
  ['é'.repeat(128), '255 bytes'],
  ['a'.repeat(1025), '1025'],
];

describe('checkName', () => {
  test.each(refused)('refuses %j', (name, rule) => {
    expect(() => checkName(name)).toThrow(expect.objectContaining({ code: 'file/name' }));
    expect(() => checkName(name)).toThrow(rule);
  });

  test('refuses what is no string at all', () => {
    for (const name of [undefined, null, 3, ['a'], { toString: () => '../x' }]) {
      expect(() => checkName(name as string)).toThrow(
        expect.objectContaining({ code: 'file/name' }),
      );
    }
  });

  test.each([
    'model.safetensors',
    'onnx/model_q4.onnx',
    '..data',
    'a..b/c',
    '.gitattributes',
    'Modèle 1/件.bin',
    'console.log',
    'com10',
  ])('accepts %j', (name) => {
    expect(checkName(name).join('/')).toBe(name);
  });

  test('an accepted name never leaves its folder under either rule set', () => {
    const part = fc.oneof(
      fc.constantFrom('..', '.', '', 'a', 'C:', '\\', '/', '//', '\\\\', '...', '.. ', '\0', 'nul'),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.constantFrom('/', '\\', ''), (parts, by) => {
        const name = parts.join(by);
        let accepted: string[];
        try {
          accepted = checkName(name);
        } catch {
          return;
        }
        for (const piece of accepted) {
          expect(piece.replace(/[. ]+$/, '')).not.toBe('');
          expect(piece).not.toMatch(/[/\\:\0]/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
