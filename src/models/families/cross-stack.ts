// Decoder layers of encoder-decoders, T5 and Moonshine alike: self-attention, cross-attention, channel
// mixer, each as x + part(norm(x)). A family says what stands in a layer and under which names.
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import {
  type CrossAttentionOptions,
  type CrossShapes,
  type CrossState,
  crossAttention,
} from '../../mixers/cross-attention.js';
import type { Norm, Scope } from '../../nn/index.js';
import { recompute, type Tensor } from '../../tensor/index.js';
import type { EncoderDecoderInputs } from '../family.js';

export type CrossStack = {
  layers: number;
  norm: Norm;
  attention: AttentionOptions;
  cross: CrossAttentionOptions;
  channel(s: Scope, x: Tensor): Tensor;
  /** Added to the scores of self-attention in every layer. */
  bias?: Tensor | undefined;
  names: CrossNames;
};

/** Paths of the parts inside a layer, as the checkpoint has them. */
export type CrossNames = Readonly<
  Record<'mixerNorm' | 'mixer' | 'crossNorm' | 'cross' | 'channelNorm' | 'channel', string>
>;

type Seen = Pick<EncoderDecoderInputs, 'positions' | 'mask' | 'states' | 'cross' | 'crossMask'>;

/** x[batch, seq, width] through the layers at s.0, s.1, ...: the same shape. */
export function crossStack(s: Scope, x: Tensor, seen: Seen, parts: CrossStack): Tensor {
  const { norm, names, bias, channel } = parts;
  const own = attention.options.parse(parts.attention);
  const other = crossAttention.options.parse(parts.cross);
  const layer = (scope: Scope, i: number, start: Tensor): Tensor => {
    const { positions, mask, states, cross, crossMask } = seen;
    const context = { positions, mask, bias, state: states?.[i] };
    const add = (y: Tensor, normName: string, name: string, run: CrossStack['channel']) =>
      y.add(run(scope.at(name), norm(scope.at(normName), y)));
    const mixed = add(start, names.mixerNorm, names.mixer, (at, y) =>
      attention.mix(at, y, own, context),
    );
    const informed = add(mixed, names.crossNorm, names.cross, (at, y) =>
      crossAttention.mix(at, y, other, { state: cross[i], mask: crossMask }),
    );
    return add(informed, names.channelNorm, names.channel, channel);
  };
  let y = x;
  for (let i = 0; i < parts.layers; i++) {
    const [scope, before] = [s.at(i), y];
    const out = scope.module('block', () => layer(scope, i, before));
    y = s.recomputes ? recompute(before, out) : out;
  }
  return y;
}

/** Keys and values of a memory, for each layer. */
export function crossMemory(
  s: Scope,
  hidden: Tensor,
  { layers, cross, names }: Pick<CrossStack, 'layers' | 'cross' | 'names'>,
): CrossState[] {
  const options = crossAttention.options.parse(cross);
  return Array.from({ length: layers }, (_, i) =>
    crossAttention.remember(s.at(i, names.cross), hidden, options),
  );
}

export const crossMemoryShapes = (layers: number, cross: CrossAttentionOptions): CrossShapes[] =>
  Array.from({ length: layers }, () => crossAttention.shapes(cross));
