// Where a token stands, as a config chooses it: nothing, an added table or sinusoid, a bias of the
// scores, or a rotation of queries and keys.
import { z } from 'zod';
import type { MixState, StateSpec } from '../../mixers/mixer.js';
import {
  alibiBias,
  learnedPositions,
  type Scope,
  sinusoidPositions,
  t5Bias,
} from '../../nn/index.js';
import { concat, type Tensor } from '../../tensor/index.js';

export const positionSpec = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('learned') }),
  z.strictObject({ type: z.literal('sinusoid'), base: z.number().positive().default(10000) }),
  z.strictObject({
    type: z.literal('t5'),
    buckets: z.int().min(4).default(32),
    max_distance: z.int().positive().default(128),
  }),
  z.strictObject({ type: z.literal('alibi') }),
  z.strictObject({
    type: z.literal('rotary'),
    base: z.number().positive().default(10000),
    /** Share of each head that rotates. */
    fraction: z.number().positive().max(1).default(1),
    layout: z.enum(['halves', 'pairs']).default('pairs'),
  }),
]);
export type PositionSpec = z.output<typeof positionSpec>;

/** Adds what is added to embeddings x[batch, seq, width]; `length` is the model's context. */
export function positioned(
  s: Scope,
  x: Tensor,
  positions: Tensor,
  spec: PositionSpec,
  { width, length }: { width: number; length: number },
): Tensor {
  if (spec.type === 'learned') return x.add(learnedPositions(s, positions, { length, width }));
  if (spec.type === 'sinusoid') return x.add(sinusoidPositions(positions, width, spec.base));
  return x;
}

export const isBias = ({ type }: PositionSpec): boolean => type === 't5' || type === 'alibi';

/** The bias of scores of all layers: [batch, heads, queries, keys]; undefined for other kinds. */
export function scoreBias(
  s: Scope,
  queries: Tensor,
  keys: Tensor,
  spec: PositionSpec,
  heads: number,
): Tensor | undefined {
  if (spec.type === 'alibi') return alibiBias(queries, keys, heads);
  if (spec.type !== 't5') return undefined;
  return t5Bias(s, queries, keys, { heads, buckets: spec.buckets, maxDistance: spec.max_distance });
}

/** The options of attention that rotate, or none. */
export function rotaryOptions(spec: PositionSpec, headDim: number) {
  if (spec.type !== 'rotary') return {};
  const { base, fraction, layout } = spec;
  return { rotary: { base, width: Math.round(fraction * headDim), layout } };
}

/** Distances need the positions of cached keys: one more row of the first layer's state. */
export const POSITION_STATE = 'position';
export const positionState: StateSpec = { shape: ['batch', 'capacity'], axis: 1 };

/** Positions of all keys: those of the past, then the new ones. Numbers up to 2^24 are exact. */
export function keyPositions(positions: Tensor, state: MixState | undefined): Tensor {
  if (!state) return positions;
  state.present[POSITION_STATE] = positions.cast('f32');
  const past = state.past?.[POSITION_STATE];
  return past ? concat([past.cast('i64'), positions], 1) : positions;
}
