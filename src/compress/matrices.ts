// What passes over weight matrices share: choosing them, encoding them in slices so that the event
// loop breathes, and the new model around them.
import { layeredStore, memoryStore } from '../models/checkpoint.js';
import { declare, type Model } from '../models/model.js';
import { type MatrixSpec, type MatrixUse, resolveFormat, type StoredTensors } from '../nn/index.js';
import { AnyformerError, type NDArray, ndarray, zeros } from '../tensor/index.js';
import type { PassContext } from './pass.js';

/** Globs over module paths: `*` stands for any part of one name, `**` for anything. */
export function matchesAny(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const source = pattern
      .split('**')
      .map((part) => part.split('*').map(escaped).join('[^.]*'))
      .join('.*');
    return new RegExp(`^${source}$`).test(path);
  });
}

const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');

/** The dense matrices of a model but those excluded; refuses a model that has none left. */
export function denseMatrices(model: Model, pass: string, exclude: readonly string[]): MatrixUse[] {
  const all = [...declare(model).matrices.values()];
  const dense = all.filter(({ format }) => format.format === 'dense');
  if (dense.length === 0) {
    throw new AnyformerError('compress/already', {
      what: `'${model.name}' has no dense matrix left for ${pass}`,
      expected: 'a model whose weights are not quantised yet',
      found: model.quantization?.passes.map(({ name }) => name).join(', ') || 'no matrices',
      hint: 'begin with the original model',
    });
  }
  return dense.filter(({ path }) => !matchesAny(path, exclude));
}

/** A dense matrix as float32 [rows, columns], however it lies in the checkpoint. */
export async function readMatrix(model: Model, use: MatrixUse): Promise<NDArray> {
  const weight = await model.weights.read(`${use.path}.weight`);
  const { format, options } = resolveFormat(use.format, use.path);
  return format.decode({ weight }, use, options);
}

/** Rows encoded between two breaths. */
const SLICE_ELEMENTS = 65536;

/** Stored tensors of a matrix in a format; every format keeps rows along the first axis. */
export async function encodeMatrix(
  matrix: NDArray,
  spec: MatrixSpec,
  path: string,
  importance?: ArrayLike<number>,
): Promise<StoredTensors> {
  const { format, options } = resolveFormat(spec, path);
  const [rows, columns] = matrix.shape;
  const step = Math.max(1, Math.floor(SLICE_ELEMENTS / columns));
  const parts: StoredTensors[] = [];
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const data = matrix.data.slice(from * columns, to * columns);
    parts.push(format.encode(ndarray('f32', [to - from, columns], data), options, { importance }));
    await breathe();
  }
  return Object.fromEntries(
    Object.keys(parts[0]).map((name) => [name, joinRows(parts.map((part) => part[name]))]),
  );
}

/** Lets timers and input run between two pieces of work. */
export const breathe = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function joinRows(parts: readonly NDArray[]): NDArray {
  const [{ dtype, shape }] = parts;
  const rows = parts.reduce((sum, part) => sum + part.shape[0], 0);
  const data = zeros(
    dtype,
    parts.reduce((sum, part) => sum + part.data.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    (data as Float32Array).set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return ndarray(dtype, [rows, ...shape.slice(1)], data);
}

export type Replacement = {
  /** Format of the matrix, and of matrices below it. */
  specs: Readonly<Record<string, MatrixSpec>>;
  /** Tensors by full name. */
  tensors: ReadonlyMap<string, NDArray>;
};

/** A model in which some matrices are held otherwise; their dense tensors are gone. */
export function withMatrices(
  model: Model,
  pass: { name: string; options: unknown },
  replaced: ReadonlyMap<string, Replacement>,
): Model {
  const tensors = new Map([...replaced.values()].flatMap(({ tensors: own }) => [...own]));
  const gone = new Set([...replaced.keys()].map((path) => `${path}.weight`));
  const matrices = { ...model.quantization?.matrices };
  for (const { specs } of replaced.values()) Object.assign(matrices, specs);
  return {
    ...model,
    quality: undefined,
    weights: layeredStore(memoryStore(tensors), model.weights, gone),
    quantization: {
      quant_method: 'anyformer',
      passes: [...(model.quantization?.passes ?? []), pass],
      matrices,
    },
  };
}

/** Encodes matrices by a rule that names each one's format. */
export async function quantize(
  model: Model,
  pass: { name: string; options: unknown },
  matrices: readonly MatrixUse[],
  choose: (matrix: MatrixUse, values: NDArray) => Promise<MatrixSpec> | MatrixSpec,
  { calibration, signal, progress }: PassContext,
): Promise<Model> {
  const replaced = new Map<string, Replacement>();
  for (const [i, matrix] of matrices.entries()) {
    signal?.throwIfAborted();
    const { path } = matrix;
    const values = await readMatrix(model, matrix);
    const spec = await choose(matrix, values);
    const importance = calibration?.has(path) ? calibration.importance(path) : undefined;
    const stored = await encodeMatrix(values, spec, path, importance);
    const named = Object.entries(stored).map(
      ([name, array]) => [`${path}.${name}`, array] as const,
    );
    replaced.set(path, { specs: { [path]: spec }, tensors: new Map(named) });
    progress?.((i + 1) / matrices.length, `${pass.name} ${path}`);
  }
  return withMatrices(model, pass, replaced);
}
