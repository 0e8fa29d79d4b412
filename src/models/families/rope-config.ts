// Rotary positions as config.json files tell of them: the base as `rope_theta`, a change of frequencies
// under `rope_scaling`, or, in newer files, all of it under `rope_parameters`.
//
// `dynamic` changes nothing up to max_position_embeddings, which is as long as texts get here.
// `longrope` is refused: it depends on the length of each text.
import { z } from 'zod';
import type { RopeScaling } from '../../nn/index.js';

const kinds = ['default', 'linear', 'dynamic', 'llama3', 'yarn'] as const;
type Kind = (typeof kinds)[number];

const positive = z.number().positive().optional();

const parameters = z
  .looseObject({
    rope_type: z.enum(kinds).optional(),
    /** The older name of `rope_type`. */
    type: z.enum(kinds).optional(),
    rope_theta: positive,
    partial_rotary_factor: z.number().positive().max(1).optional(),
    factor: z.number().min(1).optional(),
    original_max_position_embeddings: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    beta_fast: positive.nullable(),
    beta_slow: positive.nullable(),
    attention_factor: positive.nullable(),
    truncate: z.boolean().optional(),
  })
  .superRefine((p, context) => {
    for (const key of needed[kindOf(p)]) {
      if (p[key] !== undefined) continue;
      const message = `a number: rope_type '${kindOf(p)}' needs it`;
      context.addIssue({ code: 'custom', path: [key], message, input: p });
    }
    // Another way to set the size of queries and keys, with one family's own rule.
    for (const key of ['mscale', 'mscale_all_dim']) {
      if (p[key] === undefined || p[key] === null) continue;
      const message = 'none: attention_factor says the size of queries and keys';
      context.addIssue({ code: 'custom', path: [key], message, input: p });
    }
  });
type Parameters = z.output<typeof parameters>;

const needed: Readonly<Record<Kind, readonly string[]>> = {
  default: [],
  dynamic: [],
  linear: ['factor'],
  yarn: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
};

const kindOf = (p: { rope_type?: Kind | undefined; type?: Kind | undefined }): Kind =>
  p.rope_type ?? p.type ?? 'default';

export const ropeKeys = {
  rope_scaling: parameters.nullish(),
  rope_parameters: parameters.nullish(),
};

type RopeConfig = {
  max_position_embeddings: number;
  rope_scaling?: Parameters | null | undefined;
  rope_parameters?: Parameters | null | undefined;
};

/** Base, share of the head that turns, and change of frequencies; those of newer files first. */
export function ropeOf(c: RopeConfig, { theta, share = 1 }: { theta: number; share?: number }) {
  const p = c.rope_parameters ?? undefined;
  return {
    base: p?.rope_theta ?? theta,
    share: p?.partial_rotary_factor ?? share,
    scaling: scalingOf(p ?? c.rope_scaling ?? {}, c.max_position_embeddings),
  };
}

function scalingOf(p: Partial<Parameters>, length: number): RopeScaling | undefined {
  const { factor = 1, original_max_position_embeddings: originalLength = length } = p;
  switch (kindOf(p)) {
    case 'linear':
      return { kind: 'linear', factor };
    case 'llama3': {
      const { low_freq_factor: lowFrequency = 1, high_freq_factor: highFrequency = 4 } = p;
      return { kind: 'llama3', factor, lowFrequency, highFrequency, originalLength };
    }
    case 'yarn':
      return {
        kind: 'yarn',
        factor,
        originalLength,
        betaFast: p.beta_fast ?? 32,
        betaSlow: p.beta_slow ?? 1,
        truncate: p.truncate ?? true,
        amplitude: p.attention_factor ?? undefined,
      };
    default:
      return undefined;
  }
}
