// The contract of a compression pass: a pure function from a model to a new one that is really
// smaller. What a pass needs and which settings are worth trying are properties of the pass.
import type { ZodType } from 'zod';
import type { Model } from '../models/model.js';
import type { Device } from '../runtime/device.js';
import type { Calibration } from './calibration.js';

export type PassContext = {
  device: Device;
  /** Activation statistics on sample data; passes that need them say so. */
  calibration?: Calibration | undefined;
  signal?: AbortSignal | undefined;
  /** Share of the work done, 0 to 1. */
  progress?: ((share: number, what: string) => void) | undefined;
};

export type CompressPass<O = Readonly<Record<string, unknown>>> = {
  readonly name: string;
  /** One line for help and reports. */
  readonly summary: string;
  /** The paper or the usual name of the method. */
  readonly source: string;
  readonly needs: 'nothing' | 'calibration';
  /** Place in a chain: passes with a smaller number come first. */
  readonly order: number;
  readonly options: ZodType<O>;
  /** Settings that the advisor tries, from mild to strong. */
  readonly settings: readonly Partial<O>[];
  apply(model: Model, options: O, context: PassContext): Promise<Model>;
};

export const compressPass = <O>(pass: CompressPass<O>): CompressPass<O> => pass;
