// A linear probe: ridge regression from embeddings to one-hot labels, the usual cheap judge of what
// an encoder's vectors still tell apart. Closed form, so the same vectors give the same accuracy.
import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { AnyformerError, type NDArray } from '../tensor/index.js';

export type Probe = {
  /** Class of each row of float32 [texts, width]. */
  classify(vectors: NDArray): number[];
};

/**
 * Strength of the ridge, as a share of the mean sum of squares of a feature: strong, since there are
 * about as many texts as features.
 */
const RIDGE = 1;

/** Fits vectors [texts, width] to labels 0..classes-1. */
export function fitProbe(vectors: NDArray, labels: readonly number[], classes: number): Probe {
  const [count, width] = vectors.shape;
  if (count !== labels.length) {
    throw new AnyformerError('optimize/probe', {
      what: 'a probe needs one label a text',
      expected: `${count} labels`,
      found: String(labels.length),
    });
  }
  // With features z = [x, 1]: (Z^T Z + r I) w = Z^T Y.
  const size = width + 1;
  const gram = new Float64Array(size * size);
  const right = new Float64Array(size * classes);
  const data = vectors.data as Float32Array;
  for (let t = 0; t < count; t++) {
    const at = t * width;
    for (let i = 0; i < size; i++) {
      const x = i < width ? data[at + i] : 1;
      if (x === 0) continue;
      for (let j = i; j < width; j++) gram[i * size + j] += x * data[at + j];
      gram[i * size + width] += x;
      right[i * classes + labels[t]] += x;
    }
  }
  let trace = 0;
  for (let i = 0; i < width; i++) trace += gram[i * size + i];
  const ridge = Math.max((RIDGE * trace) / width, 1e-12);
  for (let i = 0; i < size; i++) {
    gram[i * size + i] += ridge;
    for (let j = 0; j < i; j++) gram[i * size + j] = gram[j * size + i];
  }
  const weights = new CholeskyDecomposition(new Matrix(rowsOf(gram, size, size))).solve(
    new Matrix(rowsOf(right, size, classes)),
  );
  return { classify: (x) => classifyAll(x, weights, classes) };
}

const rowsOf = (data: Float64Array, rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, (_, i) => [...data.subarray(i * columns, (i + 1) * columns)]);

function classifyAll({ shape, data }: NDArray, weights: Matrix, classes: number): number[] {
  const [count, width] = shape;
  const vectors = data as Float32Array;
  const columns = Array.from({ length: classes }, (_, c) => weights.getColumn(c));
  return Array.from({ length: count }, (_, t) => {
    let best = 0;
    let top = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) {
      const w = columns[c];
      let score = w[width];
      for (let i = 0; i < width; i++) score += w[i] * vectors[t * width + i];
      if (score > top) [best, top] = [c, score];
    }
    return best;
  });
}

/** Share of equal entries. */
export const agreement = (a: readonly number[], b: readonly number[]): number =>
  a.filter((value, i) => value === b[i]).length / Math.max(1, a.length);
