// A model as an ONNX folder that transformers.js loads as it is: config.json, the tokenizer's files,
// onnx/model.onnx and, where the weights are many, onnx/model.onnx_data beside it; the same model in
// fewer bits as onnx/model_quantized.onnx, model_int8.onnx or model_q4.onnx.
// Encoders: input_ids, attention_mask and, where the family reads them, token_type_ids ->
// last_hidden_state, sentence_embedding, and logits where there is a head for classes. Decoders: one
// graph with its cache (`export-decoder.ts`); of families that transformers.js has no class for,
// input_ids, attention_mask -> logits of whole sequences. Encoder-decoders: two graphs
// (`export-encoder-decoder.ts`). Image models: pixel_values -> logits.
import { type FolderFile, type WrittenFile, writeFolder } from '#platform';
import { checkModel } from '../onnx/check.js';
import { externalize } from '../onnx/external.js';
import { toOnnx } from '../onnx/from-graph.js';
import { initializerBytes, type OnnxModel } from '../onnx/model.js';
import { encodePieces } from '../onnx/write.js';
import { input, simplify } from '../tensor/index.js';
import {
  dtypeSuffixes,
  exportedConfig,
  generationFiles,
  jsonFile,
  type OnnxDtype,
} from './export-config.js';
import { cachedDecoderProgram, cachedModelTypes } from './export-decoder.js';
import { decoderPart, encoderPart } from './export-encoder-decoder.js';
import { checkQuality, modelFiles } from './folder.js';
import {
  type Built,
  buildProgram,
  classesOf,
  type EncoderOutputName,
  encoderProgram,
  fullDecoderProgram,
  isEncoder,
  isEncoderDecoder,
  isVision,
  type Model,
} from './model.js';
import { parameterValues } from './parameters.js';

/**
 * The graph with its weights, checked; of a model of two, the one that reads. Errors: those of the
 * weights, and `onnx/...`.
 */
export async function onnxModel(model: Model): Promise<OnnxModel> {
  const [program] = programsOf(model).values();
  return await withWeights(model, program());
}

async function withWeights(model: Model, built: Built): Promise<OnnxModel> {
  const frozen = await parameterValues(model, built);
  const onnx = toOnnx(simplify(built.graph), { frozen, name: model.name });
  checkModel(onnx);
  return onnx;
}

/** The graphs of a model, by the names of their files. */
function programsOf(model: Model): ReadonlyMap<string, () => Built> {
  if (!isEncoderDecoder(model)) return new Map([['model', () => exportedProgram(model)]]);
  return new Map([
    ['encoder_model', () => encoderPart(model)],
    ['decoder_model_merged', () => decoderPart(model)],
  ]);
}

function exportedProgram(model: Model): Built {
  if (isVision(model)) {
    const pixels = input('pixel_values', 'f32', ['batch', ...model.family.picture(model.config)]);
    return buildProgram(model, (s) => ({ logits: model.family.scores(s, model.config, pixels) }));
  }
  if (!isEncoder(model)) {
    const cached = cachedModelTypes.includes(String(model.config.model_type));
    return cached ? cachedDecoderProgram(model) : fullDecoderProgram(model);
  }
  const outputs: EncoderOutputName[] = ['last_hidden_state', 'sentence_embedding'];
  if (classesOf(model)) outputs.push('logits');
  return encoderProgram(model, { typed: true, outputs });
}

/** Weights of more bytes go into a file of their own: protobuf ends at 2 GiB. */
const INLINE_BYTES = 1.5e9;

export type OnnxFilesOptions = {
  /** Most bytes of weights inside model.onnx; 1.5 GB unless told. */
  inlineBytes?: number | undefined;
  /** The type of the weights, as the file's name tells it; `fp32`, which adds nothing, unless told. */
  dtype?: OnnxDtype | undefined;
};

/**
 * `onnx/model.onnx`, and before it `onnx/model.onnx_data` where the weights are many; of an
 * encoder-decoder `encoder_model.onnx` and `decoder_model_merged.onnx`.
 */
export async function onnxFiles(
  model: Model,
  { inlineBytes = INLINE_BYTES, dtype = 'fp32' }: OnnxFilesOptions = {},
): Promise<FolderFile[]> {
  const files: FolderFile[] = [];
  for (const [stem, program] of programsOf(model)) {
    const whole = await withWeights(model, program());
    files.push(...graphFiles(`${stem}${dtypeSuffixes[dtype]}.onnx`, whole, inlineBytes));
  }
  return files;
}

function graphFiles(name: string, whole: OnnxModel, inlineBytes: number): FolderFile[] {
  const weights = [...whole.graph.initializers.values()];
  const bytes = weights.reduce((sum, one) => sum + initializerBytes(one), 0);
  if (bytes <= inlineBytes) return [graphFile(name, whole)];
  const { model: graph, chunks, length } = externalize(whole, { location: `${name}_data` });
  checkModel(graph);
  return [{ name: `onnx/${name}_data`, chunks, bytes: length }, graphFile(name, graph)];
}

function graphFile(name: string, onnx: OnnxModel): FolderFile {
  const { chunks, length } = encodePieces(onnx);
  return { name: `onnx/${name}`, chunks, bytes: length };
}

export type ExportOptions = Omit<OnnxFilesOptions, 'dtype'> & {
  overwrite?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** The same model in other types, by the names of transformers.js. */
  variants?: ReadonlyMap<OnnxDtype, Model> | undefined;
};

/**
 * Writes the folder, whole or not at all; one graph is in memory at a time. Quality records go along,
 * those of variants as quality_{dtype}.json; a compressed model must have one (`models/quality`).
 */
export async function exportOnnx(
  model: Model,
  path: string,
  { overwrite, signal, inlineBytes, variants = new Map() }: ExportOptions = {},
): Promise<WrittenFile[]> {
  const all = new Map<OnnxDtype, Model>([['fp32', model], ...variants]);
  for (const one of all.values()) checkQuality(one, {});
  async function* files(): AsyncGenerator<FolderFile> {
    const external: string[] = [];
    for (const [dtype, one] of all) {
      signal?.throwIfAborted();
      for (const file of await onnxFiles(one, { inlineBytes, dtype })) {
        const [, graph] = /^onnx\/(.+\.onnx)_data$/.exec(file.name) ?? [];
        if (graph !== undefined) external.push(graph);
        yield file;
      }
      if (one !== model && one.quality) yield jsonFile(`quality_${dtype}.json`, one.quality);
    }
    yield* generationFiles(model);
    for (const file of modelFiles(model)) {
      if (file.name === 'config.json') yield jsonFile(file.name, configWith(file, external));
      else if (file.name !== 'model.safetensors') yield file;
    }
  }
  signal?.throwIfAborted();
  return await writeFolder(path, files(), { overwrite, signal, last: 'config.json' });
}

/** The model's own config.json with what the folder adds. */
function configWith({ chunks }: FolderFile, external: readonly string[]): object {
  const text = new TextDecoder().decode(chunks as Uint8Array);
  return exportedConfig(JSON.parse(text) as Record<string, unknown>, external);
}
