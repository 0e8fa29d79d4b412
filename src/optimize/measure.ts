// Times several things against each other in turns, so that whatever happens to the machine happens
// to all of them. Round r starts at candidate r mod n, and every other pass over the starts runs
// backwards: no candidate always follows the same neighbour or always comes first. One sample is the
// mean of as many runs as fill `minMs`; how many is fixed in the warm-up. Knows nothing of models.
import { machine } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import type { Measured } from './metric.js';
import { inverse, medianEstimate, pairedRatio } from './stats.js';

export type Runnable = { readonly name: string; run(): Promise<unknown> };

export type InterleaveOptions = {
  /** Samples a candidate; 15 unless told. Below 6 there is no 95 % interval. */
  rounds?: number;
  /** Untimed runs of every candidate before; 2 unless told. */
  warmup?: number;
  /** Least duration of a sample in milliseconds; 5 unless told (clocks and timers are coarse). */
  minMs?: number;
  /** Stop after the round in which this many milliseconds are spent, but not before 6 rounds. */
  maxMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** After every sample. */
  progress?: ((done: { done: number; total: number; name: string }) => void) | undefined;
  /** Milliseconds, monotonic; `performance.now` unless told. */
  now?: () => number;
};

export type Load = readonly [number, number, number];

export type Timing = {
  readonly candidates: readonly {
    readonly name: string;
    /** Seconds a run, one sample a round; sample r of every candidate is from round r. */
    readonly seconds: Float64Array;
    /** Runs in one sample. */
    readonly runs: number;
  }[];
  readonly rounds: number;
  readonly warmup: number;
  readonly minMs: number;
  /** The order in which samples were taken, by name. */
  readonly order: readonly string[];
  readonly loadBefore: Load;
  readonly loadAfter: Load;
  /** Wall-clock seconds of everything, warm-up included. */
  readonly took: number;
};

const FEWEST_ROUNDS = 6;
const MOST_RUNS = 100_000;

/**
 * Times `candidates` against each other. Rejects with the signal's reason soon after an abort (the
 * run under way is finished first), with a candidate's own error if it fails, and with
 * `measure/candidates` or `measure/option` for lists and options that cannot be used.
 */
export async function interleave(
  candidates: readonly Runnable[],
  options: InterleaveOptions = {},
): Promise<Timing> {
  const { rounds = 15, warmup = 2, minMs = 5, maxMs = Number.POSITIVE_INFINITY } = options;
  const { signal, progress, now = () => performance.now() } = options;
  check(candidates, { rounds, warmup, minMs, maxMs });
  signal?.throwIfAborted();
  const { load: loadBefore } = await machine();
  const begun = now();

  const timed = async (candidate: Runnable, runs: number): Promise<number> => {
    const start = now();
    for (let i = 0; i < runs; i++) {
      await candidate.run();
      signal?.throwIfAborted();
    }
    return (now() - start) / runs;
  };

  const states: { candidate: Runnable; runs: number; seconds: Float64Array }[] = [];
  for (const candidate of candidates) {
    for (let i = 1; i < warmup; i++) await timed(candidate, 1);
    // The last warm-up run is warm, so it tells how many fill a sample.
    const once = warmup > 0 || minMs > 0 ? await timed(candidate, 1) : minMs;
    const runs = minMs <= once ? 1 : Math.min(MOST_RUNS, Math.ceil(minMs / Math.max(once, 1e-4)));
    states.push({ candidate, runs, seconds: new Float64Array(rounds) });
  }

  const order: string[] = [];
  let done = 0;
  const total = rounds * states.length;
  let finished = 0;
  while (finished < rounds) {
    for (const index of turn(finished, states.length)) {
      const { candidate, runs, seconds } = states[index];
      collect();
      seconds[finished] = (await timed(candidate, runs)) / 1000;
      order.push(candidate.name);
      progress?.({ done: ++done, total, name: candidate.name });
    }
    finished++;
    if (finished >= FEWEST_ROUNDS && now() - begun >= maxMs) break;
  }
  const { load: loadAfter } = await machine();
  return {
    candidates: states.map(({ candidate, runs, seconds }) => ({
      name: candidate.name,
      seconds: seconds.slice(0, finished),
      runs,
    })),
    rounds: finished,
    warmup,
    minMs,
    order,
    loadBefore,
    loadAfter,
    took: (now() - begun) / 1000,
  };
}

/**
 * What was timed, as metrics: seconds a run, and with `perRun` inputs in each run also inputs a second;
 * both with intervals, and with ratios to `baseline` paired by round. `measure/candidates` for a name
 * that was not timed.
 */
export function timingOf(
  timing: Timing,
  name: string,
  baseline: string,
  perRun = 1,
): { seconds: Measured; perSecond: Measured } {
  const secondsOf = (wanted: string): Float64Array => {
    const found = timing.candidates.find((candidate) => candidate.name === wanted);
    if (found !== undefined) return found.seconds;
    throw new AnyformerError('measure/candidates', {
      what: `'${wanted}' was not timed`,
      expected: `one of ${timing.candidates.map((candidate) => candidate.name).join(', ')}`,
    });
  };
  const seconds = medianEstimate(secondsOf(name));
  const { value, low, high } = pairedRatio(secondsOf(name), secondsOf(baseline));
  const ratio = { value, low, high };
  return {
    seconds: { ...seconds, ratio },
    perSecond: { ...inverse(seconds, perRun), ratio: inverse(ratio) },
  };
}

/** The order of round `round`: the start moves on by one, the direction turns after every cycle. */
export function turn(round: number, count: number): number[] {
  const backwards = Math.floor(round / count) % 2 === 1;
  return Array.from({ length: count }, (_, i) => {
    const step = backwards ? count - i : i;
    return (round + step) % count;
  });
}

/** Where Node was started with --expose-gc, garbage of one candidate is not paid for by the next. */
function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
}

function check(
  candidates: readonly Runnable[],
  numbers: { rounds: number; warmup: number; minMs: number; maxMs: number },
): void {
  const names = new Set(candidates.map(({ name }) => name));
  if (candidates.length === 0 || names.size !== candidates.length) {
    throw new AnyformerError('measure/candidates', {
      what: 'these candidates cannot be timed against each other',
      expected: 'at least one, each with a name of its own',
      found: candidates.map(({ name }) => name).join(', ') || 'none',
    });
  }
  for (const [name, value] of Object.entries(numbers)) {
    const whole = name === 'rounds' || name === 'warmup';
    const least = name === 'rounds' ? 1 : 0;
    if (value >= least && (!whole || Number.isSafeInteger(value))) continue;
    throw new AnyformerError('measure/option', {
      what: `the option ${name}`,
      expected: `${whole ? 'a whole number' : 'a number'} of at least ${least}`,
      found: String(value),
    });
  }
}
