// Medians and their uncertainty, from samples of unknown distribution. Timings are skewed and share
// slow drifts, so nothing here assumes a normal law: intervals come from order statistics. Let k
// samples of n lie below the true median; k is binomial(n, 1/2) whatever the distribution, so
// P(x_(j) < median < x_(n+1-j)) = 1 - 2 P(k < j). (Conover, Practical Nonparametric Statistics, 3.2)
import { AnyformerError } from '../tensor/error.js';
import type { Estimate } from './metric.js';

export type Interval = {
  readonly low: number;
  readonly high: number;
  /** The probability that such an interval holds the median: at least what was asked, if n allows. */
  readonly coverage: number;
};

/** Ascending copy; `stats/samples` where there are none or one is not a number. */
function ordered(samples: ArrayLike<number>): Float64Array {
  const sorted = Float64Array.from(samples).sort();
  if (sorted.length === 0 || sorted.some(Number.isNaN)) {
    throw new AnyformerError('stats/samples', {
      what: 'these samples have no median',
      expected: 'at least one sample, all of them numbers',
      found: sorted.length === 0 ? 'no samples' : 'a sample that is not a number',
    });
  }
  return sorted;
}

/** The value below which a share `q` of the samples lies, linear between neighbours. */
export function quantile(samples: ArrayLike<number>, q: number): number {
  const sorted = ordered(samples);
  const at = Math.min(Math.max(q, 0), 1) * (sorted.length - 1);
  const below = Math.floor(at);
  const part = at - below;
  // Not a + part (b - a): equal neighbours must give themselves exactly, infinite ones too.
  if (part === 0 || sorted[below] === sorted[below + 1]) return sorted[below];
  return sorted[below] * (1 - part) + sorted[below + 1] * part;
}

export const median = (samples: ArrayLike<number>): number => quantile(samples, 0.5);

/**
 * The narrowest symmetric pair of order statistics that holds the median with at least `confidence`.
 * Fewer than 6 samples cannot reach 95 %: then the whole range is given with the coverage it has.
 */
export function medianInterval(samples: ArrayLike<number>, confidence = 0.95): Interval {
  const sorted = ordered(samples);
  const n = sorted.length;
  let outside = tailTerm(n, 0); // P(k < j) for j = 1
  let j = 1;
  while (2 * j < n) {
    const next = outside + tailTerm(n, j);
    if (1 - 2 * next < confidence) break;
    outside = next;
    j++;
  }
  const coverage = n === 1 ? 0 : 1 - 2 * outside;
  return { low: sorted[j - 1], high: sorted[n - j], coverage };
}

/** P(k = j) for k binomial(n, 1/2), through logarithms: 2^-n is 0 in float64 from n = 1075. */
function tailTerm(n: number, j: number): number {
  let log = -n * Math.LN2;
  for (let i = 1; i <= j; i++) log += Math.log((n - j + i) / i);
  return Math.exp(log);
}

/** The median with its 95 % interval; a single sample has no interval. */
export function medianEstimate(samples: ArrayLike<number>): Estimate {
  const value = median(samples);
  if (samples.length < 2) return { value };
  const { low, high } = medianInterval(samples);
  return { value, low, high };
}

/**
 * How many times `baseline` the `candidate` takes: the median over rounds of candidate / baseline of
 * the same round, with its 95 % interval. A slow minute of the machine hits both sides of a round and
 * cancels, which dividing two separate medians would not do.
 */
export function pairedRatio(
  candidate: ArrayLike<number>,
  baseline: ArrayLike<number>,
): Estimate & { coverage: number } {
  if (candidate.length !== baseline.length) {
    throw new AnyformerError('stats/samples', {
      what: 'paired samples must have one partner each',
      expected: `${baseline.length} samples`,
      found: `${candidate.length}`,
    });
  }
  const ratios = Float64Array.from(candidate, (value, round) => value / baseline[round]);
  const { low, high, coverage } = medianInterval(ratios);
  return { value: median(ratios), low, high, coverage };
}

/** 1 / estimate, as from a time per run to runs per second (`count` runs in that time). */
export function inverse(estimate: Estimate, count = 1): Estimate {
  const value = count / estimate.value;
  if (estimate.low === undefined || estimate.high === undefined) return { value };
  return { value, low: count / estimate.high, high: count / estimate.low };
}
