// Measured numbers held against a budget. A constraint is judged on the measured value; where an
// interval reaches across the limit the verdict says that it is not sure.
import { AnyformerError } from '../tensor/error.js';
import { fromBase } from './budget-units.js';
import { type Budget, type Constraint, showConstraint } from './constraint.js';
import { digitsAgainst } from './format.js';
import { type Metrics, ratioTo } from './metric.js';

export type Verdict = {
  readonly constraint: Constraint;
  /** A ratio where the constraint is relative, else in base units; undefined when not measured. */
  readonly value: number | undefined;
  readonly limit: number;
  readonly holds: boolean;
  /** The whole interval lies on the value's side of the limit. */
  readonly sure: boolean;
  /** Room left as a share of the limit; negative by how much it is missed. */
  readonly margin: number | undefined;
};

/** One verdict a constraint, in the budget's order. An unmeasured metric holds nothing. */
export function judge(budget: Budget, measured: Metrics, baseline: Metrics): Verdict[] {
  return budget.constraints.map((constraint) => {
    const { metric, limit, relative } = constraint;
    const estimate = relative ? ratioTo(metric.name, measured, baseline) : measured[metric.name];
    if (estimate === undefined || Number.isNaN(estimate.value)) {
      return { constraint, value: undefined, limit, holds: false, sure: true, margin: undefined };
    }
    const { value, low = value, high = value } = estimate;
    const holds = within(constraint, value);
    const sure = within(constraint, low) === holds && within(constraint, high) === holds;
    const room = metric.better === 'lower' ? limit - value : value - limit;
    return { constraint, value, limit, holds, sure, margin: limit === 0 ? room : room / limit };
  });
}

export const meets = (verdicts: readonly Verdict[]): boolean =>
  verdicts.every((verdict) => verdict.holds);

export function within({ operator, limit }: Constraint, value: number): boolean {
  switch (operator) {
    case '<=':
      return value <= limit;
    case '>=':
      return value >= limit;
    case '<':
      return value < limit;
    case '>':
      return value > limit;
  }
}

/** `latency 0.72x > 0.6x`, in the unit of the limit, with digits that show which side it is on. */
export function showVerdict({ constraint, value, holds }: Verdict): string {
  const { metric, operator, amount, unit, limit } = constraint;
  if (value === undefined) {
    return `${metric.name} was not measured (${showConstraint(constraint)})`;
  }
  // Converting back may be off by a rounding error, so a value on the limit is caught before.
  const start = metric.unit === 'share' ? 3 : 2;
  const shown = value === limit ? `${amount}` : digitsAgainst(fromBase(value, unit), amount, start);
  const opposite = { '<=': '>', '>=': '<', '<': '>=', '>': '<=' } as const;
  return `${metric.name} ${shown}${unit.name} ${holds ? operator : opposite[operator]} ${amount}${unit.name}`;
}

/** Refuses a budget that names what this run does not measure (`budget/unmeasured`). */
export function requireMeasured(budget: Budget, measured: readonly string[]): void {
  for (const constraint of budget.constraints) {
    if (measured.includes(constraint.metric.name)) continue;
    throw new AnyformerError('budget/unmeasured', {
      what: `${showConstraint(constraint)}: ${constraint.metric.name} is not measured for this model and data`,
      expected: `one of ${measured.join(', ')}`,
      hint: `leave it out, or give data that allows it: ${constraint.metric.name} is ${constraint.metric.about}`,
    });
  }
}
