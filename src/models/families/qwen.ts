// Qwen2 (Yang et al. 2024): Llama with biases of queries, keys and values. Qwen3 (Yang et al. 2025):
// none of these, but a norm of each query and key. Both may give some layers a sliding window.
import { z } from 'zod';
import { derivedSize } from './config-keys.js';
import { checkLlama, llamaKeys, llamaLike } from './llama-like.js';

const windowKeys = {
  use_sliding_window: z.boolean().default(false),
  sliding_window: derivedSize,
  /** The first layer that has a window, in files that do not list layer_types. */
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
};

const qwen2Config = z
  .looseObject({ model_type: z.literal('qwen2'), ...llamaKeys, ...windowKeys })
  .superRefine(check);
export type Qwen2Config = z.output<typeof qwen2Config>;

const qwen3Config = z
  .looseObject({
    model_type: z.literal('qwen3'),
    ...llamaKeys,
    ...windowKeys,
    head_dim: z.int().positive().default(128),
    attention_bias: z.boolean().default(false),
  })
  .superRefine(check);
export type Qwen3Config = z.output<typeof qwen3Config>;

type Checked = Parameters<typeof checkLlama>;

function check(c: Checked[0], context: Checked[1]): void {
  checkLlama(c, context);
  if (!Array.isArray(c.layer_types) || c.layer_types.length === c.num_hidden_layers) return;
  const message = `one type for each of num_hidden_layers (${c.num_hidden_layers})`;
  context.addIssue({ code: 'custom', path: ['layer_types'], message, input: c });
}

type Windows = z.output<z.ZodObject<typeof windowKeys>>;

const windowOf = (c: Windows) => (layer: number) => {
  const slides = c.layer_types
    ? c.layer_types[layer] === 'sliding_attention'
    : layer >= c.max_window_layers;
  return c.use_sliding_window && slides ? (c.sliding_window ?? undefined) : undefined;
};

export const qwen2 = llamaLike<Qwen2Config>('qwen2', qwen2Config, (c) => ({
  qkvBias: true,
  window: windowOf(c),
}));

export const qwen3 = llamaLike<Qwen3Config>('qwen3', qwen3Config, (c) => ({
  qkvBias: c.attention_bias,
  outBias: c.attention_bias,
  qkNorm: true,
  window: windowOf(c),
}));
