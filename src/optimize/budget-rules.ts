// Limits that can be read but must not be accepted: on the side that costs nothing, beyond what the
// metric can reach, given twice, or against each other.
import { type Constraint, example, failure, type Operator, showConstraint } from './constraint.js';

const isUpper = (operator: Operator): boolean => operator[0] === '<';

export function refuseDirection(constraint: Constraint, at: number): void {
  const { metric, operator } = constraint;
  const wantsUpper = metric.better === 'lower';
  if (isUpper(operator) === wantsUpper) return;
  const turned: Constraint = {
    ...constraint,
    operator: wantsUpper ? (operator === '>' ? '<' : '<=') : operator === '<' ? '>' : '>=',
  };
  throw failure('budget/direction', at, {
    what: `${showConstraint(constraint)} asks for ${wantsUpper ? 'more' : 'less'} ${metric.name}, which costs nothing to meet`,
    expected: `${wantsUpper ? 'an upper' : 'a lower'} limit: ${metric.better} ${metric.name} is better`,
    hint: `did you mean "${showConstraint(turned)}"?`,
  });
}

export function refuseImpossible(constraint: Constraint, at: number): void {
  const { metric, operator, limit, relative, unit } = constraint;
  const best = relative ? (metric.better === 'lower' ? 0 : undefined) : metric.best;
  if (best === undefined) return;
  const strict = operator === '<' || operator === '>' || best === 0;
  const beyond = metric.better === 'lower' ? best - limit : limit - best;
  if (beyond < 0 || (beyond === 0 && !strict)) return;
  throw failure('budget/impossible', at, {
    what: `nothing can meet ${showConstraint(constraint)}`,
    expected:
      metric.better === 'lower'
        ? `${metric.name} above ${best}`
        : `${metric.name} is a share: at most ${best}, or 100%`,
    hint:
      metric.unit === 'share' && unit.name === '' && limit > 1 && limit <= 100
        ? `did you mean "${metric.name}${operator}${constraint.amount}%"?`
        : `write for example "${example(metric)}"`,
  });
}

/** A metric has at most one relative and one absolute limit. */
export function refuseClash(
  constraint: Constraint,
  earlier: readonly Constraint[],
  at: number,
): void {
  for (const other of earlier) {
    if (other.metric !== constraint.metric || other.relative !== constraint.relative) continue;
    const both = `${showConstraint(other)} and ${showConstraint(constraint)}`;
    if (isUpper(other.operator) === isUpper(constraint.operator)) {
      throw failure('budget/duplicate', at, {
        what: `${constraint.metric.name} is limited twice: ${both}`,
        expected: 'one limit for each metric and unit',
        hint: 'keep the tighter one',
      });
    }
    const upper = isUpper(other.operator) ? other : constraint;
    const lower = upper === other ? constraint : other;
    const strict = upper.operator === '<' || lower.operator === '>';
    if (lower.limit > upper.limit || (lower.limit === upper.limit && strict)) {
      throw failure('budget/contradiction', at, {
        what: `nothing can meet both ${both}`,
        hint: `keep one: ${constraint.metric.better} ${constraint.metric.name} is better, so only ${constraint.metric.better === 'lower' ? 'upper' : 'lower'} limits are needed`,
      });
    }
  }
}
