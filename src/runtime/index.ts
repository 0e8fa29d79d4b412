// The runtime layer's public names. `cpuDevice` is in node-cpu.ts, which pages do not load.
export type * from './device.js';
export { checkUpdates } from './updates.js';
