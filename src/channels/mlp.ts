// The two-layer perceptron of every token: down(act(up(x))).
import { activation, fixedWidth, linear, type Scope } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';

export type MlpOptions = {
  hidden: number;
  activation: string;
  bias?: boolean;
  /** Matrices lie [in, out] in the checkpoint. */
  transposed?: boolean;
  names: { up: string; down: string };
};

/** [..., width] -> [..., width]. */
export const mlp =
  ({ hidden, activation: act, bias = true, transposed = false, names }: MlpOptions) =>
  (s: Scope, x: Tensor): Tensor =>
    s.module('mlp', () => {
      const inner = activation(
        act,
        s.at('activation'),
      )(linear(s.at(names.up), x, hidden, { bias, transposed }));
      return linear(s.at(names.down), s.tag('hidden', inner), fixedWidth(x), { bias, transposed });
    });
