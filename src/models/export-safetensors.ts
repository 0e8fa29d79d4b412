// A model as a plain folder of Hugging Face's making: dense floats of one type, in several files where
// one would be too large, config.json without anything of ours. For transformers, vLLM, MLX and others.
import { type FolderFile, type WrittenFile, writeFolder } from '#platform';
import { AnyformerError, castArray, dtypes, isFloat, sizeOf, toNumbers } from '../tensor/index.js';
import { exportedConfig, generationFiles, jsonFile } from './export-config.js';
import { modelFiles } from './folder.js';
import { printable } from './json-strict.js';
import { declare, type Model } from './model.js';
import { chunksOf, planSafetensors, type TensorType } from './safetensors-write.js';

/** Types of floats in config.json's own words. */
export const floatTypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;
export type FloatType = keyof typeof floatTypes;

/** What Hugging Face's writers put into one file at most. */
export const SHARD_BYTES = 5e9;

export type SafetensorsExportOptions = {
  /** Type of floats; as they are stored unless told. Whole numbers stay. */
  type?: FloatType | undefined;
  /** Most bytes of tensors in one file; a larger tensor has one to itself. */
  shardBytes?: number | undefined;
  overwrite?: boolean | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Writes the folder, whole or not at all; one tensor is in memory at a time. Errors:
 * `export/compressed`, `export/value` for numbers beyond float16, those of the weights and the platform.
 */
export async function exportSafetensors(
  model: Model,
  path: string,
  { type, shardBytes = SHARD_BYTES, overwrite, signal }: SafetensorsExportOptions = {},
): Promise<WrittenFile[]> {
  checkDense(model);
  const types = [...declare(model).stored.keys()].map(
    (name) => [name, typeFor(model, name, type)] as const,
  );
  const files = [
    ...weightFiles(model, shardsOf(types, shardBytes)),
    ...generationFiles(model),
    ...aroundFiles(model, type),
  ];
  return await writeFolder(path, files, { overwrite, signal, last: 'config.json' });
}

function checkDense({ name, quantization }: Model): void {
  if (!quantization) return;
  throw new AnyformerError('export/compressed', {
    what: `'${name}' was compressed, and plain safetensors hold dense matrices`,
    expected: 'a model as it was before compression',
    found: quantization.passes.map((pass) => pass.name).join('+'),
    hint: 'export the original; a compressed model is written by compress, or with --to onnx',
  });
}

function typeFor(model: Model, name: string, type: FloatType | undefined): TensorType {
  const { dtype, shape } = model.weights.type(name);
  return { dtype: type && isFloat(dtype) ? type : dtype, shape };
}

type Types = readonly (readonly [name: string, type: TensorType])[];

/** Neighbours together, as many as fit. */
function shardsOf(types: Types, most: number): Types[] {
  const shards: (readonly [string, TensorType])[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const one of types) {
    const bytes = bytesOf(one[1]);
    if (filled + bytes > most) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1].push(one);
    filled += bytes;
  }
  return shards;
}

const bytesOf = ({ dtype, shape }: TensorType): number => dtypes[dtype].bytes * sizeOf(shape);

function weightFiles(model: Model, shards: readonly Types[]): FolderFile[] {
  const digits = (n: number) => String(n).padStart(5, '0');
  const nameOf = (i: number) =>
    shards.length === 1
      ? 'model.safetensors'
      : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  const files = shards.map((types, i): FolderFile => {
    const plan = planSafetensors(types, [['format', 'pt']]);
    const wanted = new Map(types);
    const read = async (name: string) => {
      const array = castArray(await model.weights.read(name), wanted.get(name)?.dtype ?? 'f32');
      checkFinite(model, name, array.dtype === 'f16' ? toNumbers(array) : []);
      return array;
    };
    return { name: nameOf(i), chunks: chunksOf(plan, read), bytes: plan.bytes };
  });
  if (shards.length === 1) return files;
  const map = shards.flatMap((types, i) => types.map(([name]) => [name, nameOf(i)] as const));
  const total = shards.flat().reduce((sum, [, type]) => sum + bytesOf(type), 0);
  const index = {
    metadata: { total_size: total },
    weight_map: Object.fromEntries(map.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return [...files, jsonFile('model.safetensors.index.json', index)];
}

function checkFinite(model: Model, name: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new AnyformerError('export/value', {
      what: `tensor ${printable(name)} of '${model.name}' holds a number that float16 cannot`,
      expected: 'magnitudes up to 65504',
      found: `element ${i}`,
      hint: 'write another type: bf16 or f32',
    });
  }
}

/** The tokenizer's and the family's files, and config.json with the type of its floats. */
function aroundFiles(model: Model, type: FloatType | undefined): FolderFile[] {
  const said = type ? { torch_dtype: floatTypes[type] } : {};
  return modelFiles(model).flatMap((file) => {
    if (file.name === 'model.safetensors' || file.name === 'quality.json') return [];
    if (file.name !== 'config.json') return [file];
    const config = JSON.parse(new TextDecoder().decode(file.chunks as Uint8Array));
    return [jsonFile(file.name, { ...exportedConfig(config, []), ...said })];
  });
}
