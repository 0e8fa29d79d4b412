// Element-wise operations of two operands, which broadcast by NumPy's rules and have one element
// type. Reference kernels compute floats in float64 and round once, integers exactly and wrap.
import { fromIntegers, fromNumbers, sizeOf, toIntegers, toNumbers } from '../array.js';
import { broadcast, showShape } from '../dim.js';
import { type DType, isInteger } from '../dtype.js';
import { AnyformerError } from '../error.js';
import { defineOp, type OpRow, reject, text } from '../op.js';
import { broadcastIndex } from '../strides.js';
import type { Tensor } from '../tensor.js';
import {
  checkKind,
  count,
  type Kind,
  type Lower,
  larger,
  lowerBy,
  smaller,
  unbroadcast,
} from './element.js';

/** dL/da and dL/db in the shape of the result, from g = dL/dy. */
type Slopes = (g: Tensor, a: Tensor, b: Tensor, y: Tensor) => readonly [Tensor, Tensor];

function pair(
  name: string,
  kind: Kind,
  lower: Lower,
  apply: (x: number, y: number) => number,
  slopes: Slopes | 'flat',
  options: { exact?: (x: bigint, y: bigint) => bigint | number; result?: DType } = {},
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
      const length = sizeOf(shape);
      const ia = broadcastIndex(a.shape, shape);
      const ib = broadcastIndex(b.shape, shape);
      const { exact } = options;
      if (exact && isInteger(a.dtype)) {
        const [x, y] = [toIntegers(a), toIntegers(b)];
        const values = Array.from({ length }, (_, i) => BigInt(exact(x[ia(i)], y[ib(i)])));
        return [fromIntegers(dtype, shape, values)];
      }
      const [x, y] = [toNumbers(a), toNumbers(b)];
      const values = Float64Array.from({ length }, (_, i) => apply(x[ia(i)], y[ib(i)]));
      return [fromNumbers(dtype, shape, values)];
    },
    gradient: ({ inputs: [a, b], outputs: [y], gradients: [g] }) => {
      if (!g || slopes === 'flat') return [];
      const [da, db] = slopes(g, a, b, y);
      return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)];
    },
  });
}

/** ONNX Runtime ends the process when a whole number is divided by 0; here it is an error. */
function divisor(y: bigint): bigint {
  if (y !== 0n) return y;
  throw new AnyformerError('tensor/division', {
    what: 'a whole number is divided by 0',
    expected: 'a divisor other than 0',
    found: '0',
  });
}

const truth = (value: boolean): number => (value ? 1 : 0);
const compare = (
  name: string,
  op: string,
  test: (x: number | bigint, y: number | bigint) => boolean,
) =>
  pair(name, 'any', op, (x, y) => truth(test(x, y)), 'flat', {
    result: 'bool',
    exact: (x, y) => truth(test(x, y)),
  });

/** The side that won takes the gradient; equal sides share it. */
function sides(g: Tensor, first: Tensor, equal: Tensor): readonly [Tensor, Tensor] {
  const share = equal.where(g.mul(0.5), 0);
  return [first.where(g, share), first.or(equal).where(share, g)];
}

const add: OpRow<object> = pair(
  'add',
  'number',
  'Add',
  (x, y) => x + y,
  (g) => [g, g],
  { exact: (x, y) => x + y },
);
const sub: OpRow<object> = pair(
  'sub',
  'number',
  'Sub',
  (x, y) => x - y,
  (g) => [g, g.neg()],
  { exact: (x, y) => x - y },
);
const mul: OpRow<object> = pair(
  'mul',
  'number',
  'Mul',
  (x, y) => x * y,
  (g, a, b) => [g.mul(b), g.mul(a)],
  { exact: (x, y) => x * y },
);
/** Integers divide towards zero. */
const div: OpRow<object> = pair(
  'div',
  'number',
  'Div',
  (x, y) => x / y,
  (g, _, b, y) => {
    const da = g.div(b);
    return [da, da.mul(y).neg()];
  },
  { exact: (x, y) => x / divisor(y) },
);
const pow: OpRow<object> = pair(
  'pow',
  'float',
  'Pow',
  (x, y) => x ** y,
  (g, a, b, y) => [
    g.mul(b.mul(a.pow(b.sub(1)))),
    // log(a) is only meant where a > 0; elsewhere the power is not differentiable in b.
    g.mul(a.greater(0).where(y.mul(a.greater(0).where(a, 1).log()), 0)),
  ],
);
const maximum: OpRow<object> = pair(
  'maximum',
  'number',
  'Max',
  Math.max,
  (g, a, b) => sides(g, a.greater(b), a.equal(b)),
  {
    exact: larger,
  },
);
const minimum: OpRow<object> = pair(
  'minimum',
  'number',
  'Min',
  Math.min,
  (g, a, b) => sides(g, a.less(b), a.equal(b)),
  {
    exact: smaller,
  },
);
/** Remainder with the divisor's sign (integers only). */
const mod: OpRow<object> = pair('mod', 'integer', 'Mod', (x, y) => ((x % y) + y) % y, 'flat', {
  exact: (x, y) => ((x % divisor(y)) + y) % y,
});
const equal: OpRow<object> = compare('equal', 'Equal', (x, y) => x === y);
const less: OpRow<object> = compare('less', 'Less', (x, y) => x < y);
const lessEqual: OpRow<object> = compare('lessEqual', 'LessOrEqual', (x, y) => x <= y);
const greater: OpRow<object> = compare('greater', 'Greater', (x, y) => x > y);
const greaterEqual: OpRow<object> = compare('greaterEqual', 'GreaterOrEqual', (x, y) => x >= y);
const and: OpRow<object> = pair('and', 'bool', 'And', (x, y) => x & y, 'flat');
const or: OpRow<object> = pair('or', 'bool', 'Or', (x, y) => x | y, 'flat');
const bitAnd: OpRow<object> = pair('bitAnd', 'integer', 'BitwiseAnd', (x, y) => x & y, 'flat', {
  exact: (x, y) => x & y,
});
const bitOr: OpRow<object> = pair('bitOr', 'integer', 'BitwiseOr', (x, y) => x | y, 'flat', {
  exact: (x, y) => x | y,
});
const bitXor: OpRow<object> = pair('bitXor', 'integer', 'BitwiseXor', (x, y) => x ^ y, 'flat', {
  exact: (x, y) => x ^ y,
});

const shift = (name: string, direction: 'LEFT' | 'RIGHT', by: (x: bigint, y: bigint) => bigint) =>
  pair(
    name,
    'unsigned',
    (emit, { values }) => emit.node('BitShift', values, { direction: text(direction) }),
    (x, y) => Number(by(BigInt(x), BigInt(y))),
    'flat',
    { exact: (x, y) => (y < 64n ? by(x, y) : 0n) },
  );
/** Unsigned types only, as in ONNX Runtime; what a shift by the type's width or more gives is open. */
const shiftLeft: OpRow<object> = shift('shiftLeft', 'LEFT', (x, y) => x << y);
const shiftRight: OpRow<object> = shift('shiftRight', 'RIGHT', (x, y) => x >> y);

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
