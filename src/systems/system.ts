// What a system is: a paper, and its claims as measurements. A claim says what is claimed, what the
// paper reports, what must come out here, and how to measure it. Nothing is run in this file.
import type { Device } from '../runtime/device.js';
import { AnyformerError } from '../tensor/index.js';
import type { Bound } from './bounds.js';
import { parseBounds } from './bounds.js';

/** `quick`: seconds, at a reduced scale; `full`: minutes, at the scale that the threshold is for. */
export type Mode = 'quick' | 'full';

/** What a measurement is given. */
export type MeasureContext = {
  readonly device: Device;
  readonly mode: Mode;
  /** Where random choices begin; the same in every run of the command. */
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** The bytes of a data set's file; `systems/no-data` where it is not on this machine. */
  data(set: string, file: string): Promise<Uint8Array<ArrayBuffer>>;
  /** A word on how far it is. */
  progress(text: string): void;
  /** What a reader of the figure has to know: a substitute, a scale. */
  note(text: string): void;
};

/** One figure, or several by name. */
export type Measured = number | Readonly<Record<string, number>>;

export type ClaimSpec = {
  readonly says: string;
  /** What the paper reports, in its own measure. */
  readonly paper: string;
  /**
   * What must come out: `error < 1e-5 and gap >= 25`. With two scales, each has its own threshold;
   * a claim without `quick` is left out of a quick run.
   */
  readonly holds: string | { readonly full: string; readonly quick?: string };
  measure(context: MeasureContext): Promise<Measured>;
};

export type Claim = Omit<ClaimSpec, 'holds'> & {
  /** The threshold of each mode as text and as conditions; undefined: left out of that mode. */
  readonly thresholds: Readonly<Record<Mode, Threshold | undefined>>;
};
export type Threshold = { readonly text: string; readonly bounds: readonly Bound[] };

export type Family = 'position' | 'block' | 'activation';

export type Paper = {
  readonly title: string;
  readonly authors: string;
  readonly venue: string;
  /** arXiv number. */
  readonly arxiv?: string;
};

export type System = {
  /** Number of the system in the catalogue. */
  readonly id: number;
  readonly slug: string;
  readonly paper: Paper;
  readonly family: Family;
  readonly claims: readonly Claim[];
};

/** A system from its description; a threshold that cannot be read is an error at load. */
export function system(spec: Omit<System, 'claims'> & { claims: readonly ClaimSpec[] }): System {
  const claims = spec.claims.map(({ holds, ...claim }): Claim => {
    const { full, quick } = typeof holds === 'string' ? { full: holds, quick: holds } : holds;
    const threshold = (text: string): Threshold => ({ text, bounds: parseBounds(text) });
    return {
      ...claim,
      thresholds: {
        full: threshold(full),
        quick: quick === undefined ? undefined : threshold(quick),
      },
    };
  });
  const said = claims.map(({ says }) => says);
  const twice = said.find((text, i) => said.indexOf(text) !== i);
  if (twice !== undefined) {
    throw new AnyformerError('systems/claim', {
      what: `system ${spec.id} makes one claim twice`,
      expected: 'claims that differ in what they say',
      found: twice,
    });
  }
  return { ...spec, claims };
}
