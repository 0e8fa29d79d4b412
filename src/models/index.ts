// The model layer's public names.
export { type ChatMessage, chatPrompt, chatTemplateOf, renderChat } from './chat-template.js';
export {
  type FileStore,
  layeredStore,
  memoryStore,
  openCheckpoint,
  type WeightStore,
} from './checkpoint.js';
export type { ClassScore } from './class-scores.js';
export { type EncodeOptions, type Encoder, openEncoder, tokenize } from './encoder.js';
export { dtypeSuffixes, type OnnxDtype } from './export-config.js';
export { type ExportOptions, exportOnnx, onnxFiles, onnxModel } from './export-onnx.js';
export {
  exportSafetensors,
  type FloatType,
  type SafetensorsExportOptions,
} from './export-safetensors.js';
export { equalParameterHidden } from './families/metaformer-layer.js';
export { poolformerPresets } from './families/poolformer.js';
export { familyOf } from './families/registry.js';
export {
  type AudioFormat,
  type DecoderFamily,
  type DecoderInputs,
  decoderFamily,
  type EncoderDecoderFamily,
  type EncoderDecoderInputs,
  type EncoderFamily,
  type EncoderInputs,
  type EncoderOutputs,
  encoderFamily,
  type Family,
  type Memory,
  type SpeechToTextFamily,
  speechToTextFamily,
  type TextToTextFamily,
  textToTextFamily,
  type VisionFamily,
  visionFamily,
} from './family.js';
export { loadModelFolder, modelFiles, type SaveOptions, saveModel } from './folder.js';
export {
  exportGguf,
  type GgufFileType,
  ggufModelTypes,
  planGgufExport,
} from './gguf/export.js';
export { type GgufFile, openGguf } from './gguf/read.js';
export { type HubOptions, type HubPlan, type HubProgress, planHubModel } from './hub.js';
export { remoteModel } from './hub-inspect.js';
export { type HubReference, parseHubReference } from './hub-reference.js';
export { importMoonshine, type MoonshineParts } from './import/moonshine.js';
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
  classesOf,
  createModel,
  declare,
  type EncoderOutputName,
  type EncoderProgramOptions,
  encoderProgram,
  fullDecoderProgram,
  fullEncoderDecoderProgram,
  isDecoder,
  isEncoder,
  isEncoderDecoder,
  isVision,
  type Model,
  type ModelParts,
  type Quantization,
  storedBytes,
  visionProgram,
} from './model.js';
export { parameterValues, programParameters } from './parameters.js';
export { openPictureClassifier, type PictureClassifier } from './picture-classifier.js';
export type { PictureConfig } from './picture-config.js';
export { type Picture, pixelsOf } from './pictures.js';
export type { PoolingMode, SentenceEncoder } from './pooling-config.js';
export type { QualityRecord } from './quality.js';
export { NAMED_MODELS, ownFolder, resolveModel } from './resolve.js';
export { openSafetensors } from './safetensors.js';
export { openTextClassifier, type TextClassifier, type TextOrPair } from './text-classifier.js';
export { createTokenizer, type TextTokenizer, type TokenizerFiles } from './tokenizer.js';
