// A decoder as one graph with its cache, in the form that transformers.js runs: the past comes in as
// past_key_values.{i}.key and .value [batch_size, kvHeads, past_sequence_length, headDim], of length 0
// at first, and goes out, new rows after it, as present.{i}.key and .value. The attention mask covers
// past and new tokens; positions are counted from it.
import type { MixState, StateSpec } from '../mixers/mixer.js';
import { addDims, dim, input, iota, type Tensor } from '../tensor/index.js';
import type { DecoderInputs } from './family.js';
import { type Built, buildProgram, isDecoder, type Model, wrongKind } from './model.js';

/** Decoders that transformers.js 4.3 has a class for. */
export const cachedModelTypes: readonly string[] = [
  'llama',
  'mistral',
  'qwen2',
  'qwen3',
  'gpt2',
  'gpt_neox',
  'opt',
];

const PAST = 'past_sequence_length';

/**
 * input_ids i64[batch_size, sequence_length], attention_mask i64[batch_size, past + sequence_length],
 * the past -> logits f32[batch_size, sequence_length, vocabulary], the present.
 */
export function cachedDecoderProgram(model: Model): Built {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const { family, config } = model;
  return buildProgram(model, (s) => {
    const ids = input('input_ids', 'i64', ['batch_size', 'sequence_length']);
    const total = addDims(dim(PAST), ids.size(1));
    const attended = input('attention_mask', 'i64', ['batch_size', total]);
    const states = family.states(config).map(
      (specs, layer): MixState => ({
        past: {
          key: pastOf(specs.key, `${layer}.key`, PAST),
          value: pastOf(specs.value, `${layer}.value`, PAST),
        },
        present: {},
        joined: true,
      }),
    );
    const logits = family.logits(s, config, { ids, ...seen(attended), states });
    const present = states.flatMap(({ present: rows }, layer) =>
      ['key', 'value'].map((name) => [`present.${layer}.${name}`, rows[name]] as const),
    );
    return { logits, ...Object.fromEntries(present) };
  });
}

/** [batch_size, kvHeads, length, headDim], whichever way the library's own cache lies. */
export function pastOf({ shape }: StateSpec, name: string, length: string): Tensor {
  const [, heads, a, b] = shape;
  const width = a === 'capacity' ? b : a;
  return input(`past_key_values.${name}`, 'f32', ['batch_size', heads, length, width]);
}

/** Positions of the new tokens among those that stand, and which keys each may see. */
function seen(attended: Tensor): Pick<DecoderInputs, 'positions' | 'mask'> {
  const order = attended.cumsum(1); // [batch, past + seq]
  const places = iota(attended.size(1));
  const queries = places.slice(0, dim(PAST)); // [seq]
  const causal = places.lessEqual(queries.unsqueeze(1)); // [seq, past + seq]
  const mask = causal.and(attended.greater(0).unsqueeze(1, 2)); // [batch, 1, seq, past + seq]
  return { positions: order.slice(1, dim(PAST)).sub(1).maximum(0), mask };
}
