// Element-wise operations of two operands, which broadcast by NumPy's rules and have one element
// type. Reference kernels compute in float64 (64-bit integers in bigint) and round once.
import { fromNumbers, toNumbers, zerosOf } from '../array.js';
import { broadcast, showShape } from '../dim.js';
import { type DType, dtypes } from '../dtype.js';
import { defineOp, reject, text } from '../op.js';
import { broadcastIndex } from '../strides.js';
import { checkKind, count, type Kind, type Lower, lowerBy } from './element.js';

function pair(
  name: string,
  kind: Kind,
  lower: Lower,
  apply: (x: number, y: number) => number,
  options: { wide?: (x: bigint, y: bigint) => bigint | number; result?: DType } = {},
) {
  return defineOp<object>({
    name,
    elementwise: true,
    infer: ([a, b]) => {
      checkKind(a, kind);
      if (a.dtype !== b.dtype) {
        reject('both operands need one element type', a.dtype, b.dtype, 'cast one of them');
      }
      const shape = broadcast(a.shape, b.shape);
      if (!shape) {
        reject(
          `${showShape(a.shape)} and ${showShape(b.shape)} do not broadcast`,
          'sizes that are equal or 1, counted from the right',
          `${showShape(a.shape)} x ${showShape(b.shape)}`,
        );
      }
      return [{ dtype: options.result ?? a.dtype, shape }];
    },
    flops: (_, outputs) => count(outputs),
    lower: lowerBy(lower),
    evaluate: ([a, b], _, [{ dtype, shape }]) => {
      const out = zerosOf(dtype, shape);
      const ia = broadcastIndex(a.shape, shape);
      const ib = broadcastIndex(b.shape, shape);
      if (options.wide && dtypes[a.dtype].wide) {
        for (let i = 0; i < out.data.length; i++) {
          const value = options.wide(
            (a.data as BigInt64Array)[ia(i)],
            (b.data as BigInt64Array)[ib(i)],
          );
          out.data[i] = dtypes[dtype].wide ? BigInt(value) : Number(value);
        }
        return [out];
      }
      const [x, y] = [toNumbers(a), toNumbers(b)];
      const values = new Float64Array(out.data.length);
      for (let i = 0; i < values.length; i++) values[i] = apply(x[ia(i)], y[ib(i)]);
      return [fromNumbers(dtype, shape, values)];
    },
  });
}

const truth = (value: boolean): number => (value ? 1 : 0);
const compare = (
  name: string,
  op: string,
  test: (x: number | bigint, y: number | bigint) => boolean,
) =>
  pair(name, 'any', op, (x, y) => truth(test(x, y)), {
    result: 'bool',
    wide: (x, y) => truth(test(x, y)),
  });

const add = pair('add', 'number', 'Add', (x, y) => x + y, { wide: (x, y) => x + y });
const sub = pair('sub', 'number', 'Sub', (x, y) => x - y, { wide: (x, y) => x - y });
const mul = pair('mul', 'number', 'Mul', (x, y) => x * y, { wide: (x, y) => x * y });
/** Integers divide towards zero. */
const div = pair('div', 'number', 'Div', (x, y) => x / y, { wide: (x, y) => x / y });
const pow = pair('pow', 'float', 'Pow', (x, y) => x ** y);
const maximum = pair('maximum', 'number', 'Max', Math.max, {
  wide: (x, y) => Math.max(x, y),
});
const minimum = pair('minimum', 'number', 'Min', Math.min, {
  wide: (x, y) => Math.min(x, y),
});
/** Remainder with the divisor's sign (integers only). */
const mod = pair('mod', 'integer', 'Mod', (x, y) => ((x % y) + y) % y, {
  wide: (x, y) => ((x % y) + y) % y,
});
const equal = compare('equal', 'Equal', (x, y) => x === y);
const less = compare('less', 'Less', (x, y) => x < y);
const lessEqual = compare('lessEqual', 'LessOrEqual', (x, y) => x <= y);
const greater = compare('greater', 'Greater', (x, y) => x > y);
const greaterEqual = compare('greaterEqual', 'GreaterOrEqual', (x, y) => x >= y);
const and = pair('and', 'bool', 'And', (x, y) => x & y);
const or = pair('or', 'bool', 'Or', (x, y) => x | y);
const bitAnd = pair('bitAnd', 'integer', 'BitwiseAnd', (x, y) => x & y, {
  wide: (x, y) => x & y,
});
const bitOr = pair('bitOr', 'integer', 'BitwiseOr', (x, y) => x | y, {
  wide: (x, y) => x | y,
});
const bitXor = pair('bitXor', 'integer', 'BitwiseXor', (x, y) => x ^ y, {
  wide: (x, y) => x ^ y,
});

const shift = (direction: 'LEFT' | 'RIGHT', by: typeof shiftNumber, wide: typeof shiftWide) =>
  pair(
    direction === 'LEFT' ? 'shiftLeft' : 'shiftRight',
    'integer',
    (emit, { values }) => emit.node('BitShift', values, { direction: text(direction) }),
    (x, y) => by(x, y, direction),
    { wide: (x, y) => wide(x, y, direction) },
  );
const shiftNumber = (x: number, y: number, direction: string): number =>
  direction === 'LEFT' ? (x << y) >>> 0 : x >>> y;
const shiftWide = (x: bigint, y: bigint, direction: string): bigint =>
  direction === 'LEFT' ? BigInt.asUintN(64, x << y) : x >> y;
/** Unsigned types only, as in ONNX Runtime. */
const shiftLeft = shift('LEFT', shiftNumber, shiftWide);
const shiftRight = shift('RIGHT', shiftNumber, shiftWide);

/** Every operation of two operands; each is also a method of `Tensor`. */
export const binaryRows = {
  add,
  sub,
  mul,
  div,
  pow,
  maximum,
  minimum,
  mod,
  equal,
  less,
  lessEqual,
  greater,
  greaterEqual,
  and,
  or,
  bitAnd,
  bitOr,
  bitXor,
  shiftLeft,
  shiftRight,
};
