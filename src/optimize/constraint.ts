// One limit of a budget as a value, its spelling, and the form of every error about a budget.
import { AnyformerError } from '../tensor/error.js';
import type { BudgetUnit } from './budget-units.js';
import type { Metric } from './metric.js';

export type Operator = '<=' | '>=' | '<' | '>';

export type Constraint = {
  readonly metric: Metric;
  readonly operator: Operator;
  /** The number as written, in `unit`. */
  readonly amount: number;
  readonly unit: BudgetUnit;
  /** `amount` in bytes, seconds, per second or a plain number; with `relative`, a ratio. */
  readonly limit: number;
  /** The limit is a multiple of the original's value. */
  readonly relative: boolean;
};

export type Budget = { readonly constraints: readonly Constraint[] };

export const showConstraint = ({ metric, operator, amount, unit }: Constraint): string =>
  `${metric.name}${operator}${amount}${unit.name}`;

/** The budget in its shortest spelling; parseBudget reads it back to an equal value. */
export const showBudget = (budget: Budget): string =>
  budget.constraints.map(showConstraint).join(', ');

export const BUDGET_EXAMPLE = 'latency<=0.6x, quality>=0.98x, size<=8MB';

/** A limit that this metric can have, for error messages. */
export function example(metric: Metric): string {
  const amounts = {
    bytes: '8MB',
    seconds: '12ms',
    perSecond: '500/s',
    share: '0.95',
    number: '20',
  };
  return `${metric.name}${metric.better === 'lower' ? '<=' : '>='}${amounts[metric.unit]}`;
}

/** An error that names the character it is about, counted from 1. */
export function failure(
  code: string,
  at: number,
  parts: { what: string; expected?: string; found?: string; hint?: string },
): AnyformerError {
  return new AnyformerError(code, { ...parts, what: `budget, character ${at + 1}: ${parts.what}` });
}

/** The beginning of what was written, short enough for a message. */
export const glimpse = (text: string): string => {
  const characters = [...text.slice(0, 60)];
  return characters.length > 24 ? `${characters.slice(0, 24).join('')}…` : text;
};
