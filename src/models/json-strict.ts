// Strict JSON for files from outside: what `JSON.parse` lets through, this refuses (RFC 8259, and
// I-JSON, RFC 7493, for duplicate keys and lone surrogates). Objects come back without a prototype,
// so that `__proto__` and `constructor` are keys like any other. Does not stream: sizes are capped.
import { AnyformerError } from '../tensor/error.js';

export type JsonObject = { [key: string]: JsonValue };
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export type JsonLimits = {
  /** Names the text in errors: a file, or a part of one. */
  file: string;
  /** Error codes read `${code}/json`, `${code}/duplicate-key`, ... */
  code?: string;
  /** Cap on the bytes of the text; 10 MB unless told. */
  maxBytes?: number;
  maxDepth?: number;
  /** `naturals`: digits only, at most 2^53 - 1; a fraction, exponent or sign is an error. */
  numbers?: 'any' | 'naturals';
};

export const isJsonObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TEN_MB = 10_000_000;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const loneSurrogate = /\p{Surrogate}/u;

/** Decodes UTF-8; any other byte sequence, a byte order mark included, is an error. */
export function decodeUtf8(bytes: Uint8Array, file: string, code = 'json'): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.startsWith('\ufeff')) return text;
  } catch (cause) {
    throw new AnyformerError(`${code}/utf8`, {
      what: `${file} is not valid UTF-8`,
      expected: 'UTF-8 text',
      found: 'bytes that UTF-8 does not allow',
      hint: 'save the file as UTF-8',
      cause,
    });
  }
  throw new AnyformerError(`${code}/utf8`, {
    what: `${file} begins with a byte order mark`,
    expected: 'UTF-8 without a byte order mark',
    found: 'bytes EF BB BF first',
    hint: 'save the file as UTF-8 without a byte order mark',
  });
}

/**
 * Parses JSON, refusing duplicate keys, lone surrogates, deep nesting (64) and anything after the
 * value. Errors: `json/size`, `json/json`, `json/duplicate-key`, `json/depth`, `json/number`, or
 * under `limits.code`; bytes are first decoded as UTF-8 (`json/utf8`).
 */
export function parseJsonStrict(source: string | Uint8Array, limits: JsonLimits): JsonValue {
  const { file, code = 'json', maxBytes = TEN_MB, maxDepth = 64, numbers = 'any' } = limits;
  const size = typeof source === 'string' ? source.length : source.byteLength;
  if (size > maxBytes) {
    throw new AnyformerError(`${code}/size`, {
      what: `${file} is too big`,
      expected: `at most ${maxBytes} bytes`,
      found: `${size} bytes`,
    });
  }
  const text = typeof source === 'string' ? source : decodeUtf8(source, file, code);
  let at = 0;

  function fail(kind: string, expected: string, found = near(at), position = at): never {
    const line = text.slice(0, position).split('\n').length;
    throw new AnyformerError(`${code}/${kind}`, {
      what: `${file} is not acceptable JSON at line ${line}, character ${position + 1}`,
      expected,
      found,
    });
  }
  const near = (position: number) =>
    position >= text.length
      ? 'the end of the text'
      : printable(text.slice(position, position + 24));

  function skipBlanks(): void {
    for (let c = text.charCodeAt(at); c === 0x20 || (c >= 0x09 && c <= 0x0d); ) {
      if (c === 0x0b || c === 0x0c) return;
      c = text.charCodeAt(++at);
    }
  }

  function take(character: string): boolean {
    skipBlanks();
    if (text[at] !== character) return false;
    at++;
    return true;
  }

  function string(): string {
    const start = at;
    if (text[at] !== '"') fail('json', 'a string in double quotes');
    let end = at + 1;
    let escaped = false;
    for (let c = text.charCodeAt(end); c !== QUOTE; c = text.charCodeAt(end)) {
      if (Number.isNaN(c)) fail('json', 'a closing quote', 'the end of the text');
      if (c < 0x20) fail('json', 'control characters escaped', printable(text[end]), end);
      if (c === BACKSLASH) escaped = true;
      end += c === BACKSLASH ? 2 : 1;
    }
    at = end + 1;
    const value = escaped ? decodeEscapes(start) : text.slice(start + 1, end);
    if (loneSurrogate.test(value)) {
      fail('json', 'whole Unicode characters', 'half of a surrogate pair', start);
    }
    return value;
  }

  function decodeEscapes(start: number): string {
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      return fail('json', 'a string with valid escapes', near(start), start);
    }
  }

  function number(): number {
    numberToken.lastIndex = at;
    const token = numberToken.exec(text)?.[0];
    if (token === undefined) fail('json', 'a value');
    const value = Number(token);
    const natural = /^\d+$/.test(token) && Number.isSafeInteger(value);
    if (numbers === 'naturals' && !natural) {
      fail('number', 'an integer of plain digits, at most 2^53 - 1', printable(token.slice(0, 40)));
    }
    if (!Number.isFinite(value)) fail('number', 'a number that float64 holds', token.slice(0, 40));
    at += token.length;
    return value;
  }

  function object(depth: number): JsonObject {
    const result = Object.create(null) as JsonObject;
    if (take('}')) return result;
    do {
      skipBlanks();
      const start = at;
      const key = string();
      if (Object.hasOwn(result, key)) {
        fail('duplicate-key', 'each key once in an object', `${printable(key)} again`, start);
      }
      if (!take(':')) fail('json', "':' after a key");
      result[key] = value(depth);
    } while (take(','));
    if (!take('}')) fail('json', "',' or '}'");
    return result;
  }

  function array(depth: number): JsonValue[] {
    const result: JsonValue[] = [];
    if (take(']')) return result;
    do result.push(value(depth));
    while (take(','));
    if (!take(']')) fail('json', "',' or ']'");
    return result;
  }

  function literal<T>(word: string, meaning: T): T {
    if (!text.startsWith(word, at)) fail('json', 'a value');
    at += word.length;
    return meaning;
  }

  function value(depth: number): JsonValue {
    if (depth > maxDepth) fail('depth', `at most ${maxDepth} levels of nesting`, 'more');
    skipBlanks();
    switch (text[at]) {
      case '{':
        at++;
        return object(depth + 1);
      case '[':
        at++;
        return array(depth + 1);
      case '"':
        return string();
      case 't':
        return literal('true', true);
      case 'f':
        return literal('false', false);
      case 'n':
        return literal('null', null);
      default:
        return number();
    }
  }

  const result = value(0);
  skipBlanks();
  if (at < text.length) fail('json', 'nothing after the value');
  return result;
}

/** A text from outside as it may stand in a message: quoted, control characters escaped, short. */
export function printable(text: string, limit = 80): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}...` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
