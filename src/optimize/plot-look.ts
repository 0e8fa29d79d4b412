// How the figures show what a candidate is, and the budget's limits on an axis.
import type { Assessed, Assessment } from './assess.js';

export type Kind = 'chosen' | 'nearest' | 'original' | 'front' | 'plain' | 'screened';

type Look = {
  readonly fill: string;
  readonly stroke: string;
  readonly radius: number;
  /** Who is labelled first where labels are crowded, and drawn last. */
  readonly rank: number;
};

export const LOOK: Readonly<Record<Kind, Look>> = {
  chosen: { fill: 'var(--chosen)', stroke: 'var(--page)', radius: 8, rank: 0 },
  nearest: { fill: 'var(--warn)', stroke: 'var(--page)', radius: 7, rank: 0 },
  original: { fill: 'var(--ink)', stroke: 'var(--page)', radius: 6, rank: 1 },
  front: { fill: 'var(--front)', stroke: 'var(--page)', radius: 5, rank: 2 },
  plain: { fill: 'var(--faint)', stroke: 'var(--page)', radius: 4, rank: 3 },
  screened: { fill: 'var(--page)', stroke: 'var(--faint)', radius: 3.5, rank: 4 },
};

/** `front` is that of the figure's own axes. */
export function kindOf(row: Assessed, front: readonly string[], assessment: Assessment): Kind {
  const { candidate } = row;
  if (row.chosen) return 'chosen';
  if (candidate.name === assessment.recommendation.nearest?.name) return 'nearest';
  if (candidate === assessment.original) return 'original';
  if (candidate.stage === 'screened') return 'screened';
  return front.includes(candidate.name) ? 'front' : 'plain';
}

export type Limit = { readonly at: number; readonly text: string };

/** The limits on a metric, as multiples of the original (`ratio`) or as amounts in base units. */
export function limitsOn(
  { budget, original }: Assessment,
  metric: string,
  as: 'ratio' | 'amount',
): Limit[] {
  const base = original.metrics[metric]?.value;
  return budget.constraints
    .filter((constraint) => constraint.metric.name === metric)
    .flatMap(({ limit, relative, operator, amount, unit }) => {
      const text = `${operator} ${amount}${unit.name}`;
      if (relative === (as === 'ratio')) return [{ at: limit, text }];
      if (base === undefined || base === 0) return [];
      return [{ at: relative ? limit * base : limit / base, text }];
    });
}

/** The limit that leaves least room, where a metric has a relative and an absolute one. */
export const tightest = (limits: readonly Limit[], better: 'lower' | 'higher'): Limit | undefined =>
  [...limits].sort((a, b) => (better === 'lower' ? a.at - b.at : b.at - a.at))[0];
