// A model as a GGUF file, for llama.cpp and what is built on it.
import { type Written, writeAtomic } from '#platform';
import { AnyformerError, nearest } from '../../tensor/index.js';
import type { Model } from '../model.js';
import { type GgufArchitecture, text, u32 } from './architecture.js';
import { gpt2 } from './gpt2.js';
import { llama, qwen2, qwen3 } from './llama.js';
import type { Source } from './sources.js';
import { type GgufMetadata, ggufType, type WrittenType } from './types.js';
import { vocabularyFields } from './vocabulary.js';
import { chunksOfGguf, type GgufPlan, type GgufTensor, planGguf } from './write.js';

const all = [llama, qwen2, qwen3, gpt2];

/** The `model_type` values that can be written. */
export const ggufModelTypes: readonly string[] = all.flatMap(({ modelTypes }) => modelTypes);

/** Types of a whole file, by the names that are used for files, with their number in `file_type`. */
export const ggufFileTypes = {
  f32: { type: 'F32', id: 0 },
  f16: { type: 'F16', id: 1 },
  bf16: { type: 'BF16', id: 32 },
  q8_0: { type: 'Q8_0', id: 7 },
  q4_0: { type: 'Q4_0', id: 2 },
} as const satisfies Record<string, { type: WrittenType; id: number }>;
export type GgufFileType = keyof typeof ggufFileTypes;

export type GgufExport = { plan: GgufPlan; metadata: GgufMetadata; sources: readonly Source[] };

/**
 * Plans the file; no weight is read. Norms, biases and trained positions stay float32, as llama.cpp
 * wants them; under q4_0 the matrix of the vocabulary's scores takes q8_0; matrices whose rows are no
 * whole blocks take f16. Errors: `export/family`, `export/unsupported`, `export/compressed`,
 * `export/vocabulary`.
 */
export function planGgufExport(model: Model, fileType: GgufFileType = 'f16'): GgufExport {
  const { architecture, fields, tensors, vocabulary } = architectureOf(model).describe(model);
  const { type, id } = ggufFileTypes[fileType];
  const metadata: GgufMetadata = new Map([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(model.name)],
    ['general.quantization_version', u32(2)],
    ['general.file_type', u32(id)],
    ...Object.entries(fields).map(([key, value]) => [`${architecture}.${key}`, value] as const),
    ...Object.entries(vocabularyFields(model, vocabulary)),
  ]);
  const table = tensors.map(
    ({ name, shape, role }): GgufTensor => ({ name, shape, type: typeFor(role, shape, type) }),
  );
  return { plan: planGguf(metadata, table), metadata, sources: tensors };
}

function typeFor(role: Source['role'], shape: readonly number[], type: WrittenType): WrittenType {
  if (role === 'exact') return 'F32';
  const wanted = role === 'scores' && type === 'Q4_0' ? 'Q8_0' : type;
  return shape[shape.length - 1] % ggufType(wanted).block === 0 ? wanted : 'F16';
}

function architectureOf({ name, config }: Model): GgufArchitecture {
  const type = String(config.model_type);
  const found = all.find(({ modelTypes }) => modelTypes.includes(type));
  if (found) return found;
  throw new AnyformerError('export/family', {
    what: `'${name}' is of a family that is not written as GGUF here`,
    expected: ggufModelTypes.join(', '),
    found: type,
    hint: `nearest: ${nearest(type, ggufModelTypes, 1)[0]}; --to onnx takes every family`,
  });
}

/**
 * Writes the file, whole or not at all; one tensor is in memory at a time. Errors: those of the plan,
 * `gguf/value`, those of the weights and of the platform.
 */
export async function exportGguf(
  model: Model,
  path: string,
  { type, signal }: { type?: GgufFileType | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Written> {
  const { plan, sources } = planGgufExport(model, type);
  const byName = new Map(sources.map((source) => [source.name, source]));
  const read = (name: string) => (byName.get(name) as Source).read();
  return await writeAtomic(path, chunksOfGguf(plan, read), { signal, bytes: plan.bytes });
}
