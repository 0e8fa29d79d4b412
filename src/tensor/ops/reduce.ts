// Reductions over axes, and prefix sums.
import { fromNumbers, type NDArray, sizeOf, toNumbers } from '../array.js';
import type { Shape } from '../dim.js';
import { isFloat } from '../dtype.js';
import { axisOf, type ConcreteType, defineOp, int, reject } from '../op.js';
import { around, broadcastIndex } from '../strides.js';

export type ReduceAttributes = { axes: readonly number[]; keep: boolean };

const reducedShape = (shape: Shape, axes: readonly number[], keep: boolean): Shape => {
  const gone = new Set(axes.map((axis) => axisOf(axis, shape.length)));
  return keep ? shape.map((d, i) => (gone.has(i) ? 1 : d)) : shape.filter((_, i) => !gone.has(i));
};

function fold(
  x: NDArray,
  axes: readonly number[],
  start: number,
  step: (acc: number, value: number) => number,
): Float64Array<ArrayBuffer> {
  const kept = reducedShape(x.shape, axes, true) as number[];
  const out = new Float64Array(sizeOf(kept)).fill(start);
  const index = broadcastIndex(kept, x.shape);
  const values = toNumbers(x);
  for (let i = 0; i < values.length; i++) out[index(i)] = step(out[index(i)], values[i]);
  return out;
}

const inputSize = ([{ shape }]: readonly ConcreteType[]): number => sizeOf(shape);

function reduction(
  name: string,
  op: string,
  start: number,
  step: (acc: number, value: number) => number,
  finish: (acc: number, count: number) => number = (acc) => acc,
) {
  return defineOp<ReduceAttributes>({
    name,
    infer: ([x], { axes, keep }) => {
      if (x.dtype === 'bool') reject('bool has no arithmetic', 'a number type', 'bool', 'cast it');
      return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keep) }];
    },
    flops: inputSize,
    lower: (emit, { values, attributes: { axes, keep } }) =>
      emit.node(op, [values[0], emit.sizes(axes)], { keepdims: int(keep ? 1 : 0) }),
    evaluate: ([x], { axes }, [{ dtype, shape }]) => {
      const count = x.data.length / Math.max(1, sizeOf(shape));
      const values = fold(x, axes, start, step).map((acc) => finish(acc, count));
      return [fromNumbers(dtype, shape, values)];
    },
  });
}

export const sum = reduction('sum', 'ReduceSum', 0, (a, x) => a + x);
export const mean = reduction(
  'mean',
  'ReduceMean',
  0,
  (a, x) => a + x,
  (a, count) => a / count,
);
export const max = reduction('max', 'ReduceMax', Number.NEGATIVE_INFINITY, Math.max);
export const min = reduction('min', 'ReduceMin', Number.POSITIVE_INFINITY, Math.min);
export const prod = reduction('prod', 'ReduceProd', 1, (a, x) => a * x);

/** log(sum(exp(x))) without overflow. */
export const logSumExp = defineOp<ReduceAttributes>({
  name: 'logSumExp',
  infer: ([x], { axes, keep }) => {
    if (!isFloat(x.dtype)) reject('logSumExp needs floats', 'a float type', x.dtype);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keep) }];
  },
  flops: (inputs) => 3 * inputSize(inputs),
  lower: (emit, { values, attributes: { axes, keep } }) =>
    emit.node('ReduceLogSumExp', [values[0], emit.sizes(axes)], { keepdims: int(keep ? 1 : 0) }),
  evaluate: ([x], { axes }, [{ dtype, shape }]) => {
    const top = fold(x, axes, Number.NEGATIVE_INFINITY, Math.max);
    const kept = reducedShape(x.shape, axes, true) as number[];
    const index = broadcastIndex(kept, x.shape);
    const total = new Float64Array(top.length);
    toNumbers(x).forEach((value, i) => {
      const at = index(i);
      if (Number.isFinite(top[at])) total[at] += Math.exp(value - top[at]);
    });
    return [
      fromNumbers(
        dtype,
        shape,
        top.map((t, i) => (Number.isFinite(t) ? t + Math.log(total[i]) : t)),
      ),
    ];
  },
});

function extreme(name: string, op: string, better: (value: number, best: number) => boolean) {
  return defineOp<{ axis: number; keep: boolean }>({
    name,
    infer: ([x], { axis, keep }) => [{ dtype: 'i64', shape: reducedShape(x.shape, [axis], keep) }],
    flops: inputSize,
    lower: (emit, { values, attributes: { axis, keep } }) =>
      emit.node(op, values, { axis: int(axis), keepdims: int(keep ? 1 : 0) }),
    evaluate: ([x], { axis }, [{ dtype, shape }]) => {
      const [before, size, after] = around(x.shape, axisOf(axis, x.shape.length));
      const values = toNumbers(x);
      const out = new Float64Array(before * after);
      for (let i = 0; i < before; i++) {
        for (let k = 0; k < after; k++) {
          let best = 0;
          const at = (j: number) => values[(i * size + j) * after + k];
          for (let j = 1; j < size; j++) if (better(at(j), at(best))) best = j;
          out[i * after + k] = best;
        }
      }
      return [fromNumbers(dtype, shape, out)];
    },
  });
}

/** Position of the largest element along an axis; the first of equals. */
export const argMax = extreme('argMax', 'ArgMax', (value, best) => value > best);
export const argMin = extreme('argMin', 'ArgMin', (value, best) => value < best);

/** Running sum along one axis, up to and including each element (or before it: `exclusive`). */
export const cumsum = defineOp<{ axis: number; exclusive: boolean; reverse: boolean }>({
  name: 'cumsum',
  infer: ([x], { axis }) => {
    axisOf(axis, x.shape.length);
    return [x];
  },
  flops: inputSize,
  lower: (emit, { values, attributes: { axis, exclusive, reverse } }) =>
    emit.node('CumSum', [values[0], emit.scalar('i64', axis)], {
      exclusive: int(exclusive ? 1 : 0),
      reverse: int(reverse ? 1 : 0),
    }),
  evaluate: ([x], { axis, exclusive, reverse }, [{ dtype, shape }]) => {
    const [before, size, after] = around(shape, axisOf(axis, shape.length));
    const values = toNumbers(x);
    const out = new Float64Array(values.length);
    for (let i = 0; i < before; i++) {
      for (let k = 0; k < after; k++) {
        let total = 0;
        for (let step = 0; step < size; step++) {
          const j = reverse ? size - 1 - step : step;
          const at = (i * size + j) * after + k;
          if (exclusive) out[at] = total;
          total += values[at];
          if (!exclusive) out[at] = total;
        }
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
});
