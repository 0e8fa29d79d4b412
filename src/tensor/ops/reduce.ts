// Reductions over axes, and prefix sums.
import { fromIntegers, fromNumbers, sizeOf, toIntegers, toNumbers } from '../array.js';
import { type Dim, mulDims, type Shape } from '../dim.js';
import { isFloat, isInteger } from '../dtype.js';
import { axisOf, type ConcreteType, defineOp, flat, int, type OpRow, reject } from '../op.js';
import { around, broadcastIndex } from '../strides.js';
import type { Tensor } from '../tensor.js';
import { checkKind, larger, smaller } from './element.js';

export type ReduceAttributes = { axes: readonly number[]; keep: boolean };

const reducedShape = (shape: Shape, axes: readonly number[], keep: boolean): Shape => {
  const gone = new Set(axes.map((axis) => axisOf(axis, shape.length)));
  return keep ? shape.map((d, i) => (gone.has(i) ? 1 : d)) : shape.filter((_, i) => !gone.has(i));
};

function fold<V>(
  values: ArrayLike<V>,
  shape: readonly number[],
  axes: readonly number[],
  start: V,
  step: (acc: V, value: V) => V,
): V[] {
  const reduced = reducedShape(shape, axes, true) as number[];
  const out = new Array<V>(sizeOf(reduced)).fill(start);
  const index = broadcastIndex(reduced, shape);
  for (let i = 0; i < values.length; i++) out[index(i)] = step(out[index(i)], values[i]);
  return out;
}

const inputSize = ([{ shape }]: readonly ConcreteType[]): number => sizeOf(shape);

/** ONNX takes an empty list of axes for all of them; here it reduces none. */
const lowerReduce =
  (op: string): OpRow<ReduceAttributes>['lower'] =>
  (emit, { values, attributes: { axes, keep } }) =>
    axes.length === 0
      ? values[0]
      : emit.node(op, [values[0], emit.sizes(axes)], { keepdims: int(keep ? 1 : 0) });

type Fold<V> = { start: V; step: (acc: V, value: V) => V; finish?: (acc: V, count: number) => V };

/** dL/dx, from g = dL/dy and y, both with the reduced axes kept as 1. */
type Slope = (g: Tensor, x: Tensor, y: Tensor, axes: readonly number[]) => Tensor;

/** A reduced value with its axes back as 1. */
const kept = (y: Tensor, x: Tensor, { axes, keep }: ReduceAttributes): Tensor =>
  keep ? y : y.reshape(...reducedShape(x.shape, axes, true));

/** Floats fold in float64 and round once, integers exactly and wrap. */
function reduction(
  name: string,
  op: string,
  floats: Fold<number>,
  integers: Fold<bigint>,
  slope: Slope,
): OpRow<ReduceAttributes> {
  const run = <V>(values: ArrayLike<V>, shape: readonly number[], axes: readonly number[]) => {
    return ({ start, step, finish }: Fold<V>): V[] => {
      const out = fold(values, shape, axes, start, step);
      const count = values.length / Math.max(1, out.length);
      return finish ? out.map((acc) => finish(acc, count)) : out;
    };
  };
  return defineOp<ReduceAttributes>({
    name,
    infer: ([x], { axes, keep }) => {
      if (x.dtype === 'bool') reject('bool has no arithmetic', 'a number type', 'bool', 'cast it');
      return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keep) }];
    },
    flops: inputSize,
    lower: lowerReduce(op),
    evaluate: ([x], { axes }, [{ dtype, shape }]) => [
      isInteger(dtype)
        ? fromIntegers(dtype, shape, run(toIntegers(x), x.shape, axes)(integers))
        : fromNumbers(dtype, shape, run(toNumbers(x), x.shape, axes)(floats)),
    ],
    gradient: ({ inputs: [x], outputs: [y], gradients: [g], attributes }) =>
      g ? [slope(kept(g, x, attributes), x, kept(y, x, attributes), attributes.axes)] : [],
  });
}

/** The elements that equal the extreme share its gradient. */
const shared: Slope = (g, x, y, axes) => {
  const winners = x.equal(y).cast(x.dtype);
  return winners.mul(g.div(winners.sum(axes, true)));
};

/** g over the number of elements that a mean is of; a symbolic number is counted at run time. */
function scaledMean(g: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  const sizes = axes.map((axis) => x.size(axis));
  const count = sizes.reduce<Dim>(mulDims, 1);
  if (typeof count === 'number') return g.mul(1 / count);
  return g.div(
    x
      .operand(1)
      .broadcastTo(...sizes)
      .sum(),
  );
}

const plus: { floats: Fold<number>; integers: Fold<bigint> } = {
  floats: { start: 0, step: (a, x) => a + x },
  integers: { start: 0n, step: (a, x) => a + x },
};

export const sum: OpRow<ReduceAttributes> = reduction(
  'sum',
  'ReduceSum',
  plus.floats,
  plus.integers,
  (g, x) => g.broadcastTo(...x.shape),
);
/** Of integers: truncated towards zero. */
export const mean: OpRow<ReduceAttributes> = reduction(
  'mean',
  'ReduceMean',
  { ...plus.floats, finish: (a, count) => a / count },
  { ...plus.integers, finish: (a, count) => (count === 0 ? 0n : a / BigInt(count)) },
  (g, x, _, axes) => scaledMean(g, x, axes).broadcastTo(...x.shape),
);
export const max: OpRow<ReduceAttributes> = reduction(
  'max',
  'ReduceMax',
  { start: Number.NEGATIVE_INFINITY, step: Math.max },
  { start: -(2n ** 63n), step: larger },
  shared,
);
export const min: OpRow<ReduceAttributes> = reduction(
  'min',
  'ReduceMin',
  { start: Number.POSITIVE_INFINITY, step: Math.min },
  { start: 2n ** 64n - 1n, step: smaller },
  shared,
);
export const prod: OpRow<ReduceAttributes> = reduction(
  'prod',
  'ReduceProd',
  { start: 1, step: (a, x) => a * x },
  { start: 1n, step: (a, x) => a * x },
  // The product of the others: y / x, or with one zero among them, what it alone holds down.
  (g, x, y, axes) => {
    const zero = x.equal(0);
    const zeros = zero.cast(x.dtype).sum(axes, true);
    const rest = zero.where(1, x).prod(axes, true);
    const others = zero.where(zeros.equal(1).where(rest, 0), y.div(zero.where(1, x)));
    return g.mul(others);
  },
);

/** sum(x^2), read once: nothing of the size of x is written. */
export const sumSquares = defineOp<ReduceAttributes>({
  name: 'sumSquares',
  infer: ([x], { axes, keep }) => {
    if (!isFloat(x.dtype)) reject('sumSquares needs floats', 'a float type', x.dtype);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keep) }];
  },
  flops: (inputs) => 2 * inputSize(inputs),
  lower: (emit, context) =>
    context.attributes.axes.length === 0
      ? emit.node('Mul', [context.values[0], context.values[0]])
      : lowerReduce('ReduceSumSquare')(emit, context),
  evaluate: ([x], { axes }, [{ dtype, shape }]) => [
    fromNumbers(
      dtype,
      shape,
      fold(toNumbers(x), x.shape, axes, 0, (acc, v) => acc + v * v),
    ),
  ],
  gradient: ({ inputs: [x], gradients: [g], attributes }) =>
    g ? [x.mul(kept(g, x, attributes).mul(2))] : [],
});

/** log(sum(exp(x))) without overflow. */
export const logSumExp = defineOp<ReduceAttributes>({
  name: 'logSumExp',
  infer: ([x], { axes, keep }) => {
    if (!isFloat(x.dtype)) reject('logSumExp needs floats', 'a float type', x.dtype);
    return [{ dtype: x.dtype, shape: reducedShape(x.shape, axes, keep) }];
  },
  flops: (inputs) => 3 * inputSize(inputs),
  lower: lowerReduce('ReduceLogSumExp'),
  evaluate: ([x], { axes }, [{ dtype, shape }]) => {
    const top = fold(toNumbers(x), x.shape, axes, Number.NEGATIVE_INFINITY, Math.max);
    const index = broadcastIndex(reducedShape(x.shape, axes, true) as number[], x.shape);
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
  gradient: ({ inputs: [x], outputs: [y], gradients: [g], attributes }) =>
    g
      ? [
          x
            .sub(kept(y, x, attributes))
            .exp()
            .mul(kept(g, x, attributes)),
        ]
      : [],
});

type Better = <V extends number | bigint>(value: V, best: V) => boolean;

function extreme(name: string, op: string, better: Better) {
  return defineOp<{ axis: number; keep: boolean }>({
    name,
    infer: ([x], { axis, keep }) => {
      checkKind(x, 'number');
      if (x.shape[axisOf(axis, x.shape.length)] === 0) {
        reject('an empty axis has no extreme', 'a size >= 1', '0');
      }
      return [{ dtype: 'i64', shape: reducedShape(x.shape, [axis], keep) }];
    },
    flops: inputSize,
    lower: (emit, { values, attributes: { axis, keep } }) =>
      emit.node(op, values, { axis: int(axis), keepdims: int(keep ? 1 : 0) }),
    evaluate: ([x], { axis }, [{ dtype, shape }]) => {
      const [before, size, after] = around(x.shape, axisOf(axis, x.shape.length));
      const values = isInteger(x.dtype) ? toIntegers(x) : toNumbers(x);
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
    gradient: flat,
  });
}

/** Position of the largest element along an axis; the first of equals. */
export const argMax = extreme('argMax', 'ArgMax', (value, best) => value > best);
export const argMin = extreme('argMin', 'ArgMin', (value, best) => value < best);

/** Running sum along one axis, up to and including each element (or before it: `exclusive`). */
export const cumsum = defineOp<{ axis: number; exclusive: boolean; reverse: boolean }>({
  name: 'cumsum',
  infer: ([x], { axis }) => {
    checkKind(x, 'number');
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
    const scan = <V>(values: ArrayLike<V>, zero: V, add: (a: V, b: V) => V): V[] => {
      const out = new Array<V>(values.length);
      for (let i = 0; i < before; i++) {
        for (let k = 0; k < after; k++) {
          let total = zero;
          for (let step = 0; step < size; step++) {
            const j = reverse ? size - 1 - step : step;
            const at = (i * size + j) * after + k;
            if (exclusive) out[at] = total;
            total = add(total, values[at]);
            if (!exclusive) out[at] = total;
          }
        }
      }
      return out;
    };
    return [
      isInteger(dtype)
        ? fromIntegers(dtype, shape, scan(toIntegers(x), 0n, plus.integers.step))
        : fromNumbers(dtype, shape, scan(toNumbers(x), 0, plus.floats.step)),
    ];
  },
  gradient: ({ gradients: [g], attributes: { axis, exclusive, reverse } }) =>
    g ? [g.cumsum(axis, { exclusive, reverse: !reverse })] : [],
});
