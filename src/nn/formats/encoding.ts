// What encoders share: their input, checked, and the search for the step of a run of weights.
import { AnyformerError, fromHalf, type NDArray, toHalf, toNumbers } from '../../tensor/index.js';
import type { Encoding, MatrixSize } from './format.js';

/** The numbers of a matrix, each finite in float32. */
export function matrixValues(matrix: NDArray): { values: Float64Array; size: MatrixSize } {
  const [rows, columns] = matrix.shape;
  if (matrix.shape.length !== 2) {
    throw new AnyformerError('format/matrix', {
      what: 'only a matrix can be encoded',
      expected: '[rows, columns]',
      found: `[${matrix.shape.join(', ')}]`,
    });
  }
  const values = toNumbers(matrix);
  const bad = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (bad >= 0) {
    throw new AnyformerError('format/non-finite', {
      what: `the weight [${Math.floor(bad / columns)}, ${bad % columns}] is not a finite number`,
      expected: 'weights that float32 holds',
      found: String(values[bad]),
      hint: 'the checkpoint may be damaged, or its training diverged',
    });
  }
  return { values, size: { rows, columns } };
}

/** The weight of each input feature in errors, where one is given. */
export function featureWeights(
  { importance }: Encoding,
  columns: number,
): Float64Array | undefined {
  if (!importance) return undefined;
  const weights = Float64Array.from(importance);
  const bad = weights.find((value) => !(Number.isFinite(value) && value >= 0));
  if (weights.length !== columns || bad !== undefined) {
    throw new AnyformerError('format/importance', {
      what: 'the importance of the input features does not fit the matrix',
      expected: `${columns} finite numbers >= 0`,
      found: bad === undefined ? `${weights.length} numbers` : String(bad),
    });
  }
  return weights;
}

export const largest = (run: Float64Array): number =>
  run.reduce((a, value) => Math.max(a, Math.abs(value)), 0);

/** The step as float16 stores it. */
export function halfStep(step: number): number {
  const stored = fromHalf(toHalf(step));
  if (!Number.isFinite(stored)) {
    throw new AnyformerError('format/range', {
      what: 'a weight is too large for a float16 step',
      expected: 'steps below 65504',
      found: String(step),
    });
  }
  return stored;
}

export type Found = { step: number; error: number };

/**
 * Of the steps tried, the first with the least error, and that error; a step of 0, which makes every
 * weight 0, stands against them all. `errorOf` may stop adding up once it is above the limit.
 */
export function leastError(
  run: Float64Array,
  weights: Float64Array | undefined,
  steps: Iterable<number>,
  errorOf: (step: number, limit: number) => number,
): Found {
  let zero = 0;
  for (let i = 0; i < run.length; i++) zero += run[i] * run[i] * (weights ? weights[i] : 1);
  let best = { step: 0, error: zero };
  for (const step of steps) {
    const error = step === 0 ? zero : errorOf(step, best.error);
    if (error < best.error) best = { step, error };
  }
  return best;
}
