// Llama (Touvron et al. 2023), and what is published under its name: SmolLM, TinyLlama and others.
import { z } from 'zod';
import { checkLlama, llamaKeys, llamaLike } from './llama-like.js';

const config = z
  .looseObject({
    model_type: z.literal('llama'),
    ...llamaKeys,
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
  })
  .superRefine(checkLlama);
export type LlamaConfig = z.output<typeof config>;

export const llama = llamaLike<LlamaConfig>('llama', config, (c) => ({
  qkvBias: c.attention_bias,
  outBias: c.attention_bias,
  mlpBias: c.mlp_bias,
}));
