// The compression layer's public names.
export { type Calibration, calibrate } from './calibration.js';
export { type CompressPass, compressPass, type PassContext } from './pass.js';
export {
  applyChain,
  needsCalibration,
  parseChain,
  passes,
  type Step,
  showSteps,
  step,
} from './registry.js';
