// config.json and its like: bounded, strict, checked by a schema whose complaints are told in terms of
// the file: which key, what was expected, what stands there. Knows no model family.
import type { z } from 'zod';
import { AnyformerError } from '../tensor/error.js';
import { readJsonFile } from './json-file.js';
import { type JsonValue, parseJsonStrict, printable } from './json-strict.js';

export const MAX_CONFIG_BYTES = 10_000_000;

/**
 * The JSON of a configuration file, for a schema to check. Errors: those of the platform's files,
 * `config/size`, `config/utf8`, `config/json`, `config/duplicate-key`, `config/depth`.
 */
export async function readConfigFile(path: string): Promise<unknown> {
  return await readJsonFile(path, { code: 'config', maxBytes: MAX_CONFIG_BYTES });
}

/** The same for bytes or text already in memory; `file` names them. */
export function parseConfig(source: Uint8Array | string, file: string): JsonValue {
  return parseJsonStrict(source, { file, code: 'config', maxBytes: MAX_CONFIG_BYTES });
}

/** What the schema makes of `value`; `config/value` names file, key path, expected and found. */
export function checkConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  file: string,
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw configError(result.error, value, file);
}

/** A schema's complaint about `value` as an error of ours. */
export function configError(
  error: z.ZodError,
  value: unknown,
  file: string,
  code = 'config/value',
): AnyformerError {
  const [first, ...others] = error.issues;
  if (first === undefined) return new AnyformerError(code, { what: `${file} is not valid` });
  const unknown = first.code === 'unrecognized_keys' ? first.keys.map((k) => printable(k)) : [];
  const key = keyPath(first.path);
  return new AnyformerError(code, {
    what: key === '' ? `${file} is not valid` : `${file}: key ${key} is not valid`,
    expected: expectation(first),
    found: unknown.length > 0 ? `unknown ${unknown.join(', ')}` : describe(value, first.path),
    hint: others.length > 0 ? `also wrong: ${keyList(others)}` : undefined,
    cause: error,
  });
}

function keyList(issues: readonly z.core.$ZodIssue[]): string {
  const keys = issues.slice(0, 5).map((issue) => keyPath(issue.path) || 'the whole');
  return keys.join(', ') + (issues.length > 5 ? ` and ${issues.length - 5} more` : '');
}

/** `layers[3].width`; keys that are no plain names stand quoted in brackets. */
function keyPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => {
      if (typeof key === 'number') return `[${key}]`;
      if (!/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(String(key))) return `[${printable(String(key))}]`;
      return i === 0 ? String(key) : `.${String(key)}`;
    })
    .join('');
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map((v) => printable(String(v))).join(', ')}`;
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'unrecognized_keys':
      return 'known keys only';
    default:
      return issue.message;
  }
}

const unit = (origin: string): string =>
  ({ string: ' characters', array: ' items', set: ' items' })[origin] ?? '';

function describe(value: unknown, path: readonly PropertyKey[]): string {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return 'nothing';
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  if (at === undefined) return 'nothing';
  return typeof at === 'string'
    ? printable(at)
    : printable(JSON.stringify(at) ?? typeof at).slice(1, -1);
}
