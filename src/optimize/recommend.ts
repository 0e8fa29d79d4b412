// Which candidate to take, and why not the others. Only confirmed candidates and the original can be
// chosen. Among those that meet the budget, metrics are compared one after the other, each keeping
// what is within a tie of the best: size, then latency, then quality where the budget has a floor for
// some quality; where it has none, quality comes first, so that "small" never means "ruined".
// `prefer` moves one metric to the front. Every text is made here, from the measured numbers.
import { AnyformerError, nearest as nearestNames } from '../tensor/error.js';
import type { Candidate } from './candidate.js';
import { type Budget, showBudget, showConstraint } from './constraint.js';
import { formatRatio, formatShare, formatValue } from './format.js';
import { judge, meets, showVerdict, type Verdict } from './judge.js';
import { isQuality, METRICS, type Metrics, metricOf, ratioTo } from './metric.js';
import { missed, type Nearest, nearestTo } from './nearest.js';

export type Rejection = {
  readonly name: string;
  /** `misses the budget: latency 0.72x > 0.6x`. */
  readonly why: string;
  /** The same for a narrow table: `latency 0.72x > 0.6x`. */
  readonly short: string;
};

export type Recommendation = {
  readonly chosen: string | undefined;
  /** Why this one, or why none: sentences. */
  readonly reasons: readonly string[];
  /** Everything else that was tried, the original included, in the order tried. */
  readonly rejected: readonly Rejection[];
  /** Present when nothing meets the budget and something was measured. */
  readonly nearest: Nearest | undefined;
  /** The metrics in the order in which candidates were compared. */
  readonly order: readonly string[];
  /** The last line that a run prints. */
  readonly line: string;
};

export type Choice = {
  readonly original: Candidate;
  readonly candidates: readonly Candidate[];
  readonly budget: Budget;
  readonly prefer?: string | undefined;
};

type Judged = { candidate: Candidate; verdicts: Verdict[]; meets: boolean };

/** Errors: `recommend/prefer` when `prefer` names a metric that the original was not measured for. */
export function recommend({ original, candidates, budget, prefer }: Choice): Recommendation {
  const order = comparisonOrder(budget, original.metrics, prefer);
  const all = [original, ...candidates].map((candidate): Judged => {
    const verdicts = judge(budget, candidate.metrics, original.metrics);
    return { candidate, verdicts, meets: candidate.stage === 'confirmed' && meets(verdicts) };
  });
  const able = all.filter((one) => one.meets);
  if (able.length === 0) return refuse(all, budget, original, order);

  const lost = new Map<string, string>();
  let left = able.map((one) => one.candidate);
  for (const metric of order) left = keepBest(left, metric, lost);
  const chosen = left[0];
  const judged = able.find((one) => one.candidate === chosen) ?? able[0];
  return {
    chosen: chosen.name,
    reasons: reasonsFor(judged, able, order, original, lost),
    rejected: all
      .filter(({ candidate }) => candidate !== chosen)
      .map((one) => (one.meets ? beaten(one.candidate, chosen, original, lost) : shortOf(one))),
    nearest: undefined,
    order,
    line: `chosen: ${chosen.name}  ${headline(chosen, original.metrics)}`,
  };
}

/** `size 0.27x  latency 0.61x  quality 0.997`. */
function headline(candidate: Candidate, baseline: Metrics): string {
  const parts: string[] = [];
  for (const name of ['size', 'latency']) {
    const ratio = ratioTo(name, candidate.metrics, baseline);
    if (ratio !== undefined) parts.push(`${name} ${formatRatio(ratio.value)}`);
  }
  const quality = candidate.metrics.quality;
  if (quality !== undefined) parts.push(`quality ${formatShare(quality.value)}`);
  return parts.join('  ');
}

function comparisonOrder(budget: Budget, measured: Metrics, prefer: string | undefined): string[] {
  const known = METRICS.map(({ name }) => name).filter((name) => measured[name] !== undefined);
  if (prefer !== undefined && measured[prefer] === undefined) {
    throw new AnyformerError('recommend/prefer', {
      what: `candidates cannot be compared by '${prefer}'`,
      expected: `one of ${known.join(', ')}`,
      hint: `did you mean '${nearestNames(prefer.slice(0, 40), known, 1)[0] ?? 'size'}'?`,
    });
  }
  const hasFloor = budget.constraints.some(({ metric }) => isQuality(metric));
  const usual = hasFloor ? ['size', 'latency', 'quality'] : ['quality', 'size', 'latency'];
  const order = prefer === undefined ? usual : [prefer, ...usual.filter((name) => name !== prefer)];
  return order.filter((name) => measured[name] !== undefined);
}

/** A difference that does not decide: 1 % of a size or time, 0.2 % of a quality. */
const tieOf = (metric: string): number => (isQuality(metricOf(metric)) ? 0.002 : 0.01);

function keepBest(
  candidates: readonly Candidate[],
  metric: string,
  lost: Map<string, string>,
): Candidate[] {
  const lower = metricOf(metric).better === 'lower';
  const worst = lower ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const values = candidates.map((candidate) => candidate.metrics[metric]?.value ?? worst);
  const best = lower ? Math.min(...values) : Math.max(...values);
  const slack = Math.abs(best) * tieOf(metric);
  return candidates.filter((candidate, i) => {
    const within = lower ? values[i] <= best + slack : values[i] >= best - slack;
    if (!within) lost.set(candidate.name, metric);
    return within;
  });
}

function reasonsFor(
  { candidate, verdicts }: Judged,
  able: readonly Judged[],
  order: readonly string[],
  original: Candidate,
  lost: ReadonlyMap<string, string>,
): string[] {
  const reasons = [`${candidate.name} meets every limit: ${verdicts.map(showVerdict).join(', ')}.`];
  if (able.length === 1) {
    reasons.push('It is the only candidate that meets the budget.');
  } else {
    const decided = order.find((metric) => [...lost.values()].includes(metric));
    reasons.push(
      decided === undefined
        ? `The ${able.length} candidates that meet the budget are equal within the measurement; this one comes first.`
        : `Of the ${able.length} candidates that meet the budget it has the ${best(decided)}: ${show(decided, candidate, original)}.`,
    );
  }
  for (const verdict of verdicts.filter((one) => !one.sure)) {
    reasons.push(
      `Its ${verdict.constraint.metric.name} meets ${showConstraint(verdict.constraint)} by the median, but the interval reaches across the limit.`,
    );
  }
  if (candidate === original) reasons.push('Compression is not needed for this budget.');
  return reasons;
}

const best = (metric: string): string => {
  const words: Record<string, string> = { size: 'smallest size', memory: 'smallest memory' };
  return words[metric] ?? `${metricOf(metric).better === 'lower' ? 'lowest' : 'highest'} ${metric}`;
};

/** `size 0.27x` or `quality 0.997`. */
function show(metric: string, candidate: Candidate, original: Candidate): string {
  const row = metricOf(metric);
  const ratio = ratioTo(metric, candidate.metrics, original.metrics);
  const value = candidate.metrics[metric]?.value;
  if (!isQuality(row) && ratio !== undefined) return `${metric} ${formatRatio(ratio.value)}`;
  return value === undefined
    ? `${metric} not measured`
    : `${metric} ${formatValue(row.unit, value)}`;
}

function beaten(
  candidate: Candidate,
  chosen: Candidate,
  original: Candidate,
  lost: ReadonlyMap<string, string>,
): Rejection {
  const { name } = candidate;
  const metric = lost.get(name);
  if (metric === undefined) {
    const why = `equal to ${chosen.name} within the measurement`;
    return { name, why: `meets the budget; ${why}`, short: why };
  }
  const mine = show(metric, candidate, original);
  const theirs = show(metric, chosen, original).slice(metric.length + 1);
  return {
    name,
    why: `meets the budget, but ${mine} against ${theirs} of ${chosen.name}`,
    short: `meets it; ${mine} against ${theirs}`,
  };
}

function shortOf({ candidate, verdicts }: Judged): Rejection {
  const { name, stage, note } = candidate;
  if (stage === 'failed') {
    const short = note ?? 'no reason was recorded';
    return { name, why: `failed: ${short}`, short };
  }
  const misses = missed(verdicts).map(showVerdict).join(', ');
  if (stage === 'screened') {
    const short = note ?? (misses === '' ? 'others were ahead' : misses);
    return { name, why: `left after screening: ${short}`, short };
  }
  return { name, why: `misses the budget: ${misses}`, short: misses };
}

function refuse(
  all: readonly Judged[],
  budget: Budget,
  original: Candidate,
  order: readonly string[],
): Recommendation {
  const confirmed = all.filter((one) => one.candidate.stage === 'confirmed');
  const compressed = confirmed.filter((one) => one.candidate !== original);
  const near = nearestTo(confirmed);
  const reasons = [
    compressed.length === 0
      ? 'No compressed candidate was confirmed, and the original does not meet the budget.'
      : `None of the ${compressed.length} confirmed candidates meets the whole budget, nor does the original.`,
  ];
  budget.constraints.forEach((constraint, i) => {
    const ranked = confirmed
      .map(({ candidate, verdicts }) => ({ name: candidate.name, verdict: verdicts[i] }))
      .filter(({ verdict }) => verdict.margin !== undefined)
      .sort((a, b) => (b.verdict.margin ?? 0) - (a.verdict.margin ?? 0));
    const holding = ranked.filter(({ verdict }) => verdict.holds).length;
    const top = ranked[0];
    reasons.push(
      top === undefined
        ? `${showConstraint(constraint)}: ${constraint.metric.name} was not measured.`
        : `${showConstraint(constraint)} is met by ${holding} of ${ranked.length}; the best is ${top.name} (${showVerdict(top.verdict)}).`,
    );
  });
  if (near !== undefined) {
    reasons.push(
      `Nearest is ${near.name}; what holds it back most is ${showVerdict(near.binding)}.`,
      `It meets the budget "${near.relaxed}".`,
    );
  }
  const tail =
    near === undefined
      ? 'nothing was measured completely'
      : `nearest is ${near.name} (${near.missed.map(showVerdict).join(', ')})`;
  return {
    chosen: undefined,
    reasons,
    rejected: all.map(shortOf),
    nearest: near,
    order,
    line: `nothing meets the budget: ${showBudget(budget)}; ${tail}`,
  };
}
