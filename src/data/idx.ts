// IDX files, the format of the MNIST family of data sets: a magic number that gives element type and
// rank, big-endian sizes, then the elements, big-endian too. Gzipped files are unpacked.
import { fileBytes, readFile } from '#platform';
import {
  AnyformerError,
  type DType,
  dtypes,
  type NDArray,
  ndarray,
  sizeOf,
  zeros,
} from '../tensor/index.js';
import { gunzip, isGzip } from './gunzip.js';

const TYPES: Readonly<Record<number, DType>> = {
  8: 'u8',
  9: 'i8',
  12: 'i32',
  13: 'f32',
  14: 'f64',
};

const MOST_BYTES = 1 << 30;
const MOST_DIMENSIONS = 8;

export type IdxOptions = {
  /** For messages. */
  file?: string;
  /** What the file must hold; undefined where any size will do. */
  shape?: readonly (number | undefined)[];
  dtype?: DType;
};

/** The array of a file. Errors: those of `parseIdx` and the platform's; `data/idx` over 1 GiB. */
export async function readIdx(path: string, options: IdxOptions = {}): Promise<NDArray> {
  const size = await fileBytes(path);
  if (size > MOST_BYTES) throw refused(path, `at most ${MOST_BYTES} bytes`, `${size} bytes`);
  return await parseIdx(await readFile(path), { file: path, ...options });
}

/**
 * The array that the bytes hold, gzipped or not: u8, i8, i32, f32 or f64. Errors: `data/gzip`;
 * `data/idx` naming the file for another format, a size that the bytes do not have, another shape or
 * type than wanted.
 */
export async function parseIdx(
  given: Uint8Array<ArrayBuffer>,
  { file = 'the file', shape: wanted, dtype: type }: IdxOptions = {},
): Promise<NDArray> {
  const bytes = isGzip(given) ? await gunzip(given, { file, most: MOST_BYTES }) : given;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0) {
    throw refused(file, 'an IDX file, which begins with two zero bytes', `${bytes.length} bytes`);
  }
  const dtype = TYPES[bytes[2]];
  if (dtype === undefined) {
    throw refused(file, `an element type of ${Object.keys(TYPES).join(', ')}`, String(bytes[2]));
  }
  const rank = bytes[3];
  const header = 4 + 4 * rank;
  if (rank > MOST_DIMENSIONS || bytes.length < header) {
    throw refused(file, `sizes of at most ${MOST_DIMENSIONS} dimensions`, `${rank} dimensions`);
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const width = dtypes[dtype].bytes;
  const needed = header + width * sizeOf(shape);
  if (needed !== bytes.length) {
    throw refused(file, `${needed} bytes for ${dtype}[${shape}]`, `${bytes.length} bytes`);
  }
  const fits =
    wanted === undefined ||
    (wanted.length === rank && wanted.every((size, i) => size === undefined || size === shape[i]));
  if (!fits || (type !== undefined && type !== dtype)) {
    const sizes = wanted?.map((size) => size ?? 'any').join(', ') ?? shape.join(', ');
    throw refused(file, `${type ?? dtype}[${sizes}]`, `${dtype}[${shape.join(', ')}]`);
  }
  return ndarray(dtype, shape, elements(dtype, view, header));
}

function elements(dtype: DType, view: DataView, header: number): NDArray['data'] {
  const width = dtypes[dtype].bytes;
  const count = (view.byteLength - header) / width;
  const data = zeros(dtype, count);
  const raw = new Uint8Array(data.buffer);
  raw.set(new Uint8Array(view.buffer, view.byteOffset + header, count * width));
  // Typed arrays are little-endian on every machine that runs this.
  if (width > 1)
    for (let at = 0; at < raw.length; at += width) raw.subarray(at, at + width).reverse();
  return data;
}

const refused = (file: string, expected: string, found: string): AnyformerError =>
  new AnyformerError('data/idx', {
    what: `${file} is not the IDX file that is expected`,
    expected,
    found,
  });
