// The training layer's public names.
export { checkBatch } from './batch-check.js';
export type { Batches, CountedBatches, NumberedBatches } from './batch-source.js';
export {
  type Checkpoint,
  latestCheckpoint,
  type Manifest,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint.js';
export { findOverflow, type Overflow } from './diagnose.js';
export { type DistillOptions, distillation, frozenTeacher, withTeacher } from './distill.js';
export { classification, contrastive, maskedLm } from './encoder-objectives.js';
export type { TrainEvent } from './events.js';
export { withHeads } from './heads.js';
export { type TrainOptions, train } from './loop.js';
export { type CrossEntropyOptions, crossEntropy, weightedMean } from './losses.js';
export { causalLm, type Learned, type Objective } from './objectives.js';
export { adafactor, adamw, lion, type Optimizer, sgd } from './optimizers.js';
export {
  constantRate,
  cosine,
  inverseSquareRoot,
  linearDecay,
  type Schedule,
} from './schedules.js';
export { seq2seq } from './seq2seq.js';
export { type ParameterGroup, type StepOptions, stepGraph } from './step.js';
export { type Batch, openTraining, type Training, type TrainingOptions } from './training.js';
