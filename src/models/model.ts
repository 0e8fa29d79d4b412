// Model: a config, weights, and where there is one a tokenizer. Plain data; compression passes and
// training return new ones. Graphs are built from it on demand.
import { type Declarations, type MatrixSpec, Scope, type ScopeSource } from '../nn/index.js';
import {
  AnyformerError,
  castArray,
  dtypes,
  type Graph,
  graph,
  input,
  type NDArray,
  sizeOf,
  type Tensor,
} from '../tensor/index.js';
import type { WeightStore } from './checkpoint.js';
import { checkConfig } from './config-file.js';
import { familyOf } from './families/registry.js';
import type {
  DecoderFamily,
  DecoderInputs,
  EncoderFamily,
  Family,
  VisionFamily,
} from './family.js';
import type { QualityRecord } from './quality.js';
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
  return { name, family, config, quantization, weights, tokenizer, quality };
}

function checkQuantization(value: unknown, file: string): Quantization | undefined {
  if (value === undefined || value === null) return undefined;
  const given = value as Partial<Quantization>;
  const known = given.quant_method === 'anyformer' && typeof given.matrices === 'object';
  if (!known) {
    throw new AnyformerError('models/quantization', {
      what: `${file}: the checkpoint is quantised in a way that is not read here`,
      expected: "no quantization_config, or quant_method 'anyformer'",
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

const scopeSource = ({ weights, quantization }: Model): ScopeSource => ({
  strict: true,
  type: (name) => (weights.has(name) ? weights.type(name) : undefined),
  format: (path) => {
    const matrices = quantization?.matrices;
    return matrices && Object.hasOwn(matrices, path) ? matrices[path] : undefined;
  },
});

export type Built = { graph: Graph; declarations: Declarations };

/** Builds one program of a model; every tensor it lacks or has in another shape is named. */
export function buildProgram(
  model: Model,
  build: (s: Scope) => Readonly<Record<string, Tensor>>,
): Built {
  const s = Scope.root(scopeSource(model));
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

export const isVision = (
  model: Model,
): model is Model & { family: VisionFamily<Model['config']> } => model.family.kind === 'vision';

/** pixels: f32[batch, channels, height, width] -> scores: f32[batch, classes]. */
export function visionProgram(model: Model): Built {
  if (!isVision(model)) throw wrongKind(model, 'vision model');
  const pixels = input('pixels', 'f32', ['batch', ...model.family.picture(model.config)]);
  return buildProgram(model, (s) => ({ scores: model.family.scores(s, model.config, pixels) }));
}

/**
 * input_ids: i64[batch, seq], attention_mask: i64[batch, seq] (absent when not `padded`) ->
 * sentence_embedding: f32[batch, width].
 */
export function encoderProgram(model: Model, { padded = true } = {}): Built {
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  return buildProgram(model, (s) => {
    const ids = input('input_ids', 'i64', ['batch', 'seq']);
    const mask = padded ? input('attention_mask', 'i64', ['batch', 'seq']).greater(0) : undefined;
    return { sentence_embedding: model.family.encode(s, model.config, { ids, mask }) };
  });
}

export function wrongKind(model: Model, wanted: string): AnyformerError {
  return new AnyformerError('models/kind', {
    what: `'${model.name}' is of the wrong kind`,
    expected: wanted,
    found: model.family.kind,
  });
}

/** The program's frozen parameters: stored tensors at the graph's type, derived ones computed. */
export async function parameterValues(
  model: Model,
  { graph: g, declarations }: Built,
): Promise<Map<string, NDArray>> {
  const values = new Map<string, NDArray>();
  for (const name of g.parameters.keys()) {
    const declared = declarations.parameters.get(name);
    if (!declared) continue;
    const { derivation, dtype } = declared;
    if (derivation) {
      const stored = await Promise.all(derivation.from.map((from) => model.weights.read(from)));
      values.set(name, derivation.compute(stored));
    } else values.set(name, castArray(await model.weights.read(name), dtype));
  }
  return values;
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

/** The program that a model is: a sentence's vector, every token's scores, or a picture's. */
export function wholeProgram(model: Model): Built {
  if (isVision(model)) return visionProgram(model);
  return isEncoder(model) ? encoderProgram(model) : fullDecoderProgram(model);
}

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
