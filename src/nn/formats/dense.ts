// The plain matrix: `weight` [rows, columns], as Hugging Face's `Linear` and `Embedding`, or
// transposed, [columns, rows], as the `Conv1D` of GPT-2. It holds whatever it is given, infinities
// included.
import { z } from 'zod';
import { castArray, type NDArray, ndarray, type Tensor, zeros } from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import { defineFormat, type MatrixSize, type MatrixSpec } from './format.js';

const options = z.strictObject({ transposed: z.boolean().default(false) });
type Options = z.output<typeof options>;

/** How a transposed matrix is declared. */
export const transposedDense: MatrixSpec = { format: 'dense', transposed: true };

function weight(s: Scope, { rows, columns }: MatrixSize, { transposed }: Options): Tensor {
  const shape = transposed ? [columns, rows] : [rows, columns];
  return s.parameter('weight', shape, { init: { kind: 'normal', std: 0.02 } });
}

/** [a, b] -> [b, a] */
function turned({ dtype, shape: [rows, columns], data }: NDArray): NDArray {
  const out = zeros(dtype, rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) out[k * rows + row] = data[row * columns + k];
  }
  return ndarray(dtype, [columns, rows], out);
}

export const dense = defineFormat<Options>({
  name: 'dense',
  options,
  product: (s, x, size, o) => x.matmul(weight(s, size, o), { transposeB: !o.transposed }),
  lookup: (s, ids, size, o) => {
    const stored = weight(s, size, o);
    return (o.transposed ? stored.swap(0, 1) : stored).gather(ids);
  },
  encode: (matrix, { transposed }) => ({ weight: transposed ? turned(matrix) : matrix }),
  decode: ({ weight: stored }, { rows, columns }, { transposed }) => {
    const { data } = castArray(transposed ? turned(stored) : stored, 'f32');
    return ndarray('f32', [rows, columns], data);
  },
  executionError: () => 1e-5,
});
