// An encoder-decoder as the two graphs that transformers.js runs: `encoder_model` reads a source,
// `decoder_model_merged` writes against it, with its cache. Keys and values of the source come in as
// past_key_values.{i}.encoder.key and .value and are computed from what of the source they lack: all of
// it at first, when they have a length of 0, nothing later. So one graph without branches does both.
import type { CrossState } from '../mixers/cross-attention.js';
import type { MixState } from '../mixers/mixer.js';
import { Scope } from '../nn/index.js';
import { addDims, concat, dim, input, iota, type Tensor } from '../tensor/index.js';
import { pastOf } from './export-decoder.js';
import type { EncoderDecoderFamily } from './family.js';
import { type Built, buildProgram, isEncoderDecoder, type Model, wrongKind } from './model.js';
import { crossMaskOf, sourceMemory } from './source.js';

const PAST = 'past_decoder_sequence_length';
const KNOWN = 'past_encoder_sequence_length';

/**
 * Text: input_ids, attention_mask i64[batch, seq]; sound: input_values f32[batch, samples] ->
 * last_hidden_state f32[batch, places, width].
 */
export function encoderPart(model: Model): Built {
  if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => ({
    last_hidden_state: memoryOf(s, family, config),
  }));
}

const memoryOf = <C>(s: Scope, family: EncoderDecoderFamily<C>, config: C): Tensor =>
  sourceMemory(s, family, config, { padded: family.source === 'text' }).hidden;

/**
 * input_ids i64[batch_size, decoder_sequence_length], encoder_hidden_states, for text
 * encoder_attention_mask, the past -> logits, the present.
 */
export function decoderPart(model: Model): Built {
  if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
  const { family, config } = model;
  const width = memoryOf(Scope.root(), family, config).size(-1);
  return buildProgram(model, (s) => {
    const ids = input('input_ids', 'i64', ['batch_size', 'decoder_sequence_length']);
    const places = ['batch_size', 'encoder_sequence_length'] as const;
    const mask =
      family.source === 'text'
        ? input('encoder_attention_mask', 'i64', places).greater(0)
        : undefined;
    const hidden = input('encoder_hidden_states', 'f32', [...places, width]);
    const states = family.states(config).map((specs, layer): MixState => {
      const past = (name: string) => pastOf(specs[name], `${layer}.decoder.${name}`, PAST);
      return { past: { key: past('key'), value: past('value') }, present: {}, joined: true };
    });
    const cross = crossOf(s, family, config, hidden);
    const total = addDims(dim(PAST), ids.size(1));
    const keyPositions = iota(total).unsqueeze(0); // [1, past + seq]
    const positions = keyPositions.slice(1, dim(PAST)); // [1, seq]
    const causal = keyPositions.lessEqual(positions.unsqueeze(-1)); // [1, seq, past + seq]
    const logits = family.logits(s, config, {
      ids,
      positions,
      keyPositions,
      mask: causal.unsqueeze(1),
      states,
      cross,
      crossMask: crossMaskOf(mask),
    });
    const rows = states.flatMap(({ present }, layer) => [
      [`present.${layer}.decoder.key`, present.key],
      [`present.${layer}.decoder.value`, present.value],
      [`present.${layer}.encoder.key`, cross[layer].key.swap(-1, -2)],
      [`present.${layer}.encoder.value`, cross[layer].value],
    ]);
    return { logits, ...Object.fromEntries(rows) };
  });
}

/** What is known of the source, and after it what is not. */
function crossOf<C>(
  s: Scope,
  family: EncoderDecoderFamily<C>,
  config: C,
  hidden: Tensor,
): CrossState[] {
  const fresh = family.crossStates(s, config, hidden.slice(1, dim(KNOWN)));
  return family.crossShapes(config).map(({ key: [, heads, headDim] }, layer) => {
    const known = (name: string) =>
      input(`past_key_values.${layer}.encoder.${name}`, 'f32', [
        'batch_size',
        heads,
        KNOWN,
        headDim,
      ]);
    return {
      key: concat([known('key').swap(-1, -2), fresh[layer].key], 3),
      value: concat([known('value'), fresh[layer].value], 2),
    };
  });
}
