// Graphs of an encoder-decoder over whole sources and whole targets. Inputs have Hugging Face's names;
// sound is told apart from padding by its length instead of a mask.

import type { Scope } from '../nn/index.js';
import { type Dim, input, iota, type Tensor } from '../tensor/index.js';
import type { EncoderDecoderFamily, Memory } from './family.js';

/**
 * The memory of a source. Text: input_ids, attention_mask i64[batch, seq]. Sound: input_values
 * f32[batch, samples], sample_counts i64[batch]. The second is absent when not `padded`.
 */
export function sourceMemory<C>(
  s: Scope,
  family: EncoderDecoderFamily<C>,
  config: C,
  { padded = true } = {},
): Memory {
  if (family.source === 'audio') {
    const samples = input('input_values', 'f32', ['batch', 'samples']);
    const lengths = padded ? input('sample_counts', 'i64', ['batch']) : undefined;
    return family.memory(s, config, { samples, lengths });
  }
  const ids = input('input_ids', 'i64', ['batch', 'seq']);
  const mask = padded ? input('attention_mask', 'i64', ['batch', 'seq']).greater(0) : undefined;
  return family.memory(s, config, { ids, mask });
}

/** bool[batch, places] as queries of [batch, heads, queries, places] read it. */
export const crossMaskOf = (mask: Tensor | undefined): Tensor | undefined => mask?.unsqueeze(1, 2);

/**
 * Scores after the places kept, all unless told, of targets i64[batch, target] that are padded on the
 * right, if at all.
 */
export function targetLogits<C>(
  s: Scope,
  family: EncoderDecoderFamily<C>,
  config: C,
  { hidden, mask }: Memory,
  ids: Tensor,
  keep?: (hidden: Tensor) => Tensor,
): Tensor {
  const positions = iota(ids.size(1)).unsqueeze(0); // [1, target]
  return family.logits(s, config, {
    ids,
    positions,
    keyPositions: positions,
    mask: causal(ids.size(1)),
    cross: family.crossStates(s, config, hidden),
    crossMask: crossMaskOf(mask),
    ...(keep ? { keep } : {}),
  });
}

/** bool[1, 1, size, size]: a query sees the keys up to its own. */
function causal(size: Dim): Tensor {
  const places = iota(size);
  return places.unsqueeze(1).greaterEqual(places.unsqueeze(0)).unsqueeze(0, 1);
}
