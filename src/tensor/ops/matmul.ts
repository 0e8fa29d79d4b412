// Matrix product, with the transposes and the scale that fused kernels take for free.
import { fromNumbers, toNumbers } from '../array.js';
import { broadcast, type Dim, type Shape, sameDim, showShape } from '../dim.js';
import { isFloat } from '../dtype.js';
import { defineOp, float, int, reject } from '../op.js';
import { broadcastIndex } from '../strides.js';
import { unbroadcast } from './element.js';

export type MatmulAttributes = { transposeA: boolean; transposeB: boolean; scale: number };

/** [rows, columns] of the last two axes as the product reads them. */
const matrix = <D extends Dim>(shape: readonly D[], transposed: boolean): [D, D] => {
  const [rows, columns] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
};

/** scale * A @ B over the last two axes; leading axes broadcast. */
export const matmul = defineOp<MatmulAttributes>({
  name: 'matmul',
  infer: ([a, b], { transposeA, transposeB }) => {
    if (a.shape.length < 2 || b.shape.length < 2) {
      reject(
        'a matrix product needs matrices',
        'rank >= 2',
        `${showShape(a.shape)} x ${showShape(b.shape)}`,
      );
    }
    if (a.dtype !== b.dtype || !isFloat(a.dtype)) {
      reject('both factors need one float type', a.dtype, b.dtype, 'cast one of them');
    }
    const [m, k] = matrix(a.shape, transposeA);
    const [k2, n] = matrix(b.shape, transposeB);
    const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!sameDim(k, k2) || !lead) {
      reject(
        `${showShape(a.shape)}${transposeA ? '^T' : ''} x ${showShape(b.shape)}${transposeB ? '^T' : ''} do not multiply`,
        'equal inner sizes and leading axes that broadcast',
        `inner sizes ${k} and ${k2}`,
      );
    }
    return [{ dtype: a.dtype, shape: [...lead, m, n] satisfies Shape }];
  },
  flops: ([a], [{ shape }], { transposeA }) =>
    2 * matrix(a.shape, transposeA)[1] * shape.reduce((x, y) => x * y, 1),
  lower: (emit, { values, inputs, attributes: { transposeA, transposeB, scale } }) => {
    const [a, b] = values;
    const { dtype } = inputs[0];
    if (!transposeA && !transposeB && scale === 1) return emit.node('MatMul', [a, b]);
    if (dtype === 'f32' || dtype === 'f16') {
      const attributes = {
        transA: int(transposeA ? 1 : 0),
        transB: int(transposeB ? 1 : 0),
        alpha: float(scale),
      };
      return emit.node('FusedMatMul', [a, b], attributes, 'com.microsoft');
    }
    const swap = (value: string, rank: number) => {
      const perm = Array.from({ length: rank }, (_, i) => i);
      [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
      return emit.node('Transpose', [value], { perm: { kind: 'ints', value: perm } });
    };
    const left = transposeA ? swap(a, inputs[0].shape.length) : a;
    const right = transposeB ? swap(b, inputs[1].shape.length) : b;
    const product = emit.node('MatMul', [left, right]);
    return scale === 1 ? product : emit.node('Mul', [product, emit.scalar(dtype, scale)]);
  },
  evaluate: ([a, b], { transposeA, transposeB, scale }, [{ dtype, shape }]) => {
    const [m, k] = matrix(a.shape, transposeA);
    const n = shape[shape.length - 1];
    const lead = shape.slice(0, -2);
    const batches = lead.reduce((x, y) => x * y, 1);
    const ia = broadcastIndex(a.shape.slice(0, -2), lead);
    const ib = broadcastIndex(b.shape.slice(0, -2), lead);
    const [x, y] = [toNumbers(a), toNumbers(b)];
    const [am, ak] = transposeA ? [1, m] : [k, 1];
    const [bk, bn] = transposeB ? [1, k] : [n, 1];
    const out = new Float64Array(batches * m * n);
    for (let batch = 0; batch < batches; batch++) {
      const [fromA, fromB] = [ia(batch) * m * k, ib(batch) * k * n];
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < k; p++) {
            sum += x[fromA + i * am + p * ak] * y[fromB + p * bk + j * bn];
          }
          out[(batch * m + i) * n + j] = scale * sum;
        }
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
  gradient: ({ inputs: [a, b], gradients: [g], attributes }) => {
    if (!g) return [];
    const { transposeA, transposeB, scale } = attributes;
    const da = transposeA
      ? b.matmul(g, { transposeA: transposeB, transposeB: true, scale })
      : g.matmul(b, { transposeB: !transposeB, scale });
    // One matrix for a whole batch of rows: a single product over all of them, no sum afterwards.
    const shared = b.rank === 2 && a.rank > 2 && !transposeA;
    const [rows, grads] = shared ? [a, g].map((x) => x.reshape(-1, x.size(-1))) : [a, g];
    const db = transposeB
      ? grads.matmul(rows, { transposeA: true, transposeB: transposeA, scale })
      : rows.matmul(grads, { transposeA: !transposeA, scale });
    return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)];
  },
});
