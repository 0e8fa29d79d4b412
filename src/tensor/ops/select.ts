// Element-wise selection, limits and conversion.
import { castArray, fromIntegers, fromNumbers, toIntegers, toNumbers, zerosOf } from '../array.js';
import { broadcast, showShape } from '../dim.js';
import { type DType, isFloat, isInteger } from '../dtype.js';
import { defineOp, reject } from '../op.js';
import { broadcastIndex } from '../strides.js';
import { checkHolds, checkKind, count, larger, smaller, unbroadcast } from './element.js';

/** condition ? a : b, all three broadcast. */
export const where = defineOp<object>({
  name: 'where',
  elementwise: true,
  infer: ([condition, a, b]) => {
    if (condition.dtype !== 'bool') reject('the condition must be bool', 'bool', condition.dtype);
    if (a.dtype !== b.dtype) reject('both branches need one element type', a.dtype, b.dtype);
    const branches = broadcast(a.shape, b.shape);
    const shape = branches && broadcast(condition.shape, branches);
    if (!shape) {
      const shapes = [condition, a, b].map(({ shape: s }) => showShape(s)).join(' x ');
      reject('the shapes do not broadcast', 'sizes that are equal or 1', shapes);
    }
    return [{ dtype: a.dtype, shape }];
  },
  lower: (emit, { values }) => emit.node('Where', values),
  evaluate: ([condition, a, b], _, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    const [ic, ia, ib] = [condition, a, b].map((x) => broadcastIndex(x.shape, shape));
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = condition.data[ic(i)] ? a.data[ia(i)] : b.data[ib(i)];
    }
    return [out];
  },
  gradient: ({ inputs: [condition, a, b], gradients: [g] }) =>
    g
      ? [
          undefined,
          unbroadcast(condition.where(g, 0), a.shape),
          unbroadcast(condition.where(0, g), b.shape),
        ]
      : [],
});

/** Limits values to [min, max]; an integer tensor takes bounds that its type holds. */
export const clip = defineOp<{ min: number; max: number }>({
  name: 'clip',
  elementwise: true,
  infer: ([x], { min, max }) => {
    checkKind(x, 'number');
    for (const bound of [min, max]) checkHolds(x, bound);
    return [x];
  },
  flops: (_, outputs) => 2 * count(outputs),
  lower: (emit, { values, inputs: [{ dtype }], attributes: { min, max } }) =>
    emit.node('Clip', [values[0], emit.scalar(dtype, min), emit.scalar(dtype, max)]),
  evaluate: ([x], { min, max }, [{ dtype, shape }]) => {
    if (isInteger(dtype)) {
      const [low, high] = [BigInt(min), BigInt(max)];
      const limit = (value: bigint) => smaller(larger(value, low), high);
      return [fromIntegers(dtype, shape, Array.from(toIntegers(x), limit))];
    }
    const values = toNumbers(x).map((value) => Math.min(Math.max(value, min), max));
    return [fromNumbers(dtype, shape, values)];
  },
  gradient: ({ inputs: [x], gradients: [g], attributes: { min, max } }) =>
    g ? [x.greaterEqual(min).and(x.lessEqual(max)).where(g, 0)] : [],
});

/** Conversion of the element type; floats to integers truncate towards zero. */
export const cast = defineOp<{ to: DType }>({
  name: 'cast',
  elementwise: true,
  infer: ([x], { to }) => [{ dtype: to, shape: x.shape }],
  lower: (emit, { values, inputs, attributes }) =>
    emit.cast(values[0], inputs[0].dtype, attributes.to),
  evaluate: ([x], { to }) => [castArray(x, to)],
  gradient: ({ inputs: [x], gradients: [g], attributes: { to } }) =>
    g && isFloat(x.dtype) && isFloat(to) ? [g.cast(x.dtype)] : [],
});
