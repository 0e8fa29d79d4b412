// A JSON file from outside, read only once its size is known to be within bounds.
import { fileBytes, readFile } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import { type JsonLimits, type JsonValue, parseJsonStrict } from './json-strict.js';

/**
 * Reads and parses a file under the rules of `parseJsonStrict`, whose errors it throws besides the
 * platform's; `${code}/size` for a file over the cap, which is not read at all.
 */
export async function readJsonFile(
  path: string,
  limits: Omit<JsonLimits, 'file'> & { code: string; maxBytes: number },
): Promise<JsonValue> {
  const size = await fileBytes(path);
  if (size > limits.maxBytes) {
    throw new AnyformerError(`${limits.code}/size`, {
      what: `${path} is too big`,
      expected: `at most ${limits.maxBytes} bytes`,
      found: `${size} bytes`,
    });
  }
  return parseJsonStrict(await readFile(path), { ...limits, file: path });
}
