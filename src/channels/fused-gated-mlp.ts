// The gated perceptron (Shazeer 2020) with one matrix for both halves: the first half of what it gives
// is multiplied with the activation of the second, as Moonshine has it.
import { activation, fixedWidth, linear, type Scope } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

export type FusedGatedMlpOptions = {
  /** Width of each half. */
  hidden: number;
  activation: string;
  bias?: boolean;
  names: { up: string; down: string };
};

/** [..., width] -> [..., width]. */
export const fusedGatedMlp =
  ({ hidden, activation: act, bias = false, names }: FusedGatedMlpOptions) =>
  (s: Scope, x: Tensor): Tensor =>
    s.module('fusedGatedMlp', () => {
      const both = linear(s.at(names.up), x, 2 * hidden, { bias });
      const [up, gate] = both.split(-1, [hidden, hidden]);
      const inner = up.mul(activation(act, s.at('activation'))(gate));
      return linear(s.at(names.down), s.tag('hidden', inner), fixedWidth(x), { bias });
    });
