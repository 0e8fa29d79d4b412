// Group norm with one group (Wu and He 2018), the norm of MetaFormer: mean and variance over all
// positions and features of a sample, gain and bias for each feature. Not a layer norm, whose
// statistics are of one position.

import { fixedWidth } from './linear.js';
import type { Norm } from './norm.js';

/** x [batch, positions, width]. */
export const sampleNorm =
  ({ eps = 1e-5 }: { eps?: number } = {}): Norm =>
  (s, x) =>
    s.module('sampleNorm', () => {
      const width = fixedWidth(x);
      const gain = s.parameter('weight', [width], { init: { kind: 'ones' } });
      const bias = s.parameter('bias', [width]);
      const centred = x.sub(x.mean([1, 2], true));
      const variance = centred.mul(centred).mean([1, 2], true);
      return centred.mul(variance.add(eps).sqrt().reciprocal()).mul(gain).add(bias);
    });
