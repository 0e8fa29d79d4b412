// The model layer's public names.
export {
  type FileStore,
  layeredStore,
  memoryStore,
  openCheckpoint,
  type WeightStore,
} from './checkpoint.js';
export { type EncodeOptions, type Encoder, openEncoder, tokenize } from './encoder.js';
export { type ExportOptions, exportOnnx, onnxFiles, onnxModel } from './export-onnx.js';
export { equalParameterHidden } from './families/metaformer-layer.js';
export { poolformerPresets } from './families/poolformer.js';
export { familyOf } from './families/registry.js';
export {
  type DecoderFamily,
  type DecoderInputs,
  decoderFamily,
  type EncoderFamily,
  encoderFamily,
  type Family,
  type VisionFamily,
  visionFamily,
} from './family.js';
export { loadModelFolder, modelFiles, type SaveOptions, saveModel } from './folder.js';
export { poolformerWeights } from './import/poolformer.js';
export { importTinyStories } from './import/tinystories.js';
export { importUseLite, loadUseLitePackage } from './import/use-lite.js';
export {
  type FormatFacts,
  type Inspection,
  type InspectOptions,
  inspectModel,
  type ModuleFacts,
  type ModuleTree,
  moduleTree,
} from './inspect.js';
export {
  type Built,
  buildProgram,
  createModel,
  declare,
  encoderProgram,
  fullDecoderProgram,
  isDecoder,
  isEncoder,
  isVision,
  type Model,
  type ModelParts,
  parameterValues,
  type Quantization,
  storedBytes,
  visionProgram,
} from './model.js';
export type { QualityRecord } from './quality.js';
export { NAMED_MODELS, resolveModel } from './resolve.js';
export { openSafetensors } from './safetensors.js';
export { createTokenizer, type TextTokenizer, type TokenizerFiles } from './tokenizer.js';
