// Biases of attention scores that depend on the distance of query and key: T5's table by buckets of
// distance (Raffel et al. 2020) and ALiBi's slopes (Press et al. 2022). Positions come from outside, so
// that padding and caches do not move them.
import { constant, fromNumbers, type Tensor } from '../tensor/index.js';
import type { Scope } from './scope.js';

/** i - j for queries i64[batch, q] and keys i64[batch, k]: [batch, 1, q, k]. */
const distances = (queries: Tensor, keys: Tensor): Tensor =>
  queries.unsqueeze(1, 3).sub(keys.unsqueeze(1, 2));

/**
 * Slopes of the heads: 2^(-8h/H), h = 1..H, where H is a power of two; otherwise those of the largest
 * power of two P below H, then every second one of the series of 2P.
 */
export function alibiSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number) =>
    Array.from({ length: count }, (_, h) => 2 ** ((-8 * (h + 1)) / count));
  const between = series(2 * power).filter((_, i) => i % 2 === 0);
  return [...series(power), ...between.slice(0, heads - power)];
}

/** -slope |i - j|: f32[batch, heads, q, k]. */
export function alibiBias(queries: Tensor, keys: Tensor, heads: number): Tensor {
  const slopes = fromNumbers(
    'f32',
    [1, heads, 1, 1],
    alibiSlopes(heads).map((slope) => -slope),
  );
  return distances(queries, keys).cast('f32').abs().mul(constant(slopes));
}

export type Buckets = {
  /** Rows of the table. */
  buckets: number;
  /** From this distance on, all share the last bucket. */
  maxDistance: number;
  /** Keys after the query have the upper half of the buckets; otherwise they share bucket 0. */
  bidirectional?: boolean;
};

/**
 * The bucket of a distance i - j: half of them hold one distance each, the others grow with its
 * logarithm.
 */
export function t5Bucket(distance: number, o: Buckets): number {
  const { buckets, maxDistance, bidirectional = false } = o;
  const side = bidirectional ? buckets / 2 : buckets;
  const offset = bidirectional && distance < 0 ? side : 0;
  const d = bidirectional ? Math.abs(distance) : Math.max(0, distance);
  const exact = Math.floor(side / 2);
  if (d < exact) return offset + d;
  const grown = (Math.log(d / exact) / Math.log(maxDistance / exact)) * (side - exact);
  return offset + Math.min(side - 1, exact + Math.floor(grown));
}

/**
 * The table `weight` [buckets, heads] of the scope, read by distance: f32[batch, heads, q, k].
 */
export const t5Bias = (
  s: Scope,
  queries: Tensor,
  keys: Tensor,
  { heads, ...o }: Buckets & { heads: number },
): Tensor =>
  s.module('t5Bias', () => {
    const { buckets, maxDistance } = o;
    const table = s.parameter('weight', [buckets, heads], { init: { kind: 'normal', std: 0.02 } });
    const count = 2 * maxDistance + 1;
    const rows = Array.from({ length: count }, (_, i) => t5Bucket(i - maxDistance, o));
    const byDistance = table.gather(constant(fromNumbers('i64', [count], rows))); // [count, heads]
    const at = distances(queries, keys)
      .squeeze(1)
      .maximum(-maxDistance)
      .minimum(maxDistance)
      .add(maxDistance); // [batch, q, k]
    return byDistance.swap(0, 1).gather(at, 1).transpose(1, 0, 2, 3);
  });
