// The operators that may reach native code, with how many inputs and outputs each may have, over
// all versions of the operator. Facts from the operator schemas of ONNX (opset 1 to 28) and of ONNX
// Runtime's contributed domain, of which only what transformers use is listed; `checkModel` takes
// a larger table where one is needed.

/** Smallest and largest number of inputs and outputs (trailing ones may be omitted). */
export type Arity = {
  readonly inputs: readonly [min: number, max: number];
  readonly outputs: readonly [min: number, max: number];
};
/** By domain ('' is the standard one), then operator. */
export type OpTable = ReadonlyMap<string, ReadonlyMap<string, Arity>>;

/** Grouped by counts, `inputs > outputs`; `2-` has no upper end. */
type Groups = Readonly<Record<string, string>>;

const standard: Groups = {
  '0 > 1': 'Constant RandomNormal RandomUniform SequenceEmpty',
  '0-1 > 1': 'Optional OptionalHasElement',
  '1 > 1':
    'Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Bernoulli BitCast BitwiseNot BlackmanWindow Cast Ceil Celu ConcatFromSequence ConstantOfShape Cos Cosh DepthToSpace Det Elu Erf Exp EyeLike Flatten Floor Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity ImageDecoder IsInf IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization LpPool MeanVarianceNormalization Mish Multinomial Neg NonZero Not OptionalGetElement RandomNormalLike RandomUniformLike Reciprocal RegexFullMatch Relu Round Selu SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign SpaceToDepth Sqrt StringNormalizer Swish Tan Tanh TfIdfVectorizer ThresholdedRelu Transpose',
  '1 > 1-2': 'MaxPool',
  '1 > 1-4': 'Unique',
  '1 > 1-': 'If',
  '1 > 2': 'StringSplit',
  '1 > 3': 'DynamicQuantizeLinear',
  '1-2 > 1':
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape SequenceErase SplitToSequence Squeeze Trilu Unsqueeze Upsample',
  '1-2 > 1-': 'Split',
  '1-2 > 2': 'TopK',
  '1-3 > 1': 'Clip DFT',
  '1-3 > 1-2': 'Dropout',
  '1-4 > 1': 'Pad Resize',
  '1-5 > 1': 'Slice',
  '1- > 1': 'Concat Einsum Max Mean Min SequenceConstruct Sum',
  '1- > 1-': 'Scan SequenceMap',
  '2 > 1':
    'Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CenterCropPad Compress CumProd CumSum Div Equal Expand Gather GatherElements GatherND Greater GreaterOrEqual GridSample Less LessOrEqual MatMul MaxRoiPool Mod Mul Or PRelu Pow RMSNormalization ReverseSequence SequenceAt StringConcat Sub SwiGLU Xor',
  '2-3 > 1':
    'Conv ConvTranspose DequantizeLinear Gemm MaxUnpool NegativeLogLikelihoodLoss QuantizeLinear SequenceInsert TensorScatter Tile',
  '2-3 > 1-2': 'SoftmaxCrossEntropyLoss',
  '2-3 > 1-3': 'LayerNormalization',
  '2-4 > 1': 'ConvInteger MatMulInteger STFT',
  '2-4 > 2': 'CausalConvWithState',
  '2-5 > 1': 'NonMaxSuppression',
  '2- > 1-': 'Loop',
  '3 > 1':
    'Col2Im GroupNormalization InstanceNormalization OneHot Range RoiAlign Scatter ScatterElements ScatterND Where',
  '3-4 > 1': 'RotaryEmbedding',
  '3-5 > 1': 'DeformConv',
  '3-6 > 0-2': 'GRU RNN',
  '3-6 > 2': 'LinearAttention',
  '3-7 > 1-4': 'Attention',
  '3-8 > 0-3': 'LSTM',
  '5 > 1': 'MelWeightMatrix',
  '5 > 1-5': 'BatchNormalization',
  '8 > 1': 'QLinearMatMul',
  '8-9 > 1': 'QLinearConv',
};

// In the standard domain for ONNX Runtime only.
const runtimeStandard: Groups = { '2-3 > 1-3': 'SimplifiedLayerNormalization' };

const microsoft: Groups = {
  '1 > 1':
    'ExpandDims Gelu Inverse Irfft IsAllFinite MurmurHash3 NhwcMaxPool QuickGelu ReduceSumInteger Rfft SampleOp UnfoldTensor',
  '1 > 1-4': 'Unique',
  '1-2 > 1': 'FastGelu Trilu',
  '1-10 > 1-4': 'MultiHeadAttention',
  '1-12 > 1-4': 'DecoderMaskedMultiHeadAttention',
  '2 > 1':
    'BiasGelu BiasSoftmax BiasSplitGelu CDist FusedMatMul FusedMatMulActivation GatherND GemmFastGelu GridSample MatMulInteger16 NGramRepeatBlock SparseToDenseMatMul TransposeMatMul',
  '2-3 > 1': 'DequantizeLinear FusedGemm NhwcConv QuantizeLinear Range',
  '2-4 > 1': 'ConvTransposeWithDynamicPads FusedConv NhwcFusedConv Pad TorchEmbedding',
  '2-5 > 1-2': 'BiasDropout',
  '2-7 > 1-2': 'Attention',
  '3 > 1': 'BiasAdd ComplexMul ComplexMulConj MatMulBnb4 MatMulFpQ4 RelativePositionBias',
  '3 > 1-3': 'GroupNorm',
  '3-4 > 1': 'GatherBlockQuantized MulInteger',
  '3-4 > 1-4': 'SkipSimplifiedLayerNormalization',
  '3-5 > 1': 'DynamicQuantizeMatMul',
  '3-5 > 1-4': 'SkipLayerNormalization',
  '3-6 > 1': 'MatMulNBits',
  '3- > 1': 'QLinearConcat',
  '4 > 1': 'RotaryEmbedding',
  '4-5 > 1': 'QLinearAveragePool QLinearLeakyRelu QLinearReduceMean QLinearSigmoid',
  '4-7 > 1': 'MatMulIntegerToFloat',
  '5 > 1': 'QLinearGlobalAveragePool QLinearSoftmax',
  '5-6 > 1': 'PackedAttention',
  '5-8 > 1': 'MoE',
  '5-9 > 1-2': 'QAttention',
  '6 > 2': 'GemmaRotaryEmbedding',
  '6-7 > 1': 'PackedMultiHeadAttention',
  '6-9 > 1': 'QGemm',
  '7 > 1': 'GatedRelativePositionBias LongformerAttention',
  '7-8 > 1': 'QLinearAdd QLinearMul',
  '7-9 > 2-3': 'EmbedLayerNormalization',
  '7-18 > 1': 'QMoE',
  '7-18 > 1-6': 'GroupQueryAttention',
  '8-9 > 1': 'QLinearConv',
  '9 > 1': 'QLinearWhere',
  '9-11 > 1-3': 'SparseAttention',
};

function parseRange(text: string): [number, number] {
  const [low, high] = text.trim().split('-');
  if (high === undefined) return [Number(low), Number(low)];
  return [Number(low), high === '' ? Number.POSITIVE_INFINITY : Number(high)];
}

function parseGroups(...all: Groups[]): ReadonlyMap<string, Arity> {
  const entries = all.flatMap((groups) =>
    Object.entries(groups).flatMap(([counts, names]) => {
      const [inputs, outputs] = counts.split('>').map(parseRange);
      return names.split(' ').map((name) => [name, { inputs, outputs }] as const);
    }),
  );
  return new Map(entries);
}

let parsed: OpTable | undefined;

/** The known operators of the domains '' and 'com.microsoft'. */
export function knownOps(): OpTable {
  parsed ??= new Map([
    ['', parseGroups(standard, runtimeStandard)],
    ['com.microsoft', parseGroups(microsoft)],
  ]);
  return parsed;
}

/** `table` with the operators of `more` added, or replaced where both have one. */
export function extendOps(table: OpTable, more: OpTable): OpTable {
  const domains = new Set([...table.keys(), ...more.keys()]);
  return new Map(
    [...domains].map((domain) => [
      domain,
      new Map([...(table.get(domain) ?? []), ...(more.get(domain) ?? [])]),
    ]),
  );
}
