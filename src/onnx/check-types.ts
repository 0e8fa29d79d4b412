// Element types through a graph, where the rule is a line. The answer is the type of each output,
// or undefined where nothing is known; only what is certainly wrong is an error. Shapes are not
// inferred here.
import { dtypes } from '../tensor/dtype.js';
import { type ElementType, elementTypeName, isNative } from './element-type.js';
import type { OnnxNode } from './model.js';

export type MaybeType = ElementType | undefined;
/** What is wrong, for the caller to report with the node's name. */
export type TypeProblem = { expected: string; found: string };
export type TypeResult = { outputs: readonly MaybeType[] } | { problem: TypeProblem };

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

// All inputs are of one type, and so is the output.
const uniform = words(
  'Add Sub Mul Div Mod Max Min Sum Mean MatMul Gemm Concat Conv ConvTranspose Einsum PRelu BitwiseAnd BitwiseOr BitwiseXor BitShift FusedMatMul Range',
);
const comparison = words('Equal Greater GreaterOrEqual Less LessOrEqual');
const logical = words('And Or Xor Not');
// The first output has the first input's type.
const likeFirst = words(
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh CumSum DepthToSpace Elu Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu HardSigmoid HardSwish Hardmax Identity InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax LpNormalization Mish Neg Pad Pow RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Selu Sigmoid Sign SimplifiedLayerNormalization Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Sqrt Squeeze Tan Tanh Tile TopK Transpose Trilu Unsqueeze MatMulNBits BiasGelu FastGelu QuickGelu MultiHeadAttention GroupQueryAttention SkipLayerNormalization SkipSimplifiedLayerNormalization RotaryEmbedding',
);
const likeFirstAll = words('Split');
// The input must be a floating-point number.
const floating = words(
  'Acos Acosh Asin Asinh Atan Atanh Celu Cos Cosh Elu Exp Gelu HardSigmoid HardSwish LayerNormalization LeakyRelu Log LogSoftmax Mish RMSNormalization Reciprocal Selu Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh MatMulNBits',
);
const always: Readonly<Record<string, ElementType>> = {
  Shape: 'i64',
  Size: 'i64',
  ArgMax: 'i64',
  ArgMin: 'i64',
  NonZero: 'i64',
  IsNaN: 'bool',
  IsInf: 'bool',
  MatMulInteger: 'i32',
  ConvInteger: 'i32',
};
// Inputs that are indices or sizes: which input, and what it may be.
const i64: readonly ElementType[] = ['i64'];
const anyIndex: readonly ElementType[] = ['i32', 'i64'];
const indexInputs: Readonly<
  Record<string, readonly (readonly [number, readonly ElementType[]])[]>
> = {
  Reshape: [[1, i64]],
  Expand: [[1, i64]],
  Tile: [[1, i64]],
  Gather: [[1, anyIndex]],
  GatherElements: [[1, anyIndex]],
  GatherND: [[1, i64]],
  ScatterElements: [[1, anyIndex]],
  ScatterND: [[1, i64]],
  ConstantOfShape: [[0, i64]],
  Unsqueeze: [[1, i64]],
  Squeeze: [[1, i64]],
  TopK: [[1, i64]],
  CumSum: [[1, anyIndex]],
};

const isFloating = (type: ElementType): boolean => isNative(type) && dtypes[type].kind === 'float';

const show = (types: readonly MaybeType[]): string =>
  types.map((type) => type ?? 'unknown').join(', ');

function oneType(types: readonly MaybeType[]): MaybeType | TypeProblem {
  const known = types.filter((type) => type !== undefined);
  if (known.every((type) => type === known[0])) return known[0];
  return { expected: 'inputs of one element type', found: show(types) };
}

function constantType(node: OnnxNode): MaybeType {
  const kinds: Partial<Record<string, ElementType>> = {
    float: 'f32',
    floats: 'f32',
    int: 'i64',
    ints: 'i64',
    bigint: 'i64',
    bigints: 'i64',
    string: 'string',
    strings: 'string',
  };
  const [value] = Object.values(node.attributes);
  if (value === undefined) return undefined;
  return value.kind === 'tensor' ? value.value.dtype : kinds[value.kind];
}

/** The output types that `node` gives to inputs of these types ('' inputs are undefined too). */
export function inferTypes(node: OnnxNode, inputs: readonly MaybeType[]): TypeResult {
  const { op, attributes } = node;
  const [first] = inputs;
  for (const [at, allowed] of Object.hasOwn(indexInputs, op) ? indexInputs[op] : []) {
    const found = inputs[at];
    if (found !== undefined && !allowed.includes(found)) {
      return { problem: { expected: `input ${at} of ${allowed.join(' or ')}`, found } };
    }
  }
  if (floating.has(op) && first !== undefined && !isFloating(first)) {
    return { problem: { expected: 'a floating-point input', found: first } };
  }
  if (uniform.has(op) || comparison.has(op)) {
    const type = oneType(inputs);
    if (typeof type === 'object') return { problem: type };
    return { outputs: [comparison.has(op) ? 'bool' : type] };
  }
  if (logical.has(op)) {
    if (inputs.every((type) => type === undefined || type === 'bool')) return { outputs: ['bool'] };
    return { problem: { expected: 'bool inputs', found: show(inputs) } };
  }
  if (op === 'TopK') return { outputs: [first, 'i64'] };
  if (likeFirst.has(op)) return { outputs: [first] };
  if (likeFirstAll.has(op)) return { outputs: node.outputs.map(() => first) };
  if (Object.hasOwn(always, op)) return { outputs: [always[op]] };
  switch (op) {
    case 'Where': {
      const type = oneType(inputs.slice(1));
      if (typeof type === 'object') return { problem: type };
      if (first === undefined || first === 'bool') return { outputs: [type] };
      return { problem: { expected: 'a bool condition', found: first } };
    }
    case 'Cast': {
      const to = attributes.to;
      return { outputs: [to?.kind === 'int' ? elementTypeName(to.value) : undefined] };
    }
    case 'CastLike':
      return { outputs: [inputs[1]] };
    case 'Constant':
      return { outputs: [constantType(node)] };
    case 'ConstantOfShape': {
      const value = attributes.value;
      return { outputs: [value?.kind === 'tensor' ? value.value.dtype : 'f32'] };
    }
    default:
      return { outputs: [] };
  }
}
