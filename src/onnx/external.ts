// Weights beside the model file instead of inside it: protobuf ends at 2 GiB, and a file of plain
// weights can be memory-mapped. `externalize` plans the layout and streams the bytes without
// gathering them; `loadExternal` brings them back. Tensors in attributes (Constant nodes) stay inside.
import { bytesOf, ndarray, sizeOf } from '../tensor/array.js';
import { dtypes, type TypedArray, viewAs } from '../tensor/dtype.js';
import { onnxError, quote } from './limits.js';
import { checkLocation } from './location.js';
import {
  allGraphs,
  type ExternalData,
  type Initializer,
  initializerBytes,
  isExternal,
  mapInitializers,
  type OnnxModel,
} from './model.js';
import { plainBytes } from './tensor.js';

/** `length` bytes at `offset` of the file `location`, which lies beside the model. */
export type ExternalReader = (
  location: string,
  offset: number,
  length: number,
) => Uint8Array | Promise<Uint8Array>;

export type ExternalizeOptions = {
  /** The name of the weights' file, relative to the model. */
  location: string;
  /** Initializers of this many bytes or more move out. */
  threshold?: number;
  /** Every tensor starts at a multiple of this. */
  alignment?: number;
};

export type Externalized = {
  model: OnnxModel;
  /** Bytes of the weights' file. */
  length: number;
  /** Its content in order: views of at most 16 MiB on the weights. May be iterated again. */
  chunks: Iterable<Uint8Array>;
};

const chunkBytes = 2 ** 24;

/**
 * A model whose initializers of `threshold` bytes or more (default 1024) lie in the file
 * `location`, and that file's bytes to write beside it. Arrays that share their data are stored
 * once; initializers that are external already stay where they are.
 */
export function externalize(model: OnnxModel, options: ExternalizeOptions): Externalized {
  const { threshold = 1024, alignment = 64 } = options;
  const location = checkLocation(options.location, 'externalize');
  if (!Number.isInteger(alignment) || alignment < 1) {
    throw onnxError('external', {
      what: 'the alignment of external data must be a whole number of bytes',
      found: `${alignment}`,
    });
  }
  const offsets = new Map<TypedArray, number>();
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const place = (initializer: Initializer, name: string): Initializer => {
    if (isExternal(initializer)) {
      if (initializer.location !== location) return initializer;
      throw onnxError('external', {
        what: `initializer ${quote(name)} already lies in ${quote(location)}, which would be overwritten`,
        hint: 'choose another location',
      });
    }
    const length = initializerBytes(initializer);
    if (length < threshold || length === 0) return initializer;
    let offset = offsets.get(initializer.data);
    if (offset === undefined) {
      offset = Math.ceil(end / alignment) * alignment;
      offsets.set(initializer.data, offset);
      parts.push({ offset, bytes: bytesOf(initializer) });
      end = offset + length;
    }
    const { dtype, shape } = initializer;
    return { dtype, shape, location, offset, length };
  };
  const moved = mapInitializers(model, place);
  return { model: moved, length: end, chunks: { [Symbol.iterator]: () => stream(parts) } };
}

function* stream(parts: { offset: number; bytes: Uint8Array }[]): Generator<Uint8Array> {
  let written = 0;
  for (const { offset, bytes } of parts) {
    if (offset > written) yield new Uint8Array(offset - written);
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
    written = offset + bytes.length;
  }
}

/**
 * The model with every external initializer read through `read`. A reader that returns another
 * number of bytes than asked for is an error `onnx/external`.
 */
export async function loadExternal(model: OnnxModel, read: ExternalReader): Promise<OnnxModel> {
  const loaded = new Map<ExternalData, Initializer>();
  for (const graph of allGraphs(model.graph)) {
    for (const [name, initializer] of graph.initializers) {
      if (isExternal(initializer)) loaded.set(initializer, await loadOne(name, initializer, read));
    }
  }
  return mapInitializers(model, (one) => (isExternal(one) ? (loaded.get(one) ?? one) : one));
}

async function loadOne(
  name: string,
  { dtype, shape, location, offset, length }: ExternalData,
  read: ExternalReader,
): Promise<Initializer> {
  checkLocation(location, name);
  const bytes = plainBytes(await read(location, offset, length));
  if (bytes.byteLength !== length || length !== sizeOf(shape) * dtypes[dtype].bytes) {
    throw onnxError('external', {
      what: `initializer ${quote(name)} is not whole in ${quote(location)}`,
      expected: `${length} bytes at ${offset}`,
      found: `${bytes.byteLength} bytes`,
      hint: 'the weights file is cut or belongs to another model',
    });
  }
  return ndarray(dtype, shape, viewAs(dtype, bytes));
}
