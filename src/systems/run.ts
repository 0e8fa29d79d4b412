// Runs claims and says what came out. A claim whose data is not on this machine does not hold, and
// says so; any other failure is an error of the run.
import { machine } from '#platform';
import type { Device } from '../runtime/device.js';
import { AnyformerError, VERSION } from '../tensor/index.js';
import { within } from './bounds.js';
import { type BuiltEntry, numberOf } from './catalogue.js';
import type { LedgerRecord, Machine } from './ledger.js';
import type { Claim, MeasureContext, Mode, Threshold } from './system.js';

export type RunOptions = {
  device: Device;
  mode: Mode;
  seed: number;
  signal?: AbortSignal | undefined;
  data: MeasureContext['data'];
  /** Day of the run, YYYY-MM-DD. */
  date: string;
  progress?: (event: { claim: string; done: number; total: number; what: string }) => void;
};

/** The record of each claim, in order, as soon as it is measured. */
export async function* runClaims(
  entries: readonly BuiltEntry[],
  options: RunOptions,
): AsyncGenerator<LedgerRecord> {
  const { mode, signal } = options;
  const systems = await Promise.all(entries.map(async (entry) => (await entry.load()).default));
  const work = systems.flatMap(({ id, claims }) =>
    claims.flatMap((claim) => {
      const threshold = claim.thresholds[mode];
      return threshold ? [{ system: numberOf({ id }), claim, threshold }] : [];
    }),
  );
  const where = await facts(options.device);
  for (const [done, { system, claim, threshold }] of work.entries()) {
    signal?.throwIfAborted();
    const told = (what: string) =>
      options.progress?.({ claim: claim.says, done, total: work.length, what });
    told(claim.says);
    const found = await measure(claim, threshold, options, told);
    yield {
      system,
      claim: claim.says,
      paper: claim.paper,
      threshold: threshold.text,
      ...found,
      mode,
      seed: options.seed,
      version: VERSION,
      date: options.date,
      machine: where,
    };
  }
}

type Found = Pick<LedgerRecord, 'measured' | 'holds' | 'seconds' | 'notes'>;

async function measure(
  claim: Claim,
  { bounds }: Threshold,
  { device, mode, seed, signal, data }: RunOptions,
  progress: (what: string) => void,
): Promise<Found> {
  const notes: string[] = [];
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 10) / 100;
  const note = (text: string) => notes.push(text);
  try {
    const raw = await claim.measure({ device, mode, seed, signal, data, progress, note });
    const measured = typeof raw === 'number' ? { [bounds[0].name]: raw } : { ...raw };
    return { measured, holds: within(bounds, measured), seconds: seconds(), notes };
  } catch (error) {
    if (!(error instanceof AnyformerError && error.code === 'systems/no-data')) throw error;
    notes.push(`data not present: ${error.found}`);
    return { measured: null, holds: false, seconds: seconds(), notes };
  }
}

async function facts({ kind, threads }: Device): Promise<Machine> {
  const { cpu, parallelism, platform, runtime } = await machine();
  return { cpu, cores: parallelism, platform, runtime, device: kind, threads };
}
