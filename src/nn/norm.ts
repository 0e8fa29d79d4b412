// Normalisation layers under Hugging Face's tensor names.
import type { Tensor } from '../tensor/index.js';
import { fixedWidth } from './linear.js';
import type { Scope } from './scope.js';

/** A norm as a model chooses it. */
export type Norm = (s: Scope, x: Tensor) => Tensor;

export const layerNorm =
  ({ eps = 1e-5, bias = true }: { eps?: number; bias?: boolean } = {}): Norm =>
  (s, x) =>
    s.module('layerNorm', () => {
      const width = fixedWidth(x);
      const gain = s.parameter('weight', [width], { init: { kind: 'ones' } });
      return x.layerNorm(gain, bias ? s.parameter('bias', [width]) : undefined, eps);
    });

export const rmsNorm =
  ({ eps = 1e-6 }: { eps?: number } = {}): Norm =>
  (s, x) =>
    s.module('rmsNorm', () =>
      x.rmsNorm(s.parameter('weight', [fixedWidth(x)], { init: { kind: 'ones' } }), eps),
    );
