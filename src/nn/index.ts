// The neural-network layer's public names.
export { activation, activations, trainedActivations } from './activation.js';
export { type BlockParts, block } from './block.js';
export { type DropoutState, dropout } from './dropout.js';
export type {
  Encoding,
  MatrixSize,
  MatrixSpec,
  StoredTensors,
  WeightFormat,
} from './formats/format.js';
export { formats, matrixLookup, matrixProduct, resolveFormat } from './formats/registry.js';
export { sampleNorm } from './group-norm.js';
export { embedding, fixedWidth, linear, unembedding } from './linear.js';
export { layerNorm, type Norm, rmsNorm } from './norm.js';
export { polyNorm, polyNormOf, polyRelu, polyReluOf } from './polynomial.js';
export { type Rotary, rotaryTables, rotate, sinusoid } from './position.js';
export { learnedPositions, sinusoidFrequencies, sinusoidPositions } from './position-table.js';
export { alibiBias, alibiSlopes, type Buckets, t5Bias, t5Bucket } from './relative-bias.js';
export { type RopeScaling, ropeScaling, rotaryFrequencies } from './rope-scaling.js';
export * from './scope.js';
