// int8 with one scale for each output feature; activations are rounded to uint8 at run time with one
// scale for the whole tensor (ONNX Runtime's DynamicQuantizeMatMul). The fastest route for batches,
// but what a row gets depends on its neighbours in the batch: |x - q d| <= d / 2 holds for weights
// only.
import { z } from 'zod';
import {
  fromNumbers,
  type NDArray,
  ndarray,
  roundHalfEven,
  toNumbers,
} from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import { largest, matrixValues } from './encoding.js';
import { defineFormat, type MatrixSize } from './format.js';

const scales = (s: Scope, { rows }: MatrixSize) => s.parameter('scales', [rows]);

/** [rows, columns] -> [columns, rows], as the kernel reads it. */
function transposed({ shape: [rows, columns], data }: NDArray): NDArray {
  const out = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) out[k * rows + row] = Number(data[row * columns + k]);
  }
  return ndarray('i8', [columns, rows], out);
}

export const channelInt8 = defineFormat({
  name: 'channel-int8',
  options: z.strictObject({}),
  product: (s, x, size) => {
    const { rows, columns } = size;
    const stored = s.store('qweight', { dtype: 'i8', shape: [rows, columns] });
    const codes = s.derived(
      'qweight_t',
      { dtype: 'i8', shape: [columns, rows] },
      {
        from: [stored],
        compute: ([array]) => transposed(array),
      },
    );
    return x.dynamicQuantizeMatmul(codes, scales(s, size));
  },
  lookup: (s, ids, size) => {
    const { rows, columns } = size;
    const codes = s.parameter('qweight', [rows, columns], { dtype: 'i8' });
    return codes.gather(ids).cast('f32').mul(scales(s, size).gather(ids).unsqueeze(-1));
  },
  encode: (matrix) => {
    const { values, size } = matrixValues(matrix);
    const { rows, columns } = size;
    const codes = new Int8Array(rows * columns);
    const steps = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      const run = values.subarray(row * columns, (row + 1) * columns);
      const step = Math.fround(largest(run) / 127);
      steps[row] = step;
      if (step === 0) continue;
      for (let k = 0; k < columns; k++) {
        codes[row * columns + k] = Math.max(-127, Math.min(127, roundHalfEven(run[k] / step)));
      }
    }
    return {
      qweight: ndarray('i8', [rows, columns], codes),
      scales: ndarray('f32', [rows], steps),
    };
  },
  decode: ({ qweight, scales: steps }, { rows, columns }) => {
    const codes = toNumbers(qweight);
    const out = codes.map((code, i) => code * Number(steps.data[Math.floor(i / columns)]));
    return fromNumbers('f32', [rows, columns], out);
  },
  executionError: () => 0.03,
});
