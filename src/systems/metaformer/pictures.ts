// Fashion-MNIST (Xiao et al. 2017) from its gzipped IDX files.
import { parseIdx } from '../../data/idx.js';
import { fromNumbers, type NDArray } from '../../tensor/index.js';
import type { MeasureContext } from '../system.js';

export const SIDE = 28;
export const CLASSES = 10;

export type Pictures = { pixels: Uint8Array; labels: Uint8Array; count: number };

/** The training pictures or the test's. Errors: `data/idx`, `data/gzip`, `systems/no-data`. */
export async function pictures(
  { data }: MeasureContext,
  part: 'train' | 't10k',
): Promise<Pictures> {
  const [images, classes] = [`${part}-images-idx3-ubyte.gz`, `${part}-labels-idx1-ubyte.gz`];
  const content = async (file: string, shape: readonly (number | undefined)[]) =>
    await parseIdx(await data('fashion-mnist', file), { file, shape, dtype: 'u8' });
  const pixels = await content(images, [undefined, SIDE, SIDE]);
  const count = pixels.shape[0];
  const labels = await content(classes, [count]);
  return { pixels: pixels.data as Uint8Array, labels: labels.data as Uint8Array, count };
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
