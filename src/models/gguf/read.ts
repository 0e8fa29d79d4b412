// Reading GGUF: the header at opening (`read-header.ts`), data when asked for. Reads numbers of the types
// that are written here; makes no model of them.
import { openFile } from '#platform';
import { AnyformerError, type NDArray, ndarray, nearest } from '../../tensor/index.js';
import { printable } from '../json-strict.js';
import { codecs } from './codecs.js';
import { headerCursor } from './header-cursor.js';
import { type GgufEntry, readHeader } from './read-header.js';
import type { GgufMetadata, WrittenType } from './types.js';

export type { GgufEntry } from './read-header.js';

export type GgufFile = AsyncDisposable & {
  readonly path: string;
  readonly version: number;
  readonly metadata: GgufMetadata;
  /** By name, in the order of the table. */
  readonly tensors: ReadonlyMap<string, GgufEntry>;
  /** The stored bytes. */
  bytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The numbers, float32. */
  read(name: string): Promise<NDArray>;
  close(): Promise<void>;
};

/**
 * Errors: those of the platform's files, `gguf/format` (magic, version, byte order), `gguf/truncated`,
 * `gguf/limit` (more entries than a sound file has), `gguf/text`, `gguf/value`, `gguf/duplicate`,
 * `gguf/type`, `gguf/shape`, `gguf/offset`; later `gguf/no-tensor`, `gguf/type`.
 */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await openFile(path);
  try {
    const cursor = headerCursor(file);
    const header = await readHeader(cursor, path);
    const { tensors } = header;
    const entry = (name: string): GgufEntry => {
      const found = tensors.get(name);
      if (found) return found;
      const close = tensors.size <= 5000 ? nearest(name, tensors.keys()) : [];
      throw new AnyformerError('gguf/no-tensor', {
        what: `${path} has no tensor ${printable(name)}`,
        expected: `one of its ${tensors.size} tensors`,
        found: printable(name),
        hint:
          close.length > 0 ? `nearest: ${close.map((n) => printable(n)).join(', ')}` : undefined,
      });
    };
    const bytes = (name: string) => file.read(entry(name).offset, entry(name).bytes);
    return {
      path,
      ...header,
      bytes,
      read: async (name) => {
        const { type, shape } = entry(name);
        if (!Object.hasOwn(codecs, type.name)) {
          throw new AnyformerError('gguf/type', {
            what: `tensor ${printable(name)} of ${path} has a type that is not read as numbers`,
            expected: Object.keys(codecs).join(', '),
            found: type.name,
          });
        }
        const values = codecs[type.name as WrittenType].decode(await bytes(name));
        return ndarray('f32', shape, values);
      },
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
