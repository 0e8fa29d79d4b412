// Layers of attention and a channel mixer, one after another: what decoders from GPT-2 to Qwen are made
// of. A family says what stands in a layer and under which names.
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import { lastKeys } from '../../mixers/mask.js';
import type { StateSpec } from '../../mixers/mixer.js';
import { type BlockParts, block, type Scope } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { DecoderInputs } from '../family.js';

export type AttentionStack = Pick<BlockParts, 'norm' | 'channel' | 'names' | 'placement'> & {
  layers: number;
  attention: (layer: number) => AttentionOptions;
  /** How many keys a query of the layer sees, its own included; undefined where it sees all. */
  window?: ((layer: number) => number | undefined) | undefined;
};

/** x[batch, seq, width] through the layers at s.0, s.1, ...: the same shape. */
export function attentionStack(
  s: Scope,
  x: Tensor,
  { positions, mask, states }: Pick<DecoderInputs, 'positions' | 'mask' | 'states'>,
  { layers, attention: optionsOf, window, ...parts }: AttentionStack,
): Tensor {
  const masks = new Map<number | undefined, Tensor>([[undefined, mask]]);
  let y = x;
  for (let i = 0; i < layers; i++) {
    const options = attention.options.parse(optionsOf(i));
    const reach = window?.(i);
    const seen = masks.get(reach) ?? lastKeys(mask, reach ?? Number.POSITIVE_INFINITY);
    masks.set(reach, seen);
    const context = { mask: seen, positions, state: states?.[i] };
    y = block(s.at(i), y, {
      ...parts,
      mix: (scope, input) => attention.mix(scope, input, options, context),
    });
  }
  return y;
}

/** What decoding keeps of each layer. */
export const attentionStates = (
  layers: number,
  optionsOf: (layer: number) => AttentionOptions,
): Readonly<Record<string, StateSpec>>[] =>
  Array.from(
    { length: layers },
    (_, i) => attention.state?.(attention.options.parse(optionsOf(i))) ?? {},
  );
