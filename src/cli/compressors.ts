// General compressors as a yardstick: the bytes that a text adds to what comes before it. Brotli is part
// of Node; xz and bzip2 are programs that a machine may lack.
import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createBrotliCompress } from 'node:zlib';

export type Compressor = {
  readonly name: string;
  /** Compressed size in bytes; undefined where the program is not on this machine. */
  size(parts: readonly Uint8Array[], signal: AbortSignal): Promise<number | undefined>;
};

export const compressors: readonly Compressor[] = [
  { name: 'brotli -q 11', size: brotli },
  { name: 'xz -9', size: (parts, signal) => program('xz', ['-9', '-c', '-T1'], parts, signal) },
  { name: 'bzip2 -9', size: (parts, signal) => program('bzip2', ['-9', '-c'], parts, signal) },
];

/** Bytes that `text` adds to `before`; undefined where the compressor is not there. */
export async function addedBytes(
  { size }: Compressor,
  before: Uint8Array,
  text: Uint8Array,
  signal: AbortSignal,
): Promise<number | undefined> {
  const alone = await size([before], signal);
  if (alone === undefined) return undefined;
  const both = await size([before, text], signal);
  return both === undefined ? undefined : both - alone;
}

async function brotli(parts: readonly Uint8Array[], signal: AbortSignal): Promise<number> {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
  const params = {
    [BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [BROTLI_PARAM_SIZE_HINT]: bytes,
  };
  let size = 0;
  await pipeline(
    Readable.from(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.length))),
    createBrotliCompress({ params }),
    async (compressed: AsyncIterable<Uint8Array>) => {
      for await (const { length } of compressed) size += length;
    },
    { signal },
  );
  return size;
}

async function program(
  command: string,
  args: readonly string[],
  parts: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<number | undefined> {
  signal.throwIfAborted();
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], signal });
  let size = 0;
  child.stdout.on('data', ({ length }: Uint8Array) => {
    size += length;
  });
  // A program that ends early is told by its exit code.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | undefined>((done, fail) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') done(undefined);
      else fail(signal.aborted ? signal.reason : error);
    });
    child.once('close', (code) => done(code === 0 ? size : undefined));
  });
  for (const part of parts) child.stdin.write(part);
  child.stdin.end();
  return await ended;
}
