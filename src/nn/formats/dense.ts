// The plain matrix: `weight` [rows, columns], as Hugging Face's `Linear` and `Embedding`. It holds
// whatever it is given, infinities included.
import { z } from 'zod';
import { castArray, ndarray } from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import { defineFormat, type MatrixSize } from './format.js';

const weight = (s: Scope, { rows, columns }: MatrixSize) =>
  s.parameter('weight', [rows, columns], { init: { kind: 'normal', std: 0.02 } });

export const dense = defineFormat({
  name: 'dense',
  options: z.strictObject({}),
  product: (s, x, size) => x.matmul(weight(s, size), { transposeB: true }),
  lookup: (s, ids, size) => weight(s, size).gather(ids),
  encode: (matrix) => ({ weight: matrix }),
  decode: ({ weight: stored }, { rows, columns }) =>
    ndarray('f32', [rows, columns], castArray(stored, 'f32').data),
  executionError: () => 1e-5,
});
