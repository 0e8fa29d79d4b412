// Writes the model files that the TinyStories reader reads, and finds the real one.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { numbers } from '../runtime/support.js';

const real = fileURLToPath(
  new URL('../../../shared/data/tinystories-260k-llama2-ts-v1.bin', import.meta.url),
);

export const hasTinyStories = existsSync(real);
export const tinyStoriesBytes = (): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(real));
/** For the names of suites. */
export const whereTinyStories = hasTinyStories
  ? 'TinyStories-260K'
  : 'TinyStories-260K (skipped: ../shared/data/tinystories-260k-llama2-ts-v1.bin is not here)';

export type FileSizes = {
  hidden: number;
  inter: number;
  context: number;
  layers: number;
  heads: number;
  kvHeads: number;
};

export const smallSizes: FileSizes = {
  hidden: 16,
  inter: 24,
  context: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
};

export type PieceText = readonly [text: string, score: number];

/** Three special pieces, 256 bytes, and words that merge in this order. */
export function smallPieces(): PieceText[] {
  const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, '0');
  const bytes = Array.from({ length: 256 }, (_, byte): PieceText => [`<0x${hex(byte)}>`, 0]);
  const merged = ['\u2581t', 'he', '\u2581a', 'in', '\u2581the', 'nn', 'ed', '\u2581\u2581'];
  const letters = ['\u2581', ...'etainhdsé.'];
  const rest = [...merged, ...letters].map((text, i): PieceText => [text, -i]);
  return [['<unk>', 0], ['<s>', 0], ['</s>', 0], ...bytes, ...rest];
}

/** A file with random weights. */
export function tinyStoriesFile(
  sizes: FileSizes = smallSizes,
  pieces: readonly PieceText[] = smallPieces(),
): Uint8Array<ArrayBuffer> {
  const { hidden, inter, context, layers, heads, kvHeads } = sizes;
  const header = new DataView(new ArrayBuffer(256));
  header.setUint8(0, 1);
  header.setInt32(1, 5, true);
  new Uint8Array(header.buffer).set(new TextEncoder().encode('llama'), 5);
  [hidden, inter, context, pieces.length, layers, heads, kvHeads].forEach((value, i) => {
    header.setInt32(10 + 4 * i, value, true);
  });
  header.setUint8(38, 1);
  const parts: Uint8Array[] = [new Uint8Array(header.buffer)];
  for (const [text, score] of pieces) {
    const encoded = new TextEncoder().encode(text);
    const entry = new DataView(new ArrayBuffer(8));
    entry.setFloat32(0, score, true);
    entry.setInt32(4, encoded.length, true);
    parts.push(new Uint8Array(entry.buffer), encoded);
  }
  const kv = (hidden / heads) * kvHeads;
  const inLayer = 2 * hidden + 2 * hidden * hidden + 2 * kv * hidden + 3 * inter * hidden;
  const count = pieces.length * hidden + layers * inLayer + hidden;
  parts.push(new Uint8Array(Float32Array.from(numbers(count, 5, -0.5, 0.5)).buffer));
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
