// The tensor layer's public names.
export * from './array.js';
export { bindShapes } from './bind.js';
export * from './cost.js';
export { cummax } from './cummax.js';
export * from './dim.js';
export * from './dtype.js';
export { einsum } from './einsum.js';
export * from './error.js';
export { grad, straightThrough, withGradient } from './gradient.js';
export { type Graph, graph, patch, type Rewrite, rewrite, tap } from './graph.js';
export { interpret } from './interpret.js';
export { concat, input, iota, parameter } from './leaves.js';
export * from './op.js';
export { blocksOf, type NBitsAttributes, unpackNBits } from './ops/quantized.js';
export { currentPath, within } from './path.js';
export {
  bitsAt,
  hashText,
  normalAt,
  pathKeys,
  permutation,
  type RandomKeys,
  sampleIndices,
  stepKeys,
  uniformAt,
  wordAt,
} from './random.js';
export {
  bernoulli,
  normal,
  type Randomness,
  randomBits,
  roundedProbability,
  uniform,
} from './random-graph.js';
export { rearrange } from './rearrange.js';
export { after, recompute } from './recompute.js';
export { type ScanOptions, scan } from './scan.js';
export type { Step, StepFunction } from './scan-body.js';
export { simplify, stripTags } from './simplify.js';
export { erf } from './special.js';
export { build, constant, type Node, type Operand, scalar, Tensor } from './tensor.js';
export { VERSION } from './version.js';
