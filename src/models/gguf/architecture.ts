// The contract of an architecture of GGUF files: which families it takes, what it says of them, and
// which tensors it holds. One file each, listed in `export.ts`.
import type { Model } from '../model.js';
import type { Source } from './sources.js';
import type { GgufValue } from './types.js';

export type GgufArchitecture = {
  /** The `model_type` values that it takes. */
  readonly modelTypes: readonly string[];
  /** Errors: `export/unsupported` for a setting that the architecture lacks, `export/compressed`. */
  describe(model: Model): GgufDescription;
};

export type GgufDescription = {
  /** Its name in files, before every key of `fields`. */
  readonly architecture: string;
  readonly fields: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly Source[];
  readonly vocabulary: number;
};

export const u32 = (value: number): GgufValue => ({ type: 'u32', value });
export const f32 = (value: number): GgufValue => ({ type: 'f32', value });
export const text = (value: string): GgufValue => ({ type: 'string', value });
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value });
