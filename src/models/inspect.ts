// What a model is made of and what one pass over it costs, by module path: parameters and bytes from
// what its checkpoint stores, arithmetic and activations from the cost model. Nothing is read or run.
//
// A quantised matrix counts rows x columns parameters, however they are packed; a factored one counts
// its factors'. Other tensors count their elements.
import {
  type Declarations,
  type MatrixSpec,
  type MatrixUse,
  matrixLookup,
  matrixProduct,
  Scope,
} from '../nn/index.js';
import { AnyformerError, cost, dtypes, input, simplify, sizeOf } from '../tensor/index.js';
import type { Family } from './family.js';
import {
  type Built,
  isDecoder,
  isEncoder,
  isEncoderDecoder,
  type Model,
  tensorBytes,
  wholeProgram,
} from './model.js';
import type { QualityRecord } from './quality.js';

export type ModuleFacts = {
  /** Module path; '' for what stands outside any module. */
  readonly path: string;
  readonly parameters: number;
  /** Bytes of its tensors in the checkpoint. */
  readonly bytes: number;
  /** Of one pass; a multiply and an add count as two. */
  readonly flops: number;
};

export type FormatFacts = {
  /** `dense f32`, `block-int bits=8 block=64 scale=float`. */
  readonly format: string;
  readonly matrices: number;
  readonly parameters: number;
  readonly bytes: number;
};

export type Inspection = Omit<ModuleFacts, 'path'> & {
  readonly name: string;
  readonly family: string;
  readonly kind: Family['kind'];
  readonly vocabulary: number;
  /** Longest sequence in tokens. */
  readonly context: number;
  /** Numbers of a text's vector; undefined for decoders. */
  readonly width: number | undefined;
  /** Sizes of the pass that `flops` and `peakActivationBytes` are of. */
  readonly batch: number;
  readonly seq: number;
  /** Largest sum of live intermediate results during the pass. */
  readonly peakActivationBytes: number;
  /** Bytes that decoding keeps for each token of each text; undefined for encoders. */
  readonly cacheBytesPerToken: number | undefined;
  /** Module by module, in the model's order; each row holds only what stands directly in it. */
  readonly modules: readonly ModuleFacts[];
  /** How matrices are held; what is no matrix is in none of these. */
  readonly formats: readonly FormatFacts[];
  readonly quality: QualityRecord | undefined;
};

export type InspectOptions = {
  /** Texts of the pass, 1 unless told. */
  batch?: number | undefined;
  /** Tokens of each text; 128 or the model's context, whichever is less, unless told. */
  seq?: number | undefined;
};

const CACHE_ELEMENT_BYTES = dtypes.f32.bytes;

/** Errors: `models/length` for a batch or a length that the model cannot take. */
export function inspectModel(model: Model, options: InspectOptions = {}): Inspection {
  const { family, config } = model;
  const context = family.context(config);
  const { batch = 1, seq = Math.min(128, context) } = options;
  checkSize('batch', batch, Number.MAX_SAFE_INTEGER);
  checkSize('seq', seq, context);
  const built = wholeProgram(model);
  const pass = cost(simplify(built.graph), { batch, seq, ...otherSizes(model, seq) });
  const modules = modulesOf(model, built, pass.byPath);
  return {
    name: model.name,
    family: String(config.model_type),
    kind: family.kind,
    vocabulary: family.vocabulary(config),
    context,
    width: isEncoder(model) ? model.family.width(config) : undefined,
    batch,
    seq,
    ...total(modules),
    peakActivationBytes: pass.peakActivationBytes,
    cacheBytesPerToken: isDecoder(model) || isEncoderDecoder(model) ? cacheBytes(model) : undefined,
    modules,
    formats: formatsOf(model, built.declarations),
    quality: model.quality,
  };
}

/** Encoder-decoders: a target as long as the source, and of sound a second for every three tokens. */
function otherSizes(model: Model, seq: number): Record<string, number> {
  if (!isEncoderDecoder(model)) return {};
  const { family, config } = model;
  if (family.source === 'text') return { target: seq };
  const { rate, least } = family.audio(config);
  return { target: seq, samples: Math.max(least, Math.round((rate * seq) / 3)) };
}

function checkSize(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new AnyformerError('models/length', {
    what: `the model cannot run at ${name} ${value}`,
    expected: `a whole number from 1 to ${most}`,
    found: String(value),
  });
}

/** Sums of rows. */
export const total = (
  modules: readonly Omit<ModuleFacts, 'path'>[],
): Omit<ModuleFacts, 'path'> => ({
  parameters: modules.reduce((sum, { parameters }) => sum + parameters, 0),
  bytes: modules.reduce((sum, { bytes }) => sum + bytes, 0),
  flops: modules.reduce((sum, { flops }) => sum + flops, 0),
});

const parentOf = (name: string): string =>
  name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';

function modulesOf(
  model: Model,
  { declarations }: Built,
  flops: ReadonlyMap<string, { readonly flops: number }>,
): ModuleFacts[] {
  const rows = new Map<string, ModuleFacts>();
  const add = (path: string, more: Partial<ModuleFacts>) => {
    const { parameters = 0, bytes = 0, flops: work = 0 } = more;
    const row = rows.get(path) ?? { path, parameters: 0, bytes: 0, flops: 0 };
    rows.set(path, {
      path,
      parameters: row.parameters + parameters,
      bytes: row.bytes + bytes,
      flops: row.flops + work,
    });
  };
  const packed = new Set<string>();
  const matrices = plainMatrices(declarations);
  for (const { tensors } of matrices) for (const name of tensors) packed.add(name);
  const sizes = new Map(matrices.map(({ use }) => [use.path, use.rows * use.columns]));
  for (const { name, shape } of declarations.stored.values()) {
    const path = parentOf(name);
    add(path, {
      bytes: tensorBytes(model.weights, name),
      parameters: packed.has(name) ? 0 : sizeOf(shape),
    });
    add(path, { parameters: sizes.get(path) });
    sizes.delete(path);
  }
  for (const [path, { flops: work }] of flops) if (work > 0) add(path, { flops: work });
  return [...rows.values()];
}

type PlainMatrix = { use: MatrixUse; tensors: string[] };

/** Matrices that are stored as such, each with its tensors; of a factored one, its factors. */
function plainMatrices({ matrices }: Declarations): PlainMatrix[] {
  return [...matrices.values()].flatMap((use) => {
    const { stored, matrices: inside } = declaredBy(use, matrices);
    return inside.size > 1 ? [] : [{ use, tensors: [...stored.keys()] }];
  });
}

/** The tensors and further matrices that a matrix's format needs: told by a graph of it alone. */
function declaredBy(
  { path, rows, columns, roles }: MatrixUse,
  matrices: Declarations['matrices'],
): Declarations {
  const root = Scope.root({ format: (at) => matrices.get(at)?.format });
  const size = { rows, columns };
  if (roles.has('product')) matrixProduct(root.at(path), input('x', 'f32', ['n', columns]), size);
  else matrixLookup(root.at(path), input('ids', 'i64', ['n']), size);
  return root.declarations;
}

function formatsOf(model: Model, declarations: Declarations): FormatFacts[] {
  const found = new Map<string, FormatFacts>();
  for (const { use, tensors } of plainMatrices(declarations)) {
    const format = showFormat(use.format, model.weights.type(tensors[0]).dtype);
    const known = found.get(format) ?? { format, matrices: 0, parameters: 0, bytes: 0 };
    found.set(format, {
      format,
      matrices: known.matrices + 1,
      parameters: known.parameters + use.rows * use.columns,
      bytes: known.bytes + tensors.reduce((sum, name) => sum + tensorBytes(model.weights, name), 0),
    });
  }
  return [...found.values()];
}

/** A plain matrix is told by its element type, however it lies; others by their options. */
function showFormat({ format, ...options }: MatrixSpec, dtype: string): string {
  if (format === 'dense') return `dense ${dtype}`;
  const given = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  return [format, ...given].join(' ');
}

function cacheBytes({ family, config }: Model): number {
  if (family.kind !== 'decoder' && family.kind !== 'encoder-decoder') return 0;
  const shapes = family.states(config).flatMap((layer) => Object.values(layer));
  const elements = shapes.map(({ shape }) =>
    sizeOf(shape.filter((size) => typeof size === 'number')),
  );
  return CACHE_ELEMENT_BYTES * elements.reduce((a, b) => a + b, 0);
}

export type ModuleTree = ModuleFacts & {
  /** The last part of the path. */
  readonly name: string;
  readonly children: readonly ModuleTree[];
};

/**
 * The modules as a tree, `depth` levels below the root; sums include everything below.
 */
export function moduleTree(
  modules: readonly ModuleFacts[],
  depth = Number.POSITIVE_INFINITY,
): ModuleTree {
  const at = (path: readonly string[], rows: readonly ModuleFacts[]): ModuleTree => {
    const groups = new Map<string, ModuleFacts[]>();
    for (const row of rows) {
      const name = row.path
        .split('.')
        .slice(0, path.length + 1)
        .join('.');
      if (row.path !== path.join('.')) groups.set(name, [...(groups.get(name) ?? []), row]);
    }
    const deeper = path.length < depth ? [...groups] : [];
    const children = deeper.map(([name, below]) => at(name.split('.'), below));
    return { path: path.join('.'), name: path.at(-1) ?? '', ...total(rows), children };
  };
  return at([], modules);
}
