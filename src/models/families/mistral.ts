// Mistral (Jiang et al. 2023): Llama whose queries see a sliding window of keys. The cache keeps the
// keys that no query sees any more.
import { z } from 'zod';
import { derivedSize } from './config-keys.js';
import { checkLlama, llamaKeys, llamaLike } from './llama-like.js';

const config = z
  .looseObject({
    model_type: z.literal('mistral'),
    ...llamaKeys,
    sliding_window: derivedSize,
  })
  .superRefine(checkLlama);
export type MistralConfig = z.output<typeof config>;

export const mistral = llamaLike<MistralConfig>('mistral', config, (c) => ({
  window: () => c.sliding_window ?? undefined,
}));
