// Element-wise operators: those with a method of their own name, and those composed of others.
import {
  constant,
  type DType,
  fromIntegers,
  isFloat,
  isInteger,
  type Operand,
  type Tensor,
} from '../../tensor/index.js';
import { elementTypeName, isElementType, isNative } from '../element-type.js';
import type { Builder, NodeReader } from './node-reader.js';

const unary =
  (apply: (x: Tensor) => Tensor): Builder =>
  (n) => {
    n.ignore('consumed_inputs');
    return apply(n.tensor(0));
  };

/** Before opset 7, broadcasting had to be asked for, and the right side could be aligned at `axis`. */
function pair(n: NodeReader): [Tensor, Tensor] {
  n.ignore('consumed_inputs');
  const [a, b] = [n.tensor(0), n.tensor(1)];
  if (n.opset >= 7) return [a, b];
  const axis = n.optionalInt('axis');
  if (!n.flag('broadcast') || axis === undefined) return [a, b];
  const after = a.rank - (axis < 0 ? axis + a.rank : axis) - b.rank;
  return [a, after > 0 ? b.reshape(...b.shape, ...Array<number>(after).fill(1)) : b];
}

const binary =
  (apply: (a: Tensor, b: Tensor, n: NodeReader) => Tensor): Builder =>
  (n) =>
    apply(...pair(n), n);

const variadic =
  (combine: (a: Tensor, b: Tensor) => Tensor): Builder =>
  (n) => {
    n.ignore('consumed_inputs');
    return n.tensors().reduce(combine);
  };

/** The exponent takes the base's type; whole bases go through float64 (exact below 2^53). */
function power(base: Tensor, exponent: Tensor): Tensor {
  if (isFloat(base.dtype)) return base.pow(exponent.cast(base.dtype));
  return base.cast('f64').pow(exponent.cast('f64')).cast(base.dtype);
}

/** x - y * trunc(x / y), the sign of x (C's fmod); without the flag the sign of y. */
function modulo(x: Tensor, y: Tensor, n: NodeReader): Tensor {
  const truncating = n.flag('fmod');
  if (isInteger(x.dtype)) return truncating ? x.sub(x.div(y).mul(y)) : x.mod(y);
  const ratio = x.div(y);
  const whole = truncating ? ratio.abs().floor().mul(ratio.sign()) : ratio.floor();
  return x.sub(whole.mul(y));
}

function clip(n: NodeReader): Tensor {
  const x = n.tensor(0);
  n.ignore('consumed_inputs');
  const bound = (name: string, index: number): Operand | undefined => {
    if (n.has(name)) return n.float(name, 0);
    const known = isFloat(x.dtype) && n.knownArray(index) ? n.number(index) : undefined;
    return known ?? n.optional(index);
  };
  const [low, high] = [bound('min', 1), bound('max', 2)];
  if (isFloat(x.dtype) && typeof low !== 'object' && typeof high !== 'object') {
    if (low === undefined && high === undefined) return x;
    return x.clip(low ?? Number.NEGATIVE_INFINITY, high ?? Number.POSITIVE_INFINITY);
  }
  const raised = low === undefined ? x : x.maximum(low);
  return high === undefined ? raised : raised.minimum(high);
}

/** The element type in an attribute: a number, or in opset 1 its name in capitals. */
export function elementType(n: NodeReader, name: string, absent?: DType): DType {
  if (!n.has(name) && absent) return absent;
  const old: Readonly<Record<string, string>> = {
    FLOAT: 'f32',
    DOUBLE: 'f64',
    FLOAT16: 'f16',
    INT8: 'i8',
    UINT8: 'u8',
    INT32: 'i32',
    UINT32: 'u32',
    INT64: 'i64',
    UINT64: 'u64',
    BOOL: 'bool',
  };
  const written = n.node.attributes[name];
  const text = written?.kind === 'string' ? n.text(name, '') : undefined;
  const found =
    text === undefined
      ? elementTypeName(n.int(name, 0))
      : Object.hasOwn(old, text)
        ? old[text]
        : text;
  if (found !== undefined && isElementType(found) && isNative(found)) return found;
  return n.refuse({
    what: `${name} is not an element type that tensors here have`,
    expected: Object.values(old).join(', '),
    found: found ?? `${text}`,
  });
}

function cast(n: NodeReader): Tensor {
  n.ignore('saturate', 'round_mode');
  return n.tensor(0).cast(elementType(n, 'to'));
}

const elu = (x: Tensor, alpha: number): Tensor =>
  x.maximum(0).add(x.minimum(0).exp().sub(1).mul(alpha));

const hardSigmoid = (x: Tensor, alpha: number, beta: number): Tensor =>
  x.mul(alpha).add(beta).clip(0, 1);

function prelu(n: NodeReader): Tensor {
  n.ignore('consumed_inputs');
  const [x, slope] = [n.tensor(0), n.tensor(1)];
  // Before opset 7 a vector of slopes belongs to the channels, axis 1.
  const perChannel = n.opset < 7 && slope.rank === 1 && x.rank > 2;
  const fitted = perChannel ? slope.unsqueeze(...x.shape.slice(2).map((_, i) => i + 1)) : slope;
  return x.less(0).where(x.mul(fitted), x);
}

function isInf(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const high = x.equal(Number.POSITIVE_INFINITY);
  const low = x.equal(Number.NEGATIVE_INFINITY);
  const [up, down] = [n.flag('detect_positive', true), n.flag('detect_negative', true)];
  if (up && down) return high.or(low);
  return up ? high : down ? low : high.and(low);
}

function selu(n: NodeReader): Tensor {
  n.ignore('consumed_inputs');
  const alpha = n.float('alpha', 1.6732631921768188);
  return elu(n.tensor(0), alpha).mul(n.float('gamma', 1.0507010221481323));
}

function celu(n: NodeReader): Tensor {
  const [x, alpha] = [n.tensor(0), n.float('alpha', 1)];
  return x.maximum(0).add(x.div(alpha).minimum(0).exp().sub(1).mul(alpha));
}

function shrink(n: NodeReader): Tensor {
  const [x, bias, limit] = [n.tensor(0), n.float('bias', 0), n.float('lambd', 0.5)];
  return x.less(-limit).where(x.add(bias), x.greater(limit).where(x.sub(bias), x.operand(0)));
}

function shift(a: Tensor, b: Tensor, n: NodeReader): Tensor {
  return n.text('direction', '') === 'LEFT' ? a.shiftLeft(b) : a.shiftRight(b);
}

function gelu(n: NodeReader): Tensor {
  const [x, bias] = [n.tensor(0), n.optional(1)];
  const shifted = bias ? x.add(bias) : x;
  return n.text('approximate', 'none') === 'tanh' ? shifted.geluTanh() : shifted.gelu();
}

function fastGelu(n: NodeReader): Tensor {
  const [x, bias] = [n.tensor(0), n.optional(1)];
  return (bias ? x.add(bias) : x).geluTanh();
}

/** x * sigmoid(alpha x). */
function swish(n: NodeReader, absent: number): Tensor {
  const [x, alpha] = [n.tensor(0), n.float('alpha', absent)];
  if (alpha === 1) return x.silu();
  return Math.abs(alpha - 1.702) < 1e-6 ? x.quickGelu() : x.mul(x.mul(alpha).sigmoid());
}

const invert = (x: Tensor): Tensor => x.bitXor(constant(fromIntegers(x.dtype, [], [-1n])));

export const elementwise: Readonly<Record<string, Builder>> = {
  Abs: unary((x) => x.abs()),
  Neg: unary((x) => x.neg()),
  Sign: unary((x) => x.sign()),
  Exp: unary((x) => x.exp()),
  Log: unary((x) => x.log()),
  Sqrt: unary((x) => x.sqrt()),
  Reciprocal: unary((x) => x.reciprocal()),
  Sin: unary((x) => x.sin()),
  Cos: unary((x) => x.cos()),
  Tan: unary((x) => x.sin().div(x.cos())),
  Sinh: unary((x) => x.exp().sub(x.neg().exp()).mul(0.5)),
  Cosh: unary((x) => x.exp().add(x.neg().exp()).mul(0.5)),
  Tanh: unary((x) => x.tanh()),
  Asinh: unary((x) => x.sign().mul(x.abs().add(x.mul(x).add(1).sqrt()).log())),
  Acosh: unary((x) => x.add(x.mul(x).sub(1).sqrt()).log()),
  Atanh: unary((x) => x.add(1).div(x.neg().add(1)).log().mul(0.5)),
  Floor: unary((x) => x.floor()),
  Ceil: unary((x) => x.ceil()),
  Round: unary((x) => x.round()),
  Sigmoid: unary((x) => x.sigmoid()),
  Softplus: unary((x) => x.softplus()),
  Softsign: unary((x) => x.div(x.abs().add(1))),
  Mish: unary((x) => x.mul(x.softplus().tanh())),
  Relu: unary((x) => (isFloat(x.dtype) ? x.relu() : x.maximum(0))),
  Erf: unary((x) => x.erf()),
  Not: unary((x) => x.not()),
  BitwiseNot: unary(invert),
  IsNaN: unary((x) => x.isNan()),
  Elu: (n) => {
    n.ignore('consumed_inputs');
    return elu(n.tensor(0), n.float('alpha', 1));
  },
  Selu: selu,
  Celu: celu,
  LeakyRelu: (n) => {
    n.ignore('consumed_inputs');
    const x = n.tensor(0);
    return x.less(0).where(x.mul(n.float('alpha', 0.01)), x);
  },
  PRelu: prelu,
  HardSigmoid: (n) => {
    n.ignore('consumed_inputs');
    return hardSigmoid(n.tensor(0), n.float('alpha', 0.2), n.float('beta', 0.5));
  },
  HardSwish: unary((x) => x.mul(hardSigmoid(x, 1 / 6, 0.5))),
  ThresholdedRelu: (n) => {
    const x = n.tensor(0);
    return x.greater(n.float('alpha', 1)).where(x, x.operand(0));
  },
  Shrink: shrink,
  IsInf: isInf,
  Gelu: gelu,
  Swish: (n) => swish(n, 1),
  Add: binary((a, b) => a.add(b)),
  Sub: binary((a, b) => a.sub(b)),
  Mul: binary((a, b) => a.mul(b)),
  Div: binary((a, b) => a.div(b)),
  Pow: binary(power),
  Mod: binary(modulo),
  Equal: binary((a, b) => a.equal(b)),
  Less: binary((a, b) => a.less(b)),
  LessOrEqual: binary((a, b) => a.lessEqual(b)),
  Greater: binary((a, b) => a.greater(b)),
  GreaterOrEqual: binary((a, b) => a.greaterEqual(b)),
  And: binary((a, b) => a.and(b)),
  Or: binary((a, b) => a.or(b)),
  Xor: binary((a, b) => a.equal(b).not()),
  BitwiseAnd: binary((a, b) => a.bitAnd(b)),
  BitwiseOr: binary((a, b) => a.bitOr(b)),
  BitwiseXor: binary((a, b) => a.bitXor(b)),
  BitShift: binary(shift),
  Max: variadic((a, b) => a.maximum(b)),
  Min: variadic((a, b) => a.minimum(b)),
  Sum: variadic((a, b) => a.add(b)),
  Mean: (n) => {
    n.ignore('consumed_inputs');
    const all = n.tensors();
    return all.reduce((a, b) => a.add(b)).div(all.length);
  },
  Where: (n) => n.tensor(0).where(n.tensor(1), n.tensor(2)),
  Clip: clip,
  Cast: cast,
  CastLike: (n) => {
    n.ignore('saturate', 'round_mode');
    return n.tensor(0).cast(n.value(1).dtype);
  },
};

export const microsoftElementwise: Readonly<Record<string, Builder>> = {
  Gelu: gelu,
  BiasGelu: gelu,
  FastGelu: fastGelu,
  QuickGelu: (n) => swish(n, 1.702),
};
