// Layers of an encoder, one after another: attention over all places that stand, without a state.
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import { type BlockParts, block, type Scope } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';

export type EncoderStack = Pick<BlockParts, 'norm' | 'channel' | 'names' | 'placement'> & {
  layers: number;
  attention: AttentionOptions;
};

/** x[batch, seq, width], mask bool[batch, seq] through the layers at s.0, s.1, ...: the same shape. */
export function encoderStack(
  s: Scope,
  x: Tensor,
  mask: Tensor | undefined,
  { layers, attention: given, ...parts }: EncoderStack,
): Tensor {
  const options = attention.options.parse(given);
  const keys = mask?.unsqueeze(1, 2); // [batch, 1, 1, seq]
  let y = x;
  for (let i = 0; i < layers; i++) {
    y = block(s.at(i), y, {
      ...parts,
      mix: (scope, z) => attention.mix(scope, z, options, { mask: keys }),
    });
  }
  return y;
}
