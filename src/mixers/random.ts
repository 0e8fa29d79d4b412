// Mixing by one fixed random matrix, the same for all features and never trained (Yu et al. 2022). Its
// logits are uniform numbers of (seed, place), so nothing is stored; rows are normalised over the
// places that the query may see. The matrix belongs to places in the row: a text that is padded on the
// left is mixed by another part of it.
import { z } from 'zod';
import { AnyformerError, constant, currentPath, fromNumbers, uniformAt } from '../tensor/index.js';
import { maskScores } from './mask.js';
import { tokenMixer } from './mixer.js';

const options = z.strictObject({
  /** Longest sequence. */
  length: z.int().positive(),
  seed: z.int().default(0),
});
type Options = z.output<typeof options>;

/** Logits [length, length], uniform in [0, 1). */
export const randomLogits = ({ length, seed }: Options): Float64Array =>
  Float64Array.from({ length: length * length }, (_, i) => uniformAt(seed, i));

export const random = tokenMixer<Options>({
  name: 'random',
  options,
  causal: 'both',
  mix: (s, x, o, { mask }) =>
    s.module('random', () => {
      const seq = x.size(1);
      if (typeof seq === 'number' && seq > o.length) {
        throw new AnyformerError('mixer/length', {
          what: `${currentPath() || 'random'}: the sequence is longer than the matrix`,
          expected: `at most ${o.length} places`,
          found: `${seq}`,
        });
      }
      const all = constant(fromNumbers('f32', [o.length, o.length], randomLogits(o)));
      const logits = all.slice(0, 0, seq).slice(1, 0, seq).unsqueeze(0, 1); // [1, 1, seq, seq]
      return maskScores(logits, mask).softmax().squeeze(1).matmul(x);
    }),
});
