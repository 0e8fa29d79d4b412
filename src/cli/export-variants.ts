// A model in fewer bits for ONNX folders: compressed by a chain of the library's passes, measured
// against the model itself, so that every file carries a record of what it lost.
import { applyChain, parseChain } from '../compress/registry.js';
import type { OnnxDtype } from '../models/export-config.js';
import { checkQuality } from '../models/folder.js';
import { isEncoder, type Model } from '../models/model.js';
import { measureQuality } from '../optimize/quality.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { VERSION } from '../tensor/version.js';
import type { Cli } from './cli.js';
import { describeData, readData, shippedData } from './data.js';
import type { Terminal } from './terminal.js';

/** What stands for each type: weights in 8 bits, activations in 8 bits too, weights in 4 bits. */
export const fewerBits = {
  q8: 'int8:block=64',
  int8: 'int8:block=channel',
  q4: 'four-bit:element=int4,group=32',
} as const satisfies Partial<Record<OnnxDtype, string>>;

/** Errors: those of the passes, of the data, `models/quality-floor`. */
export async function makeVariants(
  { signal }: Cli,
  model: Model,
  types: readonly (keyof typeof fewerBits)[],
  options: { data?: string; floor?: Readonly<Record<string, number>>; threads?: number },
  terminal: Terminal,
): Promise<Map<OnnxDtype, Model>> {
  const variants = new Map<OnnxDtype, Model>();
  if (types.length === 0) return variants;
  const given = options.data === undefined ? undefined : await readData(options.data);
  const data = given ?? (await shippedData({ labelled: isEncoder(model) }));
  const whence = given ? '' : ' (come with anyformer; --data takes yours)';
  terminal.note(`data: ${describeData(data)}${whence}`);
  await using device = await cpuDevice({ threads: options.threads, signal });
  for (const type of types) {
    const progress = (done: number, what: string) =>
      terminal.progress({ stage: type, done: Math.round(1000 * done), total: 1000, what });
    const made = await applyChain(model, parseChain(fewerBits[type]), { device, signal, progress });
    terminal.progress({ stage: 'measure', done: 0, total: 1, what: type });
    const measured = await measureQuality(model, made, data, device, { signal, version: VERSION });
    const whole = { ...made, name: `${model.name} in ${type}`, quality: measured.record };
    checkQuality(whole, options.floor ?? {});
    variants.set(type, whole);
  }
  return variants;
}
