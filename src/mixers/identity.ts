// The mixer that mixes nothing: what a block does by its channel mixer alone (Yu et al. 2022).
import { z } from 'zod';
import { tokenMixer } from './mixer.js';

export const identity = tokenMixer<Record<string, never>>({
  name: 'identity',
  options: z.strictObject({}),
  causal: 'both',
  mix: (s, x) => s.module('identity', () => x),
  state: () => ({}),
});
