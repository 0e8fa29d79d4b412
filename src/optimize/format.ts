// Numbers as people read them, with no more digits than are known. Values are in bytes, seconds, per
// second, shares or plain numbers; ratios are candidate over original.
import type { Estimate, Metric, MetricUnit } from './metric.js';

/** `digits` significant digits, trailing zeros kept, no exponent for everyday sizes. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  const rounded = Number(value.toPrecision(digits));
  if (rounded === 0) return '0';
  if (Math.abs(rounded) >= 1e15 || Math.abs(rounded) < 1e-6) return String(rounded);
  const whole = Math.floor(Math.log10(Math.abs(rounded))) + 1;
  const decimals = Math.max(0, Math.min(20, digits - whole));
  return group(rounded.toFixed(decimals));
}

const group = (text: string): string => {
  const [whole, fraction] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
};

/** The largest unit of `units` in which the rounded value is at least 1, or the smallest. */
function scaled(value: number, units: readonly (readonly [string, number])[]): string {
  const rounded = Number(value.toPrecision(3));
  const [name, factor] =
    units.findLast(([, size]) => Math.abs(rounded) >= size * (1 - 1e-12)) ?? units[0];
  return `${significant(value / factor)} ${name}`;
}

export const formatBytes = (bytes: number): string =>
  Math.abs(bytes) < 1000
    ? `${Math.round(bytes)} B`
    : scaled(bytes, [
        ['kB', 1e3],
        ['MB', 1e6],
        ['GB', 1e9],
        ['TB', 1e12],
      ]);

export const formatSeconds = (seconds: number): string =>
  scaled(seconds, [
    ['µs', 1e-6],
    ['ms', 1e-3],
    ['s', 1],
  ]);

/** Counts of work (FLOPs, parameters) with k, M, G, T. */
export const formatCount = (count: number): string =>
  Math.abs(count) < 1000
    ? significant(count)
    : scaled(count, [
        ['k', 1e3],
        ['M', 1e6],
        ['G', 1e9],
        ['T', 1e12],
      ]);

/**
 * A share from 0 to 1. Three decimals; nearer to 1 as many as keep it from reading 1 (0.99987, not
 * 1.000), because the distance to 1 is what was lost.
 */
export function formatShare(share: number): string {
  for (let decimals = 3; decimals < 7; decimals++) {
    const text = share.toFixed(decimals);
    if (share >= 1 || Number(text) !== 1) return text;
  }
  return share.toFixed(7);
}

/** `0.27x`, `1.00x`, `12.3x`, `0.0041x`: two decimals, three digits above 10, two digits below 0.1. */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return `${ratio}x`;
  const size = Math.abs(ratio);
  if (size >= 9.995) return `${significant(ratio)}x`;
  if (size < 0.0995 && size > 0) return `${significant(ratio, 2)}x`;
  return `${ratio.toFixed(2)}x`;
}

export function formatValue(unit: MetricUnit, value: number): string {
  switch (unit) {
    case 'bytes':
      return formatBytes(value);
    case 'seconds':
      return formatSeconds(value);
    case 'perSecond':
      return `${significant(value)}/s`;
    case 'share':
      return formatShare(value);
    case 'number':
      return significant(value, 4);
  }
}

/** `11.8 ms (11.6 ms to 12.1 ms)`; without an interval the value alone. */
export function formatEstimate(metric: Pick<Metric, 'unit'>, estimate: Estimate): string {
  const show = (value: number) => formatValue(metric.unit, value);
  return withInterval(estimate, show);
}

/** `0.61x (0.60x to 0.63x)`. */
export const formatRatioEstimate = (estimate: Estimate): string =>
  withInterval(estimate, formatRatio);

function withInterval({ value, low, high }: Estimate, show: (value: number) => string): string {
  if (low === undefined || high === undefined || (low === value && high === value)) {
    return show(value);
  }
  return `${show(value)} (${show(low)} to ${show(high)})`;
}

/**
 * `value` with as many digits as it takes to fall on its own side of `limit`: 0.6004 against 0.6 is
 * `0.6004`, never `0.60`. `decimals` is where it starts.
 */
export function digitsAgainst(value: number, limit: number, decimals: number): string {
  if (!Number.isFinite(value)) return String(value);
  for (let count = decimals; count <= 12; count++) {
    const text = trimZeros(value.toFixed(count));
    if (Math.sign(Number(text) - limit) === Math.sign(value - limit)) return text;
  }
  return String(value);
}

const trimZeros = (text: string): string =>
  text.includes('.') ? text.replace(/\.?0+$/, '') : text;

/** `a, b and c`. */
export function listed(items: readonly string[], last = 'and'): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} ${last} ${items[items.length - 1]}`;
}
