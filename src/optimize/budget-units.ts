// The units a budget can be written in. Bytes: B, kB... are powers of 1000, KiB... of 1024. `x` is a
// multiple of the original's value and fits every metric.
import type { MetricUnit } from './metric.js';

export type BudgetUnit = {
  /** As shown. Read without regard to case. */
  readonly name: string;
  readonly of: MetricUnit | 'ratio';
  /** Base units in one of these. */
  readonly factor: number;
};

export const UNITS: readonly BudgetUnit[] = [
  { name: 'x', of: 'ratio', factor: 1 },
  { name: 'B', of: 'bytes', factor: 1 },
  { name: 'kB', of: 'bytes', factor: 1e3 },
  { name: 'MB', of: 'bytes', factor: 1e6 },
  { name: 'GB', of: 'bytes', factor: 1e9 },
  { name: 'TB', of: 'bytes', factor: 1e12 },
  { name: 'KiB', of: 'bytes', factor: 2 ** 10 },
  { name: 'MiB', of: 'bytes', factor: 2 ** 20 },
  { name: 'GiB', of: 'bytes', factor: 2 ** 30 },
  { name: 'TiB', of: 'bytes', factor: 2 ** 40 },
  { name: 'us', of: 'seconds', factor: 1e-6 },
  { name: 'ms', of: 'seconds', factor: 1e-3 },
  { name: 's', of: 'seconds', factor: 1 },
  { name: '/s', of: 'perSecond', factor: 1 },
  { name: '', of: 'share', factor: 1 },
  { name: '%', of: 'share', factor: 1e-2 },
  { name: '', of: 'number', factor: 1 },
];

const SPELLINGS: Readonly<Record<string, string>> = { '×': 'x', µs: 'us', μs: 'us' };

/** The unit written as `text` that a metric of this kind can have, or undefined. */
export function unitFor(text: string, kind: MetricUnit): BudgetUnit | undefined {
  const written = Object.hasOwn(SPELLINGS, text) ? SPELLINGS[text] : text;
  return unitsFor(kind).find((unit) => unit.name.toLowerCase() === written.toLowerCase());
}

export const unitsFor = (kind: MetricUnit): BudgetUnit[] =>
  UNITS.filter((unit) => unit.of === kind || unit.of === 'ratio');

/** Divides by the whole number instead of multiplying by a rounded fraction: 57 % is 0.57. */
export const toBase = (amount: number, unit: BudgetUnit): number =>
  unit.factor >= 1 ? amount * unit.factor : amount / Math.round(1 / unit.factor);

export const fromBase = (value: number, unit: BudgetUnit): number =>
  unit.factor >= 1 ? value / unit.factor : value * Math.round(1 / unit.factor);
