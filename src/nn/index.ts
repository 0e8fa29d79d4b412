// The neural-network layer's public names.
export { activation, activations } from './activation.js';
export { type BlockParts, block } from './block.js';
export type {
  Encoding,
  MatrixSize,
  MatrixSpec,
  StoredTensors,
  WeightFormat,
} from './formats/format.js';
export { formats, matrixLookup, matrixProduct, resolveFormat } from './formats/registry.js';
export { embedding, fixedWidth, linear } from './linear.js';
export { layerNorm, type Norm, rmsNorm } from './norm.js';
export { type Rotary, rotaryTables, rotate, sinusoid } from './position.js';
export * from './scope.js';
