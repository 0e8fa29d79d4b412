// Text lines of a file, streamed: lines are cut at the byte level and decoded one by one, so that an
// error names its line. UTF-8 only; a byte order mark at the start is dropped.
import { readChunks } from '#platform';
import { AnyformerError } from '../tensor/error.js';

export type Line = { readonly number: number; readonly text: string };

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 1 << 20;

/**
 * Every line of the file, numbered from 1, without its line end (LF or CRLF). Errors: the platform's,
 * `data/utf8`, `data/line-length` (1 MB).
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let number = 0;
  let kept: Uint8Array[] = [];
  let keptBytes = 0;

  const keep = (part: Uint8Array) => {
    kept.push(part);
    keptBytes += part.length;
    if (keptBytes <= MAX_LINE_BYTES) return;
    throw new AnyformerError('data/line-length', {
      what: `${path}, line ${number + 1}`,
      expected: `at most ${MAX_LINE_BYTES} bytes a line`,
      found: 'more',
      hint: 'give one text a line',
    });
  };
  const finish = (): Line => {
    number++;
    const bytes = kept.length === 1 ? kept[0] : joined(kept, keptBytes);
    kept = [];
    keptBytes = 0;
    return { number, text: decode(decoder, bytes, path, number) };
  };

  for await (const chunk of readChunks(path)) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      keep(chunk.subarray(from, end));
      yield finish();
      from = end + 1;
    }
    if (from < chunk.length) keep(chunk.subarray(from));
  }
  if (keptBytes > 0) yield finish();
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function decode(decoder: TextDecoder, bytes: Uint8Array, path: string, number: number): string {
  try {
    const text = decoder.decode(bytes);
    const from = number === 1 && text.startsWith('\ufeff') ? 1 : 0;
    return text.endsWith('\r') ? text.slice(from, -1) : text.slice(from);
  } catch (cause) {
    const wide = number === 1 && (bytes[0] === 0xff || bytes[0] === 0xfe);
    throw new AnyformerError('data/utf8', {
      what: `${path}, line ${number} is not valid UTF-8`,
      expected: 'UTF-8 text',
      found: wide ? 'UTF-16' : 'bytes that UTF-8 does not allow',
      hint: 'save the file as UTF-8',
      cause,
    });
  }
}

/**
 * The lines that hold text, trimmed; the first `limit` of them. Errors: also `data/no-rows` where
 * there are none.
 */
export async function readTexts(
  path: string,
  { limit = Number.POSITIVE_INFINITY }: { limit?: number } = {},
): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readLines(path)) {
    const trimmed = text.trim();
    if (trimmed !== '') texts.push(trimmed);
    if (texts.length >= limit) break;
  }
  if (texts.length > 0) return texts;
  throw new AnyformerError('data/no-rows', {
    what: `${path} holds no text`,
    expected: 'one text a line',
    found: 'only blank lines or nothing',
  });
}
