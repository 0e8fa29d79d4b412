// What the advisor chooses among: one model variant with what was measured of it. Whoever measures
// fills these; pareto, recommend, table and report only read them.
import type { Metrics } from './metric.js';

export type PassStep = {
  readonly pass: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
};

export type Candidate = {
  readonly name: string;
  /** The passes in the order applied; empty for the original. */
  readonly passes: readonly PassStep[];
  /**
   * `confirmed`: measured on held-out data with interleaved timing. `screened`: on a small slice, and
   * then left aside. `failed`: could not be built or run.
   */
  readonly stage: 'confirmed' | 'screened' | 'failed';
  readonly metrics: Metrics;
  /** Why it failed or was not taken further, as a sentence without a full stop. */
  readonly note?: string | undefined;
};

/** `lowrank:rank=128 + int8`, as `--pass` takes it; `original` where nothing was done. */
export function showChain(passes: readonly PassStep[]): string {
  if (passes.length === 0) return 'original';
  return passes
    .map(({ pass, options }) => {
      const given = Object.entries(options).map(([key, value]) => `${key}=${value}`);
      return given.length === 0 ? pass : `${pass}:${given.join(',')}`;
    })
    .join(' + ');
}
