// The MetaFormer block (Yu et al. 2022): norm, token mixer, residual, norm, channel mixer, residual.
// Everything about a transformer layer is a choice of these parts and of their names.
import { recompute, type Tensor } from '../tensor/index.js';
import type { Norm } from './norm.js';
import type { Scope } from './scope.js';

export type BlockParts = {
  norm: Norm;
  /** Mixes tokens: [batch, seq, width] -> [batch, seq, width']. */
  mix(s: Scope, x: Tensor): Tensor;
  /** Mixes features of each token. */
  channel(s: Scope, x: Tensor): Tensor;
  /**
   * Tensor names of the parts, as the checkpoint has them; '' where the tensors of a part stand
   * directly in the layer.
   */
  names: { mixerNorm: string; mixer: string; channelNorm: string; channel: string };
  /**
   * `pre`: x + f(norm(x)), twice; `post`: norm(x + f(x)), twice; `parallel`: both branches read the
   * block's input, x + mix(norm(x)) + channel(norm'(x)).
   */
  placement?: 'pre' | 'post' | 'parallel';
  /** The residual path around the mixer, where it is not the identity (a change of width). */
  shortcut?(s: Scope, x: Tensor): Tensor;
};

export function block(s: Scope, x: Tensor, parts: BlockParts): Tensor {
  const { norm, names, placement = 'pre', shortcut } = parts;
  const mixerNorm = (y: Tensor) => norm(s.at(names.mixerNorm), y);
  const channelNorm = (y: Tensor) => norm(s.at(names.channelNorm), y);
  const mix = (y: Tensor) => tagged(s, names.mixer, 'mixer', parts.mix(s.at(names.mixer), y));
  const channel = (y: Tensor) =>
    tagged(s, names.channel, 'channel', parts.channel(s.at(names.channel), y));
  const out = s.module('block', () => {
    const around = shortcut ? shortcut(s, x) : x;
    if (placement === 'parallel') {
      return around.add(mix(mixerNorm(x))).add(channel(channelNorm(x)));
    }
    if (placement === 'pre') {
      const mixed = around.add(mix(mixerNorm(x)));
      return mixed.add(channel(channelNorm(mixed)));
    }
    const mixed = mixerNorm(around.add(mix(x)));
    return channelNorm(mixed.add(channel(mixed)));
  });
  return s.recomputes ? recompute(x, out) : out;
}

/** A part that has no path of its own is tagged by its role. */
const tagged = (s: Scope, name: string, role: string, y: Tensor): Tensor =>
  name === '' ? s.tag(role, y) : y;
