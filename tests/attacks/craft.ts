// Hostile files: built byte by byte, handed to the readers, and the folder looked at afterwards.
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openCheckpoint } from '../../src/models/checkpoint.js';
import { writeSafetensors } from '../../src/models/safetensors-write.js';
import { AnyformerError } from '../../src/tensor/error.js';

export type Craft = {
  /** Text of the header, or an object for JSON. */
  header: string | Uint8Array | object;
  data?: Uint8Array | number;
  /** The announced header length; the true one unless told. */
  length?: bigint;
};

export function craft({ header, data = 0, length }: Craft): Uint8Array<ArrayBuffer> {
  const text =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const tail = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + tail.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(tail, 8 + text.length);
  return bytes;
}

export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'anyformer-attack-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function snapshot(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const hashes = names.map(async (name) => {
    const bytes = await readFile(join(folder, name));
    return `${name} ${createHash('sha256').update(bytes).digest('hex')}`;
  });
  return (await Promise.all(hashes)).sort();
}

export async function refusal(run: () => Promise<unknown>): Promise<AnyformerError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
  throw new Error('accepted');
}

/** Loads `path` and writes a copy beside it: what a conversion does. */
export async function convert(path: string, out: string): Promise<void> {
  await using store = await openCheckpoint(path);
  const types = [...store.names()].map((name) => [name, store.type(name)] as const);
  await writeSafetensors(out, { types, read: (name) => store.read(name) });
}

/**
 * The file is refused with `code`, the message names it, and neither the copy nor anything else
 * appears in the folder.
 */
export async function expectRefused(
  bytes: Uint8Array,
  code: string,
  mentions = 'model.safetensors',
): Promise<AnyformerError> {
  return await inFolder(async (folder) => {
    const path = join(folder, 'model.safetensors');
    await writeFile(path, bytes);
    const before = await snapshot(folder);
    const error = await refusal(() => convert(path, join(folder, 'copy.safetensors')));
    expect(error.code).toBe(code);
    expect(error.message).toContain(mentions);
    expect(error.expected).toBeDefined();
    expect(error.found).toBeDefined();
    expect(await snapshot(folder)).toEqual(before);
    return error;
  });
}

export const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});
