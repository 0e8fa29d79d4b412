// Gzip, unpacked in memory under a bound: a small file may claim to hold any amount.
import { AnyformerError } from '../tensor/error.js';

/** Whether the bytes begin as gzip does. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** The bytes inside. Errors: `data/gzip`, naming `file`; more than `most` bytes are refused. */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  { file, most = 1 << 30 }: { file: string; most?: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes])
    .stream()
    .pipeThrough(new DecompressionStream('gzip'))
    .getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      total += value.length;
      if (total > most) throw refused(file, `at most ${most} bytes unpacked`, 'more');
    }
  } catch (cause) {
    await reader.cancel().catch(() => undefined);
    if (cause instanceof AnyformerError) throw cause;
    throw refused(file, 'a whole gzip file', 'one that is cut off or damaged', cause);
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const refused = (file: string, expected: string, found: string, cause?: unknown): AnyformerError =>
  new AnyformerError('data/gzip', { what: `${file} cannot be unpacked`, expected, found, cause });
