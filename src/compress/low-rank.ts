// Low-rank factors by activation-aware SVD, the plain baseline of structured compression: W ~ U V
// with the least error on the outputs. With S the second moment of the inputs, E|Wx - UVx|^2 is least
// for U the leading eigenvectors of the output covariance W S W^T, and V = U^T W.
//
// The eigenvectors come from subspace iteration (Halko et al. 2011) in float64: products on the
// device, orthonormal columns by Cholesky QR, whose small factor is found on the host.
import { CholeskyDecomposition, Matrix, solve } from 'ml-matrix';
import { z } from 'zod';
import type { MatrixUse } from '../nn/index.js';
import {
  AnyformerError,
  castArray,
  fromNumbers,
  graph,
  input,
  type NDArray,
  ndarray,
  parameter,
  toNumbers,
} from '../tensor/index.js';
import { breathe, denseMatrices, type Replacement, readMatrix, withMatrices } from './matrices.js';
import { compressPass, type PassContext } from './pass.js';

const options = z.strictObject({
  /** Bytes of the factors as a share of the matrix's, 0 to 1. */
  ratio: z.number().gt(0).lt(1).default(0.5),
  exclude: z.array(z.string()).default([]),
});
type Options = z.output<typeof options>;

/** Ranks are multiples of this, so that factors fill whole blocks of the quantised formats. */
const RANK_STEP = 16;
const ITERATIONS = 6;

/** The rank at which two factors take `ratio` of the matrix, or undefined where none does. */
export function rankFor(
  { rows, columns }: { rows: number; columns: number },
  ratio: number,
): number | undefined {
  const rank = Math.floor((ratio * rows * columns) / (rows + columns) / RANK_STEP) * RANK_STEP;
  return rank >= RANK_STEP ? rank : undefined;
}

export const lowRank = compressPass<Options>({
  name: 'low-rank',
  summary: 'two thin factors in place of a matrix, least error on the outputs',
  source: 'activation-aware truncated SVD (baseline)',
  needs: 'calibration',
  order: 40,
  options,
  settings: [{ ratio: 0.5 }],
  apply: async (model, o, context) => {
    const matrices = denseMatrices(model, 'low-rank', o.exclude).filter(
      (matrix) => matrix.roles.has('product') && !matrix.roles.has('lookup'),
    );
    const replaced = new Map<string, Replacement>();
    for (const [i, matrix] of matrices.entries()) {
      context.signal?.throwIfAborted();
      const rank = rankFor(matrix, o.ratio);
      if (rank === undefined) continue;
      const { up, down } = await factor(await readMatrix(model, matrix), rank, matrix, context);
      const { path } = matrix;
      replaced.set(path, {
        specs: { [path]: { format: 'low-rank', rank } },
        tensors: new Map([
          [`${path}.down.weight`, down],
          [`${path}.up.weight`, up],
        ]),
      });
      context.progress?.((i + 1) / matrices.length, `low-rank ${path}`);
    }
    if (replaced.size === 0) {
      throw new AnyformerError('compress/nothing', {
        what: `low-rank at ratio ${o.ratio} changes nothing in '${model.name}'`,
        expected: `a matrix large enough for rank ${RANK_STEP}`,
        found: `${matrices.length} smaller ones`,
        hint: 'take a larger ratio, or another pass',
      });
    }
    return withMatrices(model, { name: 'low-rank', options: o }, replaced);
  },
});

/** up [rows, rank] and down [rank, columns] with the least output error. */
async function factor(
  w: NDArray,
  rank: number,
  { path }: MatrixUse,
  { device, calibration, signal }: PassContext,
): Promise<{ up: NDArray; down: NDArray }> {
  if (!calibration) {
    throw new AnyformerError('compress/calibration', {
      what: 'low-rank factors need calibration data',
      expected: 'sample texts',
      found: 'none',
      hint: 'give --data',
    });
  }
  const [rows, columns] = w.shape;
  await using step = await device.compile(iteration(rows, columns, rank), {
    parameters: new Map([
      ['w', castArray(w, 'f64')],
      ['s', calibration.moment(path)],
    ]),
    signal,
  });
  let basis = startingBasis(rows, rank);
  let correction = identity(rank);
  for (let i = 0; i <= ITERATIONS; i++) {
    const { y, gram } = await step.run({ basis, correction }, { signal });
    [basis, correction] = [y, inverseFactor(gram)];
    await breathe();
  }
  await using last = await device.compile(projection(rows, columns, rank), {
    parameters: new Map([['w', castArray(w, 'f64')]]),
    signal,
  });
  const { up, down } = await last.run({ basis, correction }, { signal });
  return { up: castArray(up, 'f32'), down: castArray(down, 'f32') };
}

const shared = (rows: number, rank: number) => ({
  basis: input('basis', 'f64', [rows, rank]),
  correction: input('correction', 'f64', [rank, rank]),
});

/** q = basis correction (orthonormal), y = W S W^T q, gram = y^T y. */
function iteration(rows: number, columns: number, rank: number) {
  const { basis, correction } = shared(rows, rank);
  const w = parameter('w', 'f64', [rows, columns]);
  const s = parameter('s', 'f64', [columns, columns]);
  const q = basis.matmul(correction);
  const y = w.matmul(s.matmul(w.matmul(q, { transposeA: true })));
  return graph({ y, gram: y.matmul(y, { transposeA: true }) });
}

function projection(rows: number, columns: number, rank: number) {
  const { basis, correction } = shared(rows, rank);
  const up = basis.matmul(correction);
  return graph({
    up,
    down: up.matmul(parameter('w', 'f64', [rows, columns]), { transposeA: true }),
  });
}

/** R^-1 for y = q R, from y^T y = R^T R; a small ridge keeps directions without energy apart. */
function inverseFactor(gram: NDArray): NDArray {
  const size = gram.shape[0];
  const g = Matrix.from1DArray(size, size, [...toNumbers(gram)]);
  const ridge = 1e-14 * Math.max(g.trace() / size, Number.MIN_VALUE);
  for (let i = 0; i < size; i++) g.set(i, i, g.get(i, i) + ridge);
  const lower = new CholeskyDecomposition(g).lowerTriangularMatrix;
  const inverse = solve(lower, Matrix.eye(size)).transpose();
  return fromNumbers('f64', [size, size], inverse.to1DArray());
}

/** A fixed full-rank start: cosines of incommensurable frequencies. */
function startingBasis(rows: number, rank: number): NDArray {
  const data = new Float64Array(rows * rank);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < rank; j++)
      data[i * rank + j] = Math.cos((i + 1) * (j + 1) * 0.7548776662 + j);
  }
  return ndarray('f64', [rows, rank], data);
}

const identity = (size: number): NDArray =>
  fromNumbers('f64', [size, size], Matrix.eye(size).to1DArray());
