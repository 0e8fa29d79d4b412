import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { parseJsonStrict, printable } from './json-strict.js';

const parse = (source: string | Uint8Array, more = {}) =>
  parseJsonStrict(source, { file: 'x.json', ...more });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AnyformerError) return error.code;
    throw error;
  }
  return 'none';
}

/** Plain prototypes, as JSON.parse makes them, for comparison. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('strict JSON', () => {
  test('agrees with JSON.parse on every value that JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        if (/\\ud[89a-f]/i.test(text)) return;
        expect(plain(parse(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('accepts only what JSON.parse accepts', () => {
    const alphabet = fc.constantFrom(...'{}[]",:\\ 01-+.eEtruefalsn\n\t\u0001u');
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (text) => {
        let native = true;
        try {
          JSON.parse(text);
        } catch {
          native = false;
        }
        const code = codeOf(() => parse(text));
        if (!native) expect(code).not.toBe('none');
        else expect(['none', 'json/duplicate-key', 'json/number']).toContain(code);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['{"a":1,"a":2}', 'json/duplicate-key'],
    ['{"a":{"b":1,"\\u0062":2}}', 'json/duplicate-key'],
    ['{"__proto__":1,"__proto__":2}', 'json/duplicate-key'],
    ['{"a":1}x', 'json/json'],
    ['{"a":"\\ud800"}', 'json/json'],
    ['1e999', 'json/number'],
    ['', 'json/json'],
    ['"\\x"', 'json/json'],
    ['"never closed \\', 'json/json'],
    [`${'['.repeat(100_000)}`, 'json/depth'],
  ])('%s: %s', (text, code) => {
    expect(codeOf(() => parse(text))).toBe(code);
  });

  test('bytes must be UTF-8 without a mark, and within the cap', () => {
    expect(codeOf(() => parse(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('json/utf8');
    expect(codeOf(() => parse(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)))).toBe('json/utf8');
    expect(codeOf(() => parse('[1, 2, 3]', { maxBytes: 8 }))).toBe('json/size');
  });

  test('naturals are plain digits within 2^53 - 1', () => {
    const naturals = (text: string) => codeOf(() => parse(text, { numbers: 'naturals' }));
    expect(naturals('9007199254740991')).toBe('none');
    for (const text of ['9007199254740992', '-1', '-0', '1.0', '1e2']) {
      expect(naturals(text)).toBe('json/number');
    }
  });

  test('no key reaches a prototype', () => {
    const value = parse('{"__proto__": {"polluted": true}, "constructor": 1}') as object;
    expect(Object.getPrototypeOf(value)).toBe(null);
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('messages carry no control or direction characters from outside', () => {
    expect(printable('a\u202eb\u0000\n')).toBe('"a\\u202eb\\u0000\\n"');
  });
});
