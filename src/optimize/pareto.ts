// Which candidates nobody beats: a candidate is dominated when another is at least as good on every
// axis and better on one. Values are compared as measured; intervals are not weighed here.
import type { Candidate } from './candidate.js';
import { listed } from './format.js';
import { metricOf } from './metric.js';

export type Dominated = {
  readonly name: string;
  /** A candidate on the front that beats it: the one better on the most axes. */
  readonly by: string;
  /** Axes on which `by` is better, and on which it is equal. */
  readonly better: readonly string[];
  readonly equal: readonly string[];
};

export type Front = {
  readonly axes: readonly string[];
  /** Undominated candidates in their given order. */
  readonly front: readonly string[];
  readonly dominated: readonly Dominated[];
  /** Candidates without a value on some axis: neither on the front nor beaten. */
  readonly incomplete: readonly string[];
};

/** The front over `axes` (metric names, each with the direction of its row in METRICS). */
export function paretoFront(candidates: readonly Candidate[], axes: readonly string[]): Front {
  const signs = axes.map((axis) => (metricOf(axis).better === 'lower' ? 1 : -1));
  const points: { name: string; at: number[] }[] = [];
  const incomplete: string[] = [];
  for (const { name, stage, metrics } of candidates) {
    const at = axes.map((axis, i) => (metrics[axis]?.value ?? Number.NaN) * signs[i]);
    if (stage === 'failed' || at.some(Number.isNaN)) incomplete.push(name);
    else points.push({ name, at });
  }
  const beats = (a: { at: number[] }, b: { at: number[] }): boolean =>
    a.at.every((value, i) => value <= b.at[i]) && a.at.some((value, i) => value < b.at[i]);
  const onFront = points.filter((point) => !points.some((other) => beats(other, point)));
  const dominated = points
    .filter((point) => !onFront.includes(point))
    .map((point) => {
      // Whatever is dominated is dominated by somebody on the front (domination is transitive).
      const [best] = onFront
        .filter((other) => beats(other, point))
        .map((other) => ({
          by: other.name,
          better: axes.filter((_, i) => other.at[i] < point.at[i]),
          equal: axes.filter((_, i) => other.at[i] === point.at[i]),
        }))
        .sort((a, b) => b.better.length - a.better.length);
      return { name: point.name, ...best };
    });
  return { axes, front: onFront.map(({ name }) => name), dominated, incomplete };
}

/** `int8 is better on size and latency and equal on quality`. */
export function showDominated({ by, better, equal }: Dominated): string {
  const tail = equal.length === 0 ? '' : ` and equal on ${listed(equal)}`;
  return `${by} is better on ${listed(better)}${tail}`;
}
