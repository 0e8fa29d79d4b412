// The library's front door: load a model, run it, compress it, choose among compressions, write it.
// What builds models and passes is in `anyformer/tensor`, `/nn`, `/models`, `/compress`; devices are
// in `anyformer/runtime`, whose contents differ between Node and pages.
export { calibrate } from './compress/calibration.js';
export type { CompressPass, PassContext } from './compress/pass.js';
export { applyChain, parseChain, passes, type Step } from './compress/registry.js';
export { readLabelled } from './data/labelled.js';
export { readTexts } from './data/lines.js';
export type { Labelled } from './data/split.js';
export {
  type Decoder,
  type GenerateOptions,
  type GenerationStep,
  generate,
  openDecoder,
} from './decode/index.js';
export { type EncodeOptions, type Encoder, openEncoder, tokenize } from './models/encoder.js';
export { exportOnnx } from './models/export-onnx.js';
export { loadModelFolder, type SaveOptions, saveModel } from './models/folder.js';
export { type Inspection, inspectModel, moduleTree } from './models/inspect.js';
export { isDecoder, isEncoder, type Model, storedBytes } from './models/model.js';
export type { QualityRecord } from './models/quality.js';
export { resolveModel } from './models/resolve.js';
export { parseBudget } from './optimize/budget.js';
export type { Budget } from './optimize/constraint.js';
export {
  type Optimized,
  type OptimizeEvent,
  type OptimizeOptions,
  optimize,
} from './optimize/optimize.js';
export { measureQuality, type QualityData } from './optimize/quality.js';
export { type ReportData, renderReport } from './optimize/report.js';
export { renderTable } from './optimize/table.js';
export type { Device, DeviceBuffer, Program } from './runtime/device.js';
export type { NDArray } from './tensor/array.js';
export { AnyformerError } from './tensor/error.js';
export { VERSION } from './tensor/version.js';
