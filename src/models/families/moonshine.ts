// Moonshine (Jeffries et al. 2024), speech to text, under Hugging Face's names: a stem of convolutions,
// layer norms without bias, rotary positions on a part of each head, a plain perceptron in the encoder
// and a gated one in the decoder, whose head shares the embedding's matrix.
import { z } from 'zod';
import { fusedGatedMlp } from '../../channels/fused-gated-mlp.js';
import { mlp } from '../../channels/mlp.js';
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import type { CrossAttentionOptions } from '../../mixers/cross-attention.js';
import { block, embedding, layerNorm, type Scope, unembedding } from '../../nn/index.js';
import { iota, type Tensor } from '../../tensor/index.js';
import { type Memory, speechToTextFamily } from '../family.js';
import { attentionStates } from './attention-stack.js';
import { derivedSize, tokenKeys } from './config-keys.js';
import { crossMemory, crossMemoryShapes, crossStack } from './cross-stack.js';
import { LEAST_SAMPLES, moonshineStem } from './moonshine-stem.js';
import { ropeKeys, ropeOf } from './rope-config.js';

const config = z
  .looseObject({
    model_type: z.literal('moonshine'),
    vocab_size: z.int().positive(),
    hidden_size: z.int().positive(),
    intermediate_size: z.int().positive(),
    encoder_num_hidden_layers: z.int().positive(),
    decoder_num_hidden_layers: z.int().positive(),
    encoder_num_attention_heads: z.int().positive(),
    decoder_num_attention_heads: z.int().positive(),
    encoder_num_key_value_heads: derivedSize,
    decoder_num_key_value_heads: derivedSize,
    encoder_hidden_act: z.string().default('gelu'),
    decoder_hidden_act: z.string().default('silu'),
    /** Longest text in tokens. */
    max_position_embeddings: z.int().positive().default(512),
    rope_theta: z.number().positive().default(10000),
    partial_rotary_factor: z.number().positive().max(1).default(0.9),
    attention_bias: z.boolean().default(false),
    tie_word_embeddings: z.boolean().default(true),
    decoder_start_token_id: z.int().nonnegative().default(1),
    ...ropeKeys,
    ...tokenKeys,
  })
  .superRefine((c, context) => {
    const wrong = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message, input: c });
    for (const side of ['encoder', 'decoder'] as const) {
      const heads = c[`${side}_num_attention_heads`];
      if (c.hidden_size % heads !== 0) {
        wrong('hidden_size', `a multiple of ${side}_num_attention_heads`);
      }
      const { width } = rotaryOf(c, heads);
      if (width < 2 || width % 2 !== 0) {
        wrong('partial_rotary_factor', 'a share of the head that is an even number of features');
      }
    }
    const { decoder_num_attention_heads: heads, decoder_num_key_value_heads: keyHeads } = c;
    if ((keyHeads ?? heads) !== heads) {
      wrong('decoder_num_key_value_heads', 'as many as decoder_num_attention_heads');
    }
  });
export type MoonshineConfig = z.output<typeof config>;

type RotaryConfig = Parameters<typeof ropeOf>[0] &
  Pick<MoonshineConfig, 'hidden_size' | 'rope_theta' | 'partial_rotary_factor'>;

function rotaryOf(c: RotaryConfig, heads: number) {
  const { base, share, scaling } = ropeOf(c, {
    theta: c.rope_theta,
    share: c.partial_rotary_factor,
  });
  const width = Math.floor((share * c.hidden_size) / heads);
  return { base, width, layout: 'pairs', scaling } as const;
}

const projections = { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' };

function selfAttention(c: MoonshineConfig, side: 'encoder' | 'decoder'): AttentionOptions {
  const heads = c[`${side}_num_attention_heads`];
  return {
    heads,
    kvHeads: c[`${side}_num_key_value_heads`] ?? heads,
    headDim: c.hidden_size / heads,
    outWidth: c.hidden_size,
    bias: c.attention_bias,
    outBias: false,
    rotary: rotaryOf(c, heads),
    names: projections,
  };
}

const crossOptions = (c: MoonshineConfig): CrossAttentionOptions => ({
  heads: c.decoder_num_attention_heads,
  headDim: c.hidden_size / c.decoder_num_attention_heads,
  outWidth: c.hidden_size,
  bias: c.attention_bias,
  outBias: false,
  names: projections,
});

const norm = layerNorm({ bias: false });

function encode(
  root: Scope,
  c: MoonshineConfig,
  { samples, lengths }: { samples: Tensor; lengths: Tensor | undefined },
): Memory {
  const s = root.at('model', 'encoder');
  const { frames, mask } = moonshineStem(s, samples, lengths, c.hidden_size);
  const options = attention.options.parse(selfAttention(c, 'encoder'));
  const positions = iota(frames.size(1)).unsqueeze(0); // [1, places]
  const keys = mask?.unsqueeze(1, 2); // [batch, 1, 1, places]
  let x = frames;
  for (let i = 0; i < c.encoder_num_hidden_layers; i++) {
    x = block(s.at('layers', i), x, {
      norm,
      mix: (scope, y) => attention.mix(scope, y, options, { mask: keys, positions }),
      channel: mlp({
        hidden: c.intermediate_size,
        activation: c.encoder_hidden_act,
        names: { up: 'fc1', down: 'fc2' },
      }),
      names: {
        mixerNorm: 'input_layernorm',
        mixer: 'self_attn',
        channelNorm: 'post_attention_layernorm',
        channel: 'mlp',
      },
    });
  }
  return { hidden: norm(s.at('layer_norm'), x), mask };
}

const decoderNames = {
  mixerNorm: 'input_layernorm',
  mixer: 'self_attn',
  crossNorm: 'post_attention_layernorm',
  cross: 'encoder_attn',
  channelNorm: 'final_layernorm',
  channel: 'mlp',
};

/** Samples a second. */
const RATE = 16000;

export const moonshine = speechToTextFamily<MoonshineConfig>({
  kind: 'encoder-decoder',
  source: 'audio',
  modelTypes: ['moonshine'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  audio: () => ({ rate: RATE, least: LEAST_SAMPLES }),
  start: (c) => [c.decoder_start_token_id],
  memory: encode,
  crossStates: (root, c, hidden) =>
    crossMemory(root.at('model', 'decoder', 'layers'), hidden, {
      layers: c.decoder_num_hidden_layers,
      cross: crossOptions(c),
      names: decoderNames,
    }),
  crossShapes: (c) => crossMemoryShapes(c.decoder_num_hidden_layers, crossOptions(c)),
  logits: (root, c, { ids, keep, ...seen }) => {
    const s = root.at('model', 'decoder');
    const entering = embedding(s.at('embed_tokens'), ids, c.vocab_size, c.hidden_size);
    const x = crossStack(s.at('layers'), entering, seen, {
      layers: c.decoder_num_hidden_layers,
      norm,
      attention: selfAttention(c, 'decoder'),
      cross: crossOptions(c),
      channel: fusedGatedMlp({
        hidden: c.intermediate_size,
        activation: c.decoder_hidden_act,
        bias: true,
        names: { up: 'fc1', down: 'fc2' },
      }),
      names: decoderNames,
    });
    const last = norm(s.at('norm'), keep ? keep(x) : x);
    const head = c.tie_word_embeddings ? s.at('embed_tokens') : root.at('proj_out');
    return unembedding(head, last, c.vocab_size);
  },
  states: (c) => attentionStates(c.decoder_num_hidden_layers, () => selfAttention(c, 'decoder')),
});
