// The programs of encoder-decoders. `memory` reads sources once and gives what every decoder layer
// keeps of them; `step` reads new tokens of the targets against that and against the cache of what was
// written before. Targets of a batch begin together, so only sources are padded.
import type { CrossState } from '../mixers/cross-attention.js';
import {
  type Built,
  buildProgram,
  isEncoderDecoder,
  type Model,
  wrongKind,
} from '../models/model.js';
import { crossMaskOf, sourceMemory } from '../models/source.js';
import { AnyformerError, input, type Tensor } from '../tensor/index.js';
import { against, lastPlace, pastName, pastStates, presentName, presentRows } from './programs.js';

/** Names of states, as transformers.js has them: past_key_values.0.decoder.key. */
export const TARGET = 'decoder.';
export const SOURCE = 'encoder.';
/** i64[batch, places]: which places of the memory are the source's own. */
export const MEMORY_MASK = 'encoder_attention_mask';

/**
 * The inputs of `sourceMemory`, padded on the right -> encoder_attention_mask: i64[batch, places], and
 * every layer's `present.{i}.encoder.{name}`.
 */
export function memoryProgram(model: Model): Built {
  if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const { hidden, mask } = sourceMemory(s, family, config);
    if (!mask) {
      throw new AnyformerError('decode/mask', {
        what: `the family of '${model.name}' does not say which places of its memory hold the source`,
        expected: 'a mask where the source has one',
        found: 'none',
      });
    }
    const states = family.crossStates(s, config, hidden);
    return { [MEMORY_MASK]: mask.cast('i64'), ...named(states, presentName) };
  });
}

/**
 * input_ids: i64[batch, new]; lengths and padding: i64[batch], as `stepProgram` has them;
 * encoder_attention_mask; past_key_values.{i}.decoder.{name} with `capacity` places and
 * past_key_values.{i}.encoder.{name} -> logits: f32[batch, vocabulary], and the target's rows of the
 * `new` places.
 */
export function crossStepProgram(model: Model): Built {
  if (!isEncoderDecoder(model)) throw wrongKind(model, 'encoder-decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const ids = input('input_ids', 'i64', ['batch', 'new']);
    const lengths = input('lengths', 'i64', ['batch']).unsqueeze(1);
    const padding = input('padding', 'i64', ['batch']).unsqueeze(1);
    const states = pastStates(family.states(config), TARGET);
    const cross = family.crossShapes(config).map((shapes, layer) => ({
      key: input(pastName(layer, `${SOURCE}key`), 'f32', shapes.key),
      value: input(pastName(layer, `${SOURCE}value`), 'f32', shapes.value),
    }));
    const logits = family.logits(s, config, {
      ids,
      ...against(lengths, padding, ids.size(1)),
      states,
      keep: lastPlace,
      cross,
      crossMask: crossMaskOf(input(MEMORY_MASK, 'i64', ['batch', 'places']).greater(0)),
    });
    return { logits: logits.squeeze(1), ...presentRows(states, TARGET) };
  });
}

const named = (
  states: readonly CrossState[],
  nameOf: (layer: number, name: string) => string,
): Record<string, Tensor> =>
  Object.fromEntries(
    states.flatMap((state, layer) =>
      Object.entries(state).map(([name, tensor]) => [nameOf(layer, SOURCE + name), tensor]),
    ),
  );
