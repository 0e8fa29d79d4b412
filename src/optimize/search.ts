// Which candidates are tried, and which of those screened are worth measuring in full.
import { passes, type Step, step } from '../compress/registry.js';
import type { Candidate } from './candidate.js';
import type { Budget } from './constraint.js';
import { judge, showVerdict, type Verdict } from './judge.js';
import { isQuality } from './metric.js';
import { shortfall } from './nearest.js';

/**
 * Every setting of every pass alone, and the first setting of each pass after the first setting of
 * each pass that must come before it.
 */
export function defaultCandidates(): Step[][] {
  const all = [...passes.values()];
  const singles = all.flatMap((pass) => pass.settings.map((options) => [step(pass.name, options)]));
  const pairs = all.flatMap((first) =>
    all
      .filter((second) => second.order > first.order)
      .map((second) => [
        step(first.name, first.settings[0]),
        step(second.name, second.settings[0]),
      ]),
  );
  return [...singles, ...pairs];
}

/** How far a screened value may miss a limit and still be worth a full measurement. */
const SCREEN_SLACK = { quality: 0.15, time: 0.4 };
const FINALISTS = 4;

export type Screened = { readonly candidate: Candidate; readonly finalist: boolean };

/**
 * Keeps candidates that meet the budget on the screening slice, or miss it by what a small slice and
 * a few timings can be wrong: at most four, smallest first. Sizes are exact and get no slack. Where
 * none is left, the nearest are kept, so that a refusal rests on full measurements.
 */
export function screen(
  original: Candidate,
  candidates: readonly Candidate[],
  budget: Budget,
): Screened[] {
  const judged = candidates.map((candidate) => {
    const verdicts = judge(budget, candidate.metrics, original.metrics);
    return { candidate, verdicts, clear: verdicts.filter(clearlyMissed) };
  });
  const able = judged.filter(
    ({ candidate, clear }) => candidate.stage !== 'failed' && clear.length === 0,
  );
  const sizeOf = ({ metrics }: Candidate) => metrics.size?.value ?? Number.POSITIVE_INFINITY;
  const distance = (verdicts: readonly Verdict[]) =>
    verdicts.filter(({ holds }) => !holds).reduce((sum, verdict) => sum + shortfall(verdict), 0);
  const ranked =
    able.length > 0
      ? able.sort((a, b) => sizeOf(a.candidate) - sizeOf(b.candidate))
      : judged
          .filter(({ candidate }) => candidate.stage !== 'failed')
          .sort((a, b) => distance(a.verdicts) - distance(b.verdicts));
  const finalists = new Set(ranked.slice(0, FINALISTS).map(({ candidate }) => candidate));
  return judged.map(({ candidate, clear }) => {
    if (finalists.has(candidate)) return { candidate, finalist: true };
    if (candidate.stage === 'failed') return { candidate, finalist: false };
    const note =
      clear.length > 0
        ? clear.map(showVerdict).join(', ')
        : `${FINALISTS} smaller candidates were measured in full`;
    return { candidate: { ...candidate, stage: 'screened', note }, finalist: false };
  });
}

function clearlyMissed(verdict: Verdict): boolean {
  if (verdict.holds) return false;
  const { metric } = verdict.constraint;
  if (metric.name === 'size') return true;
  if (verdict.margin === undefined) return false; // not measured while screening
  return shortfall(verdict) > (isQuality(metric) ? SCREEN_SLACK.quality : SCREEN_SLACK.time);
}
