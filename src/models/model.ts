// Model: a config, weights, and where there is one a tokenizer. Plain data; compression passes and
// training return new ones. Graphs are built from it on demand.
import { type Declarations, type MatrixSpec, Scope, type ScopeSource } from '../nn/index.js';
import {
  AnyformerError,
  dtypes,
  type Graph,
  graph,
  input,
  sizeOf,
  type Tensor,
} from '../tensor/index.js';
import type { WeightStore } from './checkpoint.js';
import { checkConfig } from './config-file.js';
import { familyOf } from './families/registry.js';
import type {
  DecoderFamily,
  DecoderInputs,
  EncoderDecoderFamily,
  EncoderFamily,
  Family,
  VisionFamily,
} from './family.js';
import { float8Config } from './float8.js';
import type { QualityRecord } from './quality.js';
import { sourceMemory, targetLogits } from './source.js';
import type { TextTokenizer } from './tokenizer.js';

/** How matrices are held: `config.json`'s quantization_config of our making. */
export type Quantization = {
  readonly quant_method: 'anyformer';
  /** The passes that made it, in order. */
  readonly passes: readonly { readonly name: string; readonly options: unknown }[];
  /** Weight format of each matrix that is not dense, by path. */
  readonly matrices: Readonly<Record<string, MatrixSpec>>;
};

export type Model = {
  /** A short name for tables and messages. */
  readonly name: string;
  readonly family: Family;
  /** The family's config, checked, with every key it knows. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly quantization: Quantization | undefined;
  readonly weights: WeightStore;
  readonly tokenizer: TextTokenizer | undefined;
  readonly quality: QualityRecord | undefined;
};

export type ModelParts = {
  name: string;
  /** Parsed config.json. */
  config: unknown;
  weights: WeightStore;
  tokenizer?: TextTokenizer | undefined;
  quality?: QualityRecord | undefined;
  /** The file's name, for messages. */
  file?: string;
};

/** A model of its parts; the config must be one that a family reads. */
export function createModel(parts: ModelParts): Model {
  const { name, weights, tokenizer, quality, file = 'config.json' } = parts;
  const raw = parts.config as Record<string, unknown> | null;
  const family = familyOf(typeof raw === 'object' ? raw?.model_type : undefined, file);
  const config = checkConfig(family.config, raw, file) as Record<string, unknown>;
  const quantization = checkQuantization(raw?.quantization_config, file);
  // Said anew by whoever writes the model.
  delete config.quantization_config;
  return { name, family, config, quantization, weights, tokenizer, quality };
}

function checkQuantization(value: unknown, file: string): Quantization | undefined {
  // Eight-bit floats become f32 when they are read.
  if (value === undefined || value === null || float8Config(value)) return undefined;
  const given = value as Partial<Quantization>;
  const known = given.quant_method === 'anyformer' && typeof given.matrices === 'object';
  if (!known) {
    throw new AnyformerError('models/quantization', {
      what: `${file}: the checkpoint is quantised in a way that is not read here`,
      expected: "no quantization_config, or quant_method 'anyformer', or 'fp8' (read as f32)",
      found: JSON.stringify(given.quant_method ?? given).slice(0, 80),
      hint: 'load the checkpoint that it was made from',
    });
  }
  return {
    quant_method: 'anyformer',
    passes: given.passes ?? [],
    matrices: { ...given.matrices },
  };
}

const scopeSource = ({ weights, quantization }: Model, recompute: boolean): ScopeSource => ({
  strict: true,
  recompute,
  type: (name) => (weights.has(name) ? weights.type(name) : undefined),
  format: (path) => {
    const matrices = quantization?.matrices;
    return matrices && Object.hasOwn(matrices, path) ? matrices[path] : undefined;
  },
});

export type Built = { graph: Graph; declarations: Declarations };

/**
 * Builds one program of a model; every tensor it lacks or has in another shape is named. With
 * `recompute`, gradients compute each block again instead of keeping its activations.
 */
export function buildProgram(
  model: Model,
  build: (s: Scope) => Readonly<Record<string, Tensor>>,
  { recompute = false } = {},
): Built {
  const s = Scope.root(scopeSource(model, recompute));
  const outputs = build(s);
  s.check();
  return { graph: graph(outputs), declarations: s.declarations };
}

export const isEncoder = (
  model: Model,
): model is Model & { family: EncoderFamily<Model['config']> } => model.family.kind === 'encoder';

export const isDecoder = (
  model: Model,
): model is Model & { family: DecoderFamily<Model['config']> } => model.family.kind === 'decoder';

export const isEncoderDecoder = (
  model: Model,
): model is Model & { family: EncoderDecoderFamily<Model['config']> } =>
  model.family.kind === 'encoder-decoder';

export const isVision = (
  model: Model,
): model is Model & { family: VisionFamily<Model['config']> } => model.family.kind === 'vision';

/** pixels: f32[batch, channels, height, width] -> scores: f32[batch, classes]. */
export function visionProgram(model: Model): Built {
  if (!isVision(model)) throw wrongKind(model, 'vision model');
  const pixels = input('pixels', 'f32', ['batch', ...model.family.picture(model.config)]);
  return buildProgram(model, (s) => ({ scores: model.family.scores(s, model.config, pixels) }));
}

/** What a program of an encoder may give, by the names of ONNX files. */
const encoderOutputs = {
  sentence_embedding: 'sentence',
  last_hidden_state: 'tokens',
  logits: 'scores',
} as const;
export type EncoderOutputName = keyof typeof encoderOutputs;

export type EncoderProgramOptions = {
  /** Without: there is no attention_mask, every place holds a token. */
  padded?: boolean;
  /** Takes token_type_ids i64[batch, seq] too, where the family reads them. */
  typed?: boolean;
  outputs?: readonly EncoderOutputName[];
};

/**
 * input_ids, attention_mask: i64[batch, seq] -> sentence_embedding: f32[batch, width]; of other
 * `outputs`, last_hidden_state is f32[batch, seq, hidden] and logits f32[batch, classes]. Errors:
 * `models/no-head` for logits of a model that tells no classes apart.
 */
export function encoderProgram(
  model: Model,
  { padded = true, typed = false, outputs = ['sentence_embedding'] }: EncoderProgramOptions = {},
): Built {
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  const tokens = (name: string) => input(name, 'i64', ['batch', 'seq']);
  return buildProgram(model, (s) => {
    const given = model.family.encode(s, model.config, {
      ids: tokens('input_ids'),
      mask: padded ? tokens('attention_mask').greater(0) : undefined,
      types: typed && readsTypes(model) ? tokens('token_type_ids') : undefined,
    });
    const of = (name: EncoderOutputName) => given[encoderOutputs[name]] ?? noHead(model);
    return Object.fromEntries(outputs.map((name) => [name, of(name)]));
  });
}

/** Whether the model tells the texts of a pair apart by their tokens' types. */
export const readsTypes = (model: Model): boolean =>
  isEncoder(model) && (model.family.tokenTypes?.(model.config) ?? 0) > 1;

/** Names of the classes that the model tells apart; undefined where it has no head for any. */
export function classesOf(model: Model): readonly string[] | undefined {
  return isEncoder(model) || isVision(model) ? model.family.classes?.(model.config) : undefined;
}

export function noHead({ name, config }: Model): never {
  throw new AnyformerError('models/no-head', {
    what: `'${name}' has no head for classes`,
    expected: 'a config.json whose architectures name one, such as BertForSequenceClassification',
    found: JSON.stringify(config.architectures ?? null),
  });
}

export function wrongKind(model: Model, wanted: string): AnyformerError {
  return new AnyformerError('models/kind', {
    what: `'${model.name}' is of the wrong kind`,
    expected: wanted,
    found: model.family.kind,
  });
}

/** What a model declares: its stored tensors and its matrices. Built once for each model. */
export function declare(model: Model): Declarations {
  const known = declared.get(model);
  if (known) return known;
  const { declarations } = wholeProgram(model);
  declared.set(model, declarations);
  return declarations;
}

const declared = new WeakMap<Model, Declarations>();

/** The program that a model is: a sentence's vector and scores, every token's, or a picture's. */
export function wholeProgram(model: Model): Built {
  if (isVision(model)) return visionProgram(model);
  if (isEncoderDecoder(model)) return fullEncoderDecoderProgram(model);
  return isEncoder(model) ? wholeEncoderProgram(model) : fullDecoderProgram(model);
}

const wholeEncoderProgram = (model: Model): Built => {
  const outputs: EncoderOutputName[] = ['sentence_embedding'];
  if (classesOf(model)) outputs.push('logits');
  return encoderProgram(model, { outputs });
};

/**
 * A pass over whole sequences: input_ids: i64[batch, seq], attention_mask: i64[batch, seq] ->
 * logits: f32[batch, seq, vocabulary].
 */
export function fullDecoderProgram(model: Model): Built {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  return buildProgram(model, (s) => ({
    logits: model.family.logits(s, model.config, wholeSequences()),
  }));
}

/**
 * Whole sources and targets: the inputs of `sourceMemory`, decoder_input_ids i64[batch, target] ->
 * logits: f32[batch, target, vocabulary].
 */
export function fullEncoderDecoderProgram(model: Model, options: { padded?: boolean } = {}): Built {
  if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const memory = sourceMemory(s, family, config, options);
    const ids = input('decoder_input_ids', 'i64', ['batch', 'target']);
    return { logits: targetLogits(s, family, config, memory, ids) };
  });
}

/**
 * Inputs of a causal pass over whole sequences, from input_ids and attention_mask i64[batch, seq].
 * Positions count the tokens that stand.
 */
export function wholeSequences(): Pick<DecoderInputs, 'ids' | 'positions' | 'mask'> {
  const ids = input('input_ids', 'i64', ['batch', 'seq']);
  const attended = input('attention_mask', 'i64', ['batch', 'seq']);
  const order = attended.cumsum(1); // [batch, seq]
  const causal = order.unsqueeze(1, 3).greaterEqual(order.unsqueeze(1, 2)); // [batch, 1, seq, seq]
  const mask = causal.and(attended.greater(0).unsqueeze(1, 2));
  return { ids, positions: order.sub(1).maximum(0), mask };
}

/** Total bytes of the tensors that the model stores. */
export function storedBytes(model: Model): number {
  let bytes = 0;
  for (const { name } of declare(model).stored.values()) bytes += tensorBytes(model.weights, name);
  return bytes;
}

/** Bytes of one stored tensor. */
export function tensorBytes(weights: WeightStore, name: string): number {
  const { dtype, shape } = weights.type(name);
  return dtypes[dtype].bytes * sizeOf(shape);
}
