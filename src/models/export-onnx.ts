// A model as an ONNX folder under the names that transformers.js looks for: config.json, the
// tokenizer's files, onnx/model.onnx and, where the weights are many, onnx/model.onnx_data beside it.
// Encoders: input_ids, attention_mask -> sentence_embedding. Decoders: the same inputs -> logits of
// whole sequences; programs with a cache are not exported.
import { type FolderFile, type WrittenFile, writeFolder } from '#platform';
import { checkModel } from '../onnx/check.js';
import { externalize } from '../onnx/external.js';
import { toOnnx } from '../onnx/from-graph.js';
import { initializerBytes, type OnnxModel } from '../onnx/model.js';
import { encodePieces } from '../onnx/write.js';
import { simplify } from '../tensor/index.js';
import { checkQuality, modelFiles } from './folder.js';
import {
  encoderProgram,
  fullDecoderProgram,
  isEncoder,
  type Model,
  parameterValues,
} from './model.js';

/** The graph with its weights, checked. Errors: those of the weights, and `onnx/...`. */
export async function onnxModel(model: Model): Promise<OnnxModel> {
  const built = isEncoder(model) ? encoderProgram(model) : fullDecoderProgram(model);
  const frozen = await parameterValues(model, built);
  const onnx = toOnnx(simplify(built.graph), { frozen, name: model.name });
  checkModel(onnx);
  return onnx;
}

/** Weights of more bytes go into a file of their own: protobuf ends at 2 GiB. */
const INLINE_BYTES = 1.5e9;

export type OnnxFilesOptions = {
  /** Most bytes of weights inside model.onnx; 1.5 GB unless told. */
  inlineBytes?: number | undefined;
};

/** `onnx/model.onnx`, and `onnx/model.onnx_data` where the weights are many. */
export async function onnxFiles(
  model: Model,
  { inlineBytes = INLINE_BYTES }: OnnxFilesOptions = {},
): Promise<FolderFile[]> {
  const whole = await onnxModel(model);
  const weights = [...whole.graph.initializers.values()];
  const bytes = weights.reduce((sum, one) => sum + initializerBytes(one), 0);
  if (bytes <= inlineBytes) return [graphFile(whole)];
  const { model: graph, chunks, length } = externalize(whole, { location: 'model.onnx_data' });
  checkModel(graph);
  return [{ name: 'onnx/model.onnx_data', chunks, bytes: length }, graphFile(graph)];
}

function graphFile(onnx: OnnxModel): FolderFile {
  const { chunks, length } = encodePieces(onnx);
  return { name: 'onnx/model.onnx', chunks, bytes: length };
}

export type ExportOptions = OnnxFilesOptions & {
  overwrite?: boolean | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Writes the folder, whole or not at all. A quality record goes along; a compressed model must have
 * one (`models/quality`).
 */
export async function exportOnnx(
  model: Model,
  path: string,
  { overwrite, signal, inlineBytes }: ExportOptions = {},
): Promise<WrittenFile[]> {
  checkQuality(model, {});
  const around = modelFiles(model).filter(({ name }) => name !== 'model.safetensors');
  const files = [...(await onnxFiles(model, { inlineBytes })), ...around];
  signal?.throwIfAborted();
  return await writeFolder(path, files, { overwrite, signal, last: 'config.json' });
}
