// How well one set of vectors keeps the geometry of another: cosine of each pair, and nearest
// neighbours by cosine.
import type { NDArray } from '../tensor/index.js';

/** Rows scaled to length 1. */
function unitRows({ shape: [count, width], data }: NDArray): Float64Array {
  const out = Float64Array.from(data as Float32Array);
  for (let i = 0; i < count; i++) {
    const row = out.subarray(i * width, (i + 1) * width);
    const norm = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    if (norm > 0) for (let k = 0; k < width; k++) row[k] /= norm;
  }
  return out;
}

/** Mean cosine between row i of a and row i of b, both [texts, width]. */
export function meanCosine(a: NDArray, b: NDArray): number {
  const [x, y] = [unitRows(a), unitRows(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum / a.shape[0];
}

/** Positions of the k nearest rows of each row, itself left out, nearest first. */
export function nearestRows(vectors: NDArray, k: number): number[][] {
  const [count, width] = vectors.shape;
  const x = unitRows(vectors);
  return Array.from({ length: count }, (_, i) => {
    const scores = new Float64Array(count);
    const row = x.subarray(i * width, (i + 1) * width);
    for (let j = 0; j < count; j++) {
      let dot = 0;
      const at = j * width;
      for (let f = 0; f < width; f++) dot += row[f] * x[at + f];
      scores[j] = j === i ? Number.NEGATIVE_INFINITY : dot;
    }
    const order = Array.from({ length: count }, (_, j) => j);
    return order.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, Math.min(k, count - 1));
  });
}

/** Share of `wanted` neighbours that `found` holds too. */
export function recall(wanted: readonly number[][], found: readonly number[][]): number {
  let hits = 0;
  let total = 0;
  wanted.forEach((row, i) => {
    const have = new Set(found[i]);
    hits += row.filter((j) => have.has(j)).length;
    total += row.length;
  });
  return total === 0 ? 1 : hits / total;
}
