// What a GGUF file takes from a model: tensors under their new names, read one at a time and put into
// the order of rows that the reader of the file expects.
import { resolveFormat } from '../../nn/index.js';
import {
  AnyformerError,
  castArray,
  type NDArray,
  ndarray,
  sizeOf,
  zeros,
} from '../../tensor/index.js';
import { declare, type Model } from '../model.js';

export type Source = {
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * `matrix` takes the type that was asked for; `scores` gives the scores of the vocabulary, and is
   * spared the smallest types; `exact` stays float32.
   */
  readonly role: 'matrix' | 'scores' | 'exact';
  read(): Promise<NDArray>;
};

/** Where each row of a tensor goes: `row` of the model's becomes row `to(row)` of the file's. */
export type RowOrder = (row: number) => number;

export type Sources = {
  /** The dense matrix at a path of the model: [rows, columns], however it lies. */
  matrix(name: string, path: string, options?: { role?: Source['role']; order?: RowOrder }): Source;
  /** A stored tensor under its full name, as float32. */
  exact(name: string, stored: string, options?: { order?: RowOrder }): Source;
  has(stored: string): boolean;
};

/** Errors, at a matrix that was compressed: `export/compressed`. */
export function sourcesOf(model: Model): Sources {
  const { matrices, stored } = declare(model);
  return {
    has: (name) => stored.has(name),
    matrix(name, path, { role = 'matrix', order } = {}) {
      const use = matrices.get(path);
      if (use?.format.format !== 'dense') throw compressed(model, path, use?.format.format);
      const { format, options } = resolveFormat(use.format, path);
      return {
        name,
        shape: [use.rows, use.columns],
        role,
        async read() {
          const weight = await model.weights.read(`${path}.weight`);
          // Transposed ones alone need the format's work; others keep the type they are stored in.
          const dense = options.transposed ? format.decode({ weight }, use, options) : weight;
          return ordered(dense, order);
        },
      };
    },
    exact: (name, at, { order } = {}) => ({
      name,
      shape: stored.get(at)?.shape ?? [],
      role: 'exact',
      read: async () => ordered(castArray(await model.weights.read(at), 'f32'), order),
    }),
  };
}

function ordered({ dtype, shape, data }: NDArray, order: RowOrder | undefined): NDArray {
  if (!order) return ndarray(dtype, shape, data);
  const width = sizeOf(shape.slice(1));
  const out = zeros(dtype, data.length) as Float32Array<ArrayBuffer>;
  for (let row = 0; row < shape[0]; row++) {
    const from = data.subarray(row * width, (row + 1) * width);
    out.set(from as Float32Array, order(row) * width);
  }
  return ndarray(dtype, shape, out);
}

/** Rows of heads whose halves rotate (i with i + d/2), for rotations of neighbours (2i with 2i + 1). */
export const halvesToPairs =
  (headDim: number): RowOrder =>
  (row) => {
    const within = row % headDim;
    const half = headDim / 2;
    const place = within < half ? 2 * within : 2 * (within - half) + 1;
    return row - within + place;
  };

function compressed({ name, quantization }: Model, path: string, format = 'nothing') {
  return new AnyformerError('export/compressed', {
    what: `'${name}' was compressed, and GGUF files have types of their own`,
    expected: 'a model with dense matrices',
    found: `'${path}' as ${format}${quantization ? ` (${quantization.passes.map((p) => p.name).join('+')})` : ''}`,
    hint: 'export the original model with --type q8_0 or q4_0',
  });
}
