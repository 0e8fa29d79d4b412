// When nothing meets the budget: which candidate comes nearest, which limit holds it back most, and
// the budget that it would meet. Distances are shares of what a limit allows. For a quality that is
// the allowed loss, 1 - limit: 0.93 against 0.98 loses 3.5 times what is allowed, which is much
// further off than a latency of 0.72x against 0.6x, though 0.93 / 0.98 looks close.
import { fromBase, toBase } from './budget-units.js';
import { type Constraint, showBudget } from './constraint.js';
import { type Verdict, within } from './judge.js';
import { isQuality } from './metric.js';

export type Nearest = {
  readonly name: string;
  readonly missed: readonly Verdict[];
  /** The missed limit that is furthest off. */
  readonly binding: Verdict;
  /** The budget with the missed limits moved as far as this candidate needs. */
  readonly relaxed: string;
};

export const missed = (verdicts: readonly Verdict[]): Verdict[] =>
  verdicts.filter((verdict) => !verdict.holds);

/** The candidate whose furthest-off limit is least far off; undefined if none is fully measured. */
export function nearestTo(
  judged: readonly { candidate: { name: string }; verdicts: readonly Verdict[] }[],
): Nearest | undefined {
  let found: Nearest | undefined;
  let least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const { candidate, verdicts } of judged) {
    const misses = missed(verdicts).sort((a, b) => shortfall(b) - shortfall(a));
    if (misses.length === 0) continue;
    const far = misses.map(shortfall);
    const score = [far[0], far.reduce((a, b) => a + b, 0)];
    if (score[0] > least[0] || (score[0] === least[0] && score[1] >= least[1])) continue;
    least = score;
    found = {
      name: candidate.name,
      missed: missed(verdicts),
      binding: misses[0],
      relaxed: showBudget({ constraints: verdicts.map(relax) }),
    };
  }
  return found;
}

/** How far a missed limit is off, as a share of what it allows; infinite when not measured. */
export function shortfall({ constraint, value, limit, margin }: Verdict): number {
  if (value === undefined || margin === undefined) return Number.POSITIVE_INFINITY;
  const { metric } = constraint;
  if (metric.better === 'higher' && isQuality(metric)) {
    return (limit - value) / Math.max(Math.abs(1 - limit), 1e-3);
  }
  return -margin;
}

/** The limit moved to the other side of the value: two digits, three decimals for a share. */
function relax({ constraint, value, holds }: Verdict): Constraint {
  if (holds || value === undefined) return constraint;
  const { metric, unit } = constraint;
  const amount = fromBase(value, unit);
  const digits =
    metric.unit === 'share'
      ? unit.name === '%'
        ? 1
        : 3
      : Math.max(0, 1 - Math.floor(Math.log10(Math.abs(amount) || 1)));
  const scale = 10 ** Math.min(digits, 15);
  const round = metric.better === 'lower' ? Math.ceil : Math.floor;
  const operator = metric.better === 'lower' ? ('<=' as const) : ('>=' as const);
  const moved = (to: number): Constraint => ({
    ...constraint,
    operator,
    amount: to,
    limit: toBase(to, unit),
  });
  const rounded = moved(round(amount * scale) / scale);
  return within(rounded, value) ? rounded : moved(amount);
}
