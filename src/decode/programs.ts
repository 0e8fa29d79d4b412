// The programs of decoders (those of encoder-decoders: cross-programs.ts). `prefill` reads whole prompts in one run and returns what later tokens need
// of them. `step` reads new tokens, one or many, against a cache of a fixed capacity, whose unused tail
// is masked; against an empty cache it reads prompts too, and this is how `openDecoder` reads them.
// Both score the last place only: the product with the vocabulary is the widest of the model.
//
// A cache holds the rows of all texts from place 0 on. Shorter prompts of a batch are padded on the
// left, so that new rows have one place in all of them.

import type { MixState } from '../mixers/mixer.js';
import {
  type Built,
  buildProgram,
  isDecoder,
  type Model,
  wholeSequences,
  wrongKind,
} from '../models/model.js';
import { concat, type Dim, input, iota, type Tensor } from '../tensor/index.js';
import type { LayerStates } from './cache.js';

/** What a step reads and what a run adds, under the names that transformers.js uses. */
export const pastName = (layer: number, name: string): string => `past_key_values.${layer}.${name}`;
export const presentName = (layer: number, name: string): string => `present.${layer}.${name}`;

/** Picks the last place: [batch, seq, width] -> [batch, 1, width]. */
export const lastPlace = (hidden: Tensor): Tensor => hidden.slice(1, -1);

/**
 * input_ids and attention_mask: i64[batch, seq], padded on the left -> logits: f32[batch,
 * vocabulary], and every layer's rows `present.{i}.{name}` for all `seq` places.
 */
export function prefillProgram(model: Model): Built {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const states = family.states(config).map((): MixState => ({ present: {} }));
    const logits = family.logits(s, config, { ...wholeSequences(), states, keep: lastPlace });
    return { logits: logits.squeeze(1), ...presentRows(states) };
  });
}

/**
 * input_ids: i64[batch, new]; lengths: i64[batch], how many places of the cache are filled; padding:
 * i64[batch], how many of these, at the beginning, hold no token; past_key_values.{i}.{name}: f32
 * with `capacity` places -> logits: f32[batch, vocabulary], and the rows of the `new` places.
 */
export function stepProgram(model: Model): Built {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const ids = input('input_ids', 'i64', ['batch', 'new']);
    const lengths = input('lengths', 'i64', ['batch']).unsqueeze(1);
    const padding = input('padding', 'i64', ['batch']).unsqueeze(1);
    const states = pastStates(family.states(config));
    const { positions, mask } = against(lengths, padding, ids.size(1));
    const logits = family.logits(s, config, { ids, positions, mask, states, keep: lastPlace });
    return { logits: logits.squeeze(1), ...presentRows(states) };
  });
}

/** States whose past is the cache; `prefix` goes before the names that a mixer gives them. */
export const pastStates = (states: LayerStates, prefix = ''): MixState[] =>
  states.map((specs, layer) => ({
    past: Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => [
        name,
        input(pastName(layer, prefix + name), 'f32', shape),
      ]),
    ),
    present: {},
  }));

/** A place that no query reaches. */
const NOWHERE = 2 ** 40;

/**
 * Positions of queries and keys, and mask, of `count` new places after the filled ones; lengths and padding are [batch, 1].
 * The keys are the whole cache, then the new places: each has a place in the text's row, and a query
 * sees those up to its own that hold a token.
 */
export function against(
  lengths: Tensor,
  padding: Tensor,
  count: Dim,
): { positions: Tensor; keyPositions: Tensor; mask: Tensor } {
  const cached = iota('capacity');
  const filled = cached.less(lengths).and(cached.greaterEqual(padding)); // [batch, capacity]
  const places = lengths.add(iota(count)); // [batch, new]
  const stands = places.greaterEqual(padding);
  const keys = concat([filled.where(cached, NOWHERE), stands.where(places, NOWHERE)], 1);
  const mask = keys.unsqueeze(1, 2).lessEqual(places.unsqueeze(1, 3)); // [batch, 1, new, keys]
  const positions = places.sub(padding).maximum(0);
  const before = cached.sub(padding).maximum(0); // [batch, capacity]
  return { positions, keyPositions: concat([before, positions], 1), mask };
}

export function presentRows(states: readonly MixState[], prefix = ''): Record<string, Tensor> {
  return Object.fromEntries(
    states.flatMap(({ present }, layer) =>
      Object.entries(present).map(([name, rows]) => [presentName(layer, prefix + name), rows]),
    ),
  );
}
