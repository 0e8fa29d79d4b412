// Gated perceptron (Shazeer 2020): down(act(gate(x)) * up(x)); SwiGLU where act is silu.
import { activation, fixedWidth, linear, type Scope } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

export type GatedMlpOptions = {
  hidden: number;
  activation: string;
  bias?: boolean;
  names: { gate: string; up: string; down: string };
};

/** [..., width] -> [..., width]. */
export const gatedMlp =
  ({ hidden, activation: act, bias = false, names }: GatedMlpOptions) =>
  (s: Scope, x: Tensor): Tensor =>
    s.module('gatedMlp', () => {
      const gate = activation(
        act,
        s.at('activation'),
      )(linear(s.at(names.gate), x, hidden, { bias }));
      const inner = gate.mul(linear(s.at(names.up), x, hidden, { bias }));
      return linear(s.at(names.down), s.tag('hidden', inner), fixedWidth(x), { bias });
    });
