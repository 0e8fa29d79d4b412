// Fashion-MNIST (Xiao et al. 2017) from its gzipped IDX files.
import { AnyformerError, fromNumbers, type NDArray } from '../../tensor/index.js';
import type { MeasureContext } from '../system.js';

export const SIDE = 28;
export const CLASSES = 10;

export type Pictures = { pixels: Uint8Array; labels: Uint8Array; count: number };

async function unpacked({ data }: MeasureContext, file: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([await data('fashion-mnist', file)]).stream();
  const plain = packed.pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** The bytes after an IDX header, whose magic number and sizes must be these. */
function content(
  bytes: Uint8Array<ArrayBuffer>,
  magic: number,
  sizes: readonly number[],
  file: string,
) {
  const view = new DataView(bytes.buffer);
  const header = 8 + 4 * sizes.length;
  const count = bytes.length >= header ? view.getUint32(4) : -1;
  const right =
    count >= 0 &&
    view.getUint32(0) === magic &&
    sizes.every((size, i) => view.getUint32(8 + 4 * i) === size) &&
    bytes.length === header + count * sizes.reduce((a, b) => a * b, 1);
  if (right) return { count, values: bytes.subarray(header) };
  const expected = `magic number ${magic}, items of ${sizes.join(' x ') || '1'} bytes`;
  throw mismatch(file, expected, `${bytes.length} bytes`);
}

const mismatch = (file: string, expected: string, found: string) =>
  new AnyformerError('data/idx', {
    what: `${file} is not the IDX file that its name says`,
    expected,
    found,
  });

/** The training pictures or the test's. */
export async function pictures(context: MeasureContext, part: 'train' | 't10k'): Promise<Pictures> {
  const [images, classes] = [`${part}-images-idx3-ubyte.gz`, `${part}-labels-idx1-ubyte.gz`];
  const { count, values } = content(await unpacked(context, images), 0x803, [SIDE, SIDE], images);
  const { count: named, values: labels } = content(
    await unpacked(context, classes),
    0x801,
    [],
    classes,
  );
  if (named !== count) throw mismatch(classes, `${count} labels`, `${named} labels`);
  return { pixels: values, labels, count };
}

/** Brightness over the training pictures. */
const [MEAN, DEVIATION] = [0.286, 0.353];

/** pixels f32[batch, 1, 28, 28], labels i64[batch]. */
export function batchOf(all: Pictures, rows: readonly number[]): Record<string, NDArray> {
  const size = SIDE * SIDE;
  const pixels = new Float32Array(rows.length * size);
  rows.forEach((row, b) => {
    for (let i = 0; i < size; i++) {
      pixels[b * size + i] = (all.pixels[row * size + i] / 255 - MEAN) / DEVIATION;
    }
  });
  return {
    pixels: fromNumbers('f32', [rows.length, 1, SIDE, SIDE], pixels),
    labels: fromNumbers(
      'i64',
      [rows.length],
      rows.map((row) => all.labels[row]),
    ),
  };
}
