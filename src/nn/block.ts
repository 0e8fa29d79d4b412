// The MetaFormer block (Yu et al. 2022): norm, token mixer, residual, norm, channel mixer, residual.
// Everything about a transformer layer is a choice of these parts and of their names.
import type { Tensor } from '../tensor/index.js';
import type { Norm } from './norm.js';
import type { Scope } from './scope.js';

export type BlockParts = {
  norm: Norm;
  /** Mixes tokens: [batch, seq, width] -> [batch, seq, width']. */
  mix(s: Scope, x: Tensor): Tensor;
  /** Mixes features of each token. */
  channel(s: Scope, x: Tensor): Tensor;
  /** Tensor names of the parts, as the checkpoint has them. */
  names: { mixerNorm: string; mixer: string; channelNorm: string; channel: string };
  /** `pre`: x + f(norm(x)); `post`: norm(x + f(x)). */
  placement?: 'pre' | 'post';
  /** The residual path around the mixer, where it is not the identity (a change of width). */
  shortcut?(s: Scope, x: Tensor): Tensor;
};

export function block(s: Scope, x: Tensor, parts: BlockParts): Tensor {
  const { norm, mix, channel, names, placement = 'pre', shortcut } = parts;
  return s.module('block', () => {
    const around = shortcut ? shortcut(s, x) : x;
    if (placement === 'pre') {
      const mixed = around.add(mix(s.at(names.mixer), norm(s.at(names.mixerNorm), x)));
      return mixed.add(channel(s.at(names.channel), norm(s.at(names.channelNorm), mixed)));
    }
    const mixed = norm(s.at(names.mixerNorm), around.add(mix(s.at(names.mixer), x)));
    return norm(s.at(names.channelNorm), mixed.add(channel(s.at(names.channel), mixed)));
  });
}
