// Lines of a stream, such as standard input. UTF-8; a line end is LF or CRLF.
import { AnyformerError } from '../tensor/error.js';

/** Errors: `data/utf8`. `name` is for messages. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let count = 0;
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw new AnyformerError('data/utf8', {
        what: `${name}, after line ${count}, is not valid UTF-8`,
        expected: 'UTF-8 text',
        found: 'bytes that UTF-8 does not allow',
        cause,
      });
    }
  };
  const trimmed = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decode(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      count++;
      yield trimmed(line);
    }
  }
  rest += decode();
  if (rest !== '') yield trimmed(rest);
}
