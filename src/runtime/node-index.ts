// The runtime layer's public names in Node: with the device that pages do not have.
export * from './index.js';
export { type CpuOptions, cpuDevice } from './node-cpu.js';
