// Element-wise operations of one operand. Reference kernels compute floats in float64 and round once,
// integers exactly and wrap.
import { fromIntegers, fromNumbers, toIntegers, toNumbers } from '../array.js';
import { type DType, isInteger, roundHalfEven } from '../dtype.js';
import { defineOp, type Emitter, float, type OpRow, text, type ValueName } from '../op.js';
import { erf } from '../special.js';
import type { Tensor } from '../tensor.js';
import { checkKind, count, type Kind, type Lower, lowerBy } from './element.js';

function unary(
  name: string,
  kind: Kind,
  lower: Lower,
  apply: (x: number) => number,
  /** dL/dx from g = dL/dy; 'flat' where y is piecewise constant in x. */
  gradient: 'flat' | ((g: Tensor, x: Tensor, y: Tensor) => Tensor),
  options: { flops?: number; result?: DType; exact?: (x: bigint) => bigint } = {},
) {
  return defineOp<object>({
    name,
    elementwise: true,
    infer: ([x]) => {
      checkKind(x, kind);
      return [{ dtype: options.result ?? x.dtype, shape: x.shape }];
    },
    flops: (_, outputs) => count(outputs) * (options.flops ?? 1),
    lower: lowerBy(lower),
    evaluate: ([x], _, [{ dtype, shape }]) => {
      if (options.exact && isInteger(x.dtype)) {
        return [fromIntegers(dtype, shape, Array.from(toIntegers(x), options.exact))];
      }
      return [fromNumbers(dtype, shape, toNumbers(x).map(apply))];
    },
    gradient: ({ inputs: [x], outputs: [y], gradients: [g] }) =>
      g && gradient !== 'flat' ? [gradient(g, x, y)] : [],
  });
}

/** Decomposes a GELU-like function where the native operator lacks float64. */
const perType =
  (native: (emit: Emitter, value: ValueName) => ValueName, double: typeof native): Lower =>
  (emit, { values, inputs }) =>
    (inputs[0].dtype === 'f64' ? double : native)(emit, values[0]);

const neg: OpRow<object> = unary(
  'neg',
  'number',
  'Neg',
  (x) => -x,
  (g) => g.neg(),
  { exact: (x) => -x },
);
const abs: OpRow<object> = unary('abs', 'number', 'Abs', Math.abs, (g, x) => g.mul(x.sign()), {
  exact: (x) => (x < 0n ? -x : x),
});
const sign: OpRow<object> = unary('sign', 'number', 'Sign', Math.sign, 'flat');
const exp: OpRow<object> = unary('exp', 'float', 'Exp', Math.exp, (g, _, y) => g.mul(y));
const log: OpRow<object> = unary('log', 'float', 'Log', Math.log, (g, x) => g.div(x));
const sqrt: OpRow<object> = unary('sqrt', 'float', 'Sqrt', Math.sqrt, (g, _, y) => g.div(y.mul(2)));
const reciprocal: OpRow<object> = unary(
  'reciprocal',
  'float',
  'Reciprocal',
  (x) => 1 / x,
  (g, _, y) => g.mul(y.mul(y)).neg(),
);
const sin: OpRow<object> = unary('sin', 'float', 'Sin', Math.sin, (g, x) => g.mul(x.cos()));
const cos: OpRow<object> = unary('cos', 'float', 'Cos', Math.cos, (g, x) => g.mul(x.sin()).neg());
const floor: OpRow<object> = unary('floor', 'float', 'Floor', Math.floor, 'flat');
const ceil: OpRow<object> = unary('ceil', 'float', 'Ceil', Math.ceil, 'flat');
/** Ties go to the even neighbour. */
const round: OpRow<object> = unary('round', 'float', 'Round', roundHalfEven, 'flat');
const tanh: OpRow<object> = unary('tanh', 'float', 'Tanh', Math.tanh, (g, _, y) =>
  g.sub(g.mul(y.mul(y))),
);
const sigmoid: OpRow<object> = unary(
  'sigmoid',
  'float',
  'Sigmoid',
  logistic,
  (g, _, y) => g.mul(y.sub(y.mul(y))),
  { flops: 4 },
);
const softplus: OpRow<object> = unary(
  'softplus',
  'float',
  perType(
    (emit, x) => emit.node('Softplus', [x]),
    (emit, x) => {
      const small = emit.node('Exp', [emit.node('Neg', [emit.node('Abs', [x])])]);
      const rest = emit.node('Log', [emit.node('Add', [small, emit.scalar('f64', 1)])]);
      return emit.node('Add', [emit.node('Relu', [x]), rest]);
    },
  ),
  (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  (g, x) => g.mul(x.sigmoid()),
  { flops: 4 },
);
const relu: OpRow<object> = unary(
  'relu',
  'float',
  'Relu',
  (x) => Math.max(x, 0),
  (g, x) => x.greater(0).where(g, 0),
);
const not: OpRow<object> = unary('not', 'bool', 'Not', (x) => (x === 0 ? 1 : 0), 'flat');
const isNan: OpRow<object> = unary(
  'isNan',
  'float',
  'IsNaN',
  (x) => (Number.isNaN(x) ? 1 : 0),
  'flat',
  {
    result: 'bool',
  },
);

/** erf; float64 by the series and continued fraction of `special.ts` (ONNX Runtime has f32 only). */
const erf_: OpRow<object> = unary(
  'erf',
  'float',
  perType((emit, x) => emit.node('Erf', [x]), erfDouble),
  erf,
  (g, x) =>
    g.mul(
      x
        .mul(x)
        .neg()
        .exp()
        .mul(2 / Math.sqrt(Math.PI)),
    ),
  { flops: 8 },
);

/** x * Phi(x), the exact GELU. */
const gelu: OpRow<object> = unary(
  'gelu',
  'float',
  perType(
    (emit, x) => emit.node('Gelu', [x]),
    (emit, x) => {
      const scaled = emit.node('Mul', [x, emit.scalar('f64', Math.SQRT1_2)]);
      const one = emit.node('Add', [erfDouble(emit, scaled), emit.scalar('f64', 1)]);
      return emit.node('Mul', [emit.node('Mul', [x, emit.scalar('f64', 0.5)]), one]);
    },
  ),
  (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  // Phi(x) + x phi(x)
  (g, x) => {
    const cumulative = x.mul(Math.SQRT1_2).erf().mul(0.5).add(0.5);
    const density = x
      .mul(x)
      .mul(-0.5)
      .exp()
      .mul(1 / Math.sqrt(2 * Math.PI));
    return g.mul(cumulative.add(x.mul(density)));
  },
  { flops: 10 },
);

/** The tanh approximation of GELU, as GPT-2 uses it. */
const geluTanh: OpRow<object> = unary(
  'geluTanh',
  'float',
  perType(
    (emit, x) => emit.node('Gelu', [x], { approximate: text('tanh') }),
    (emit, x) => {
      const scalar = (value: number) => emit.scalar('f64', value);
      const cube = emit.node('Mul', [emit.node('Mul', [x, x]), x]);
      const inner = emit.node('Add', [x, emit.node('Mul', [cube, scalar(0.044715)])]);
      const t = emit.node('Tanh', [emit.node('Mul', [inner, scalar(Math.sqrt(2 / Math.PI))])]);
      const half = emit.node('Mul', [x, scalar(0.5)]);
      return emit.node('Mul', [half, emit.node('Add', [t, scalar(1)])]);
    },
  ),
  (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  // y = x (1 + t) / 2, t = tanh(u): (1 + t) / 2 + x (1 - t^2) u' / 2
  (g, x) => {
    const c = Math.sqrt(2 / Math.PI);
    const square = x.mul(x);
    const t = square
      .mul(0.044715 * c)
      .add(c)
      .mul(x)
      .tanh();
    const slope = square.mul(3 * 0.044715 * c).add(c);
    const inner = x.mul(slope).mul(t.mul(t).neg().add(1));
    return g.mul(inner.add(t).add(1).mul(0.5));
  },
  { flops: 10 },
);

/** x * sigmoid(x), also called swish. */
const silu: OpRow<object> = unary(
  'silu',
  'float',
  perType(
    (emit, x) => emit.node('QuickGelu', [x], { alpha: float(1) }, 'com.microsoft'),
    (emit, x) => emit.node('Mul', [x, emit.node('Sigmoid', [x])]),
  ),
  (x) => x * logistic(x),
  (g, x, y) => {
    const s = x.sigmoid();
    return g.mul(s.add(y.sub(y.mul(s))));
  },
  { flops: 5 },
);

/** x * sigmoid(1.702 x), CLIP's activation. */
const quickGelu: OpRow<object> = unary(
  'quickGelu',
  'float',
  perType(
    (emit, x) => emit.node('QuickGelu', [x], { alpha: float(1.702) }, 'com.microsoft'),
    (emit, x) => {
      const scaled = emit.node('Mul', [x, emit.scalar('f64', 1.702)]);
      return emit.node('Mul', [x, emit.node('Sigmoid', [scaled])]);
    },
  ),
  (x) => x * logistic(1.702 * x),
  (g, x, y) => {
    const s = x.mul(1.702).sigmoid();
    return g.mul(s.add(y.sub(y.mul(s)).mul(1.702)));
  },
  { flops: 6 },
);

function logistic(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/**
 * erf in float64 from operators that exist in double: a Chebyshev expansion of
 * erfc(z) = t exp(-z^2 + P(t)), t = 2 / (2 + z), z = |x| (Numerical Recipes, 3rd ed., 6.2.2),
 * whose coefficients are computed here, not copied: see `erfcChebyshev`.
 */
function erfDouble(emit: Emitter, x: ValueName): ValueName {
  const scalar = (value: number) => emit.scalar('f64', value);
  const z = emit.node('Abs', [x]);
  const t = emit.node('Div', [scalar(2), emit.node('Add', [z, scalar(2)])]);
  const y = emit.node('Sub', [emit.node('Mul', [t, scalar(4)]), scalar(2)]);
  const coefficients = erfcChebyshev();
  let d: ValueName = scalar(0);
  let dd: ValueName = scalar(0);
  for (let j = coefficients.length - 1; j > 0; j--) {
    const previous = d;
    const step = emit.node('Sub', [emit.node('Mul', [y, d]), dd]);
    d = emit.node('Add', [step, scalar(coefficients[j])]);
    dd = previous;
  }
  const half = emit.node('Mul', [y, d]);
  const sum = emit.node('Add', [
    emit.node('Mul', [half, scalar(0.5)]),
    scalar(coefficients[0] / 2),
  ]);
  const exponent = emit.node('Sub', [emit.node('Sub', [sum, dd]), emit.node('Mul', [z, z])]);
  const erfc = emit.node('Mul', [t, emit.node('Exp', [exponent])]);
  const magnitude = emit.node('Sub', [scalar(1), erfc]);
  return emit.node('Mul', [emit.node('Sign', [x]), magnitude]);
}

let chebyshev: number[] | undefined;

/** Chebyshev coefficients of P(t) = log(erfc(z) / t) + z^2 on t in [0, 1] (y = 4t - 2 = 2 cos). */
function erfcChebyshev(): number[] {
  if (chebyshev) return chebyshev;
  const terms = 28;
  const points = 256;
  const values = Array.from({ length: points }, (_, k) => {
    const t = (Math.cos((Math.PI * (k + 0.5)) / points) + 1) / 2;
    const z = 2 / t - 2;
    return scaledErfcLog(z) - Math.log(t);
  });
  chebyshev = Array.from({ length: terms }, (_, j) => {
    const sum = values.reduce(
      (acc, value, k) => acc + value * Math.cos((Math.PI * j * (k + 0.5)) / points),
      0,
    );
    return (2 / points) * sum;
  });
  return chebyshev;
}

/** log(exp(z^2) erfc(z)) for z >= 0: series below 2, continued fraction (Lentz) above. */
function scaledErfcLog(z: number): number {
  if (z < 2) return Math.log1p(-erf(z)) + z * z;
  let fraction = 0;
  for (let k = 200; k >= 1; k--) fraction = k / 2 / (z + fraction);
  return -Math.log((z + fraction) * Math.sqrt(Math.PI));
}

/** Every operation of one operand; each is also a method of `Tensor`. */
export const unaryRows = {
  neg,
  abs,
  sign,
  exp,
  log,
  sqrt,
  reciprocal,
  sin,
  cos,
  floor,
  ceil,
  round,
  tanh,
  sigmoid,
  softplus,
  relu,
  not,
  isNan,
  erf: erf_,
  gelu,
  geluTanh,
  silu,
  quickGelu,
};
