// GPT-NeoX (Black et al. 2022) under Hugging Face's names, and Pythia (Biderman et al. 2023): rotary
// positions in a part of each head, one fused projection whose rows go head by head, and both branches
// of a layer side by side.
import { z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import type { AttentionOptions } from '../../mixers/attention.js';
import { embedding, layerNorm, unembedding } from '../../nn/index.js';
import { decoderFamily } from '../family.js';
import { attentionStack, attentionStates } from './attention-stack.js';
import { checkHeads, headWidth, tokenKeys } from './config-keys.js';
import { ropeKeys, ropeOf } from './rope-config.js';

const config = z
  .looseObject({
    model_type: z.literal('gpt_neox'),
    vocab_size: z.int().positive(),
    hidden_size: z.int().positive(),
    intermediate_size: z.int().positive(),
    num_hidden_layers: z.int().positive(),
    num_attention_heads: z.int().positive(),
    hidden_act: z.string().default('gelu'),
    max_position_embeddings: z.int().positive(),
    layer_norm_eps: z.number().positive().default(1e-5),
    /** Share of each head that turns, and the base of its frequencies. */
    rotary_pct: z.number().positive().max(1).default(0.25),
    rotary_emb_base: z.number().positive().default(10000),
    use_parallel_residual: z.boolean().default(true),
    attention_bias: z.boolean().default(true),
    tie_word_embeddings: z.boolean().default(false),
    ...ropeKeys,
    ...tokenKeys,
  })
  .superRefine(checkHeads)
  .refine((c) => rotaryOf(c).width >= 2 && rotaryOf(c).width % 2 === 0, {
    path: ['rotary_pct'],
    message: 'a share of the head that is an even number of features',
  });
export type GptNeoxConfig = z.output<typeof config>;

type RotaryConfig = Parameters<typeof ropeOf>[0] &
  Parameters<typeof headWidth>[0] & { rotary_pct: number; rotary_emb_base: number };

function rotaryOf(c: RotaryConfig) {
  const { base, share, scaling } = ropeOf(c, { theta: c.rotary_emb_base, share: c.rotary_pct });
  const width = Math.floor(share * headWidth(c));
  return { base, width, layout: 'halves', scaling } as const;
}

const attentionOptions = (c: GptNeoxConfig): AttentionOptions => ({
  heads: c.num_attention_heads,
  headDim: headWidth(c),
  outWidth: c.hidden_size,
  bias: c.attention_bias,
  rotary: rotaryOf(c),
  fused: 'heads',
  names: { qkv: 'query_key_value', o: 'dense' },
});

export const gptNeox = decoderFamily<GptNeoxConfig>({
  kind: 'decoder',
  modelTypes: ['gpt_neox'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  logits: (root, c, { ids, keep, ...seen }) => {
    const s = root.firstWith('final_layer_norm.weight', ['gpt_neox', '']);
    const norm = layerNorm({ eps: c.layer_norm_eps });
    const entering = embedding(s.at('embed_in'), ids, c.vocab_size, c.hidden_size);
    const x = attentionStack(s.at('layers'), entering, seen, {
      layers: c.num_hidden_layers,
      norm,
      attention: () => attentionOptions(c),
      channel: mlp({
        hidden: c.intermediate_size,
        activation: c.hidden_act,
        names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
      }),
      names: {
        mixerNorm: 'input_layernorm',
        mixer: 'attention',
        channelNorm: 'post_attention_layernorm',
        channel: 'mlp',
      },
      placement: c.use_parallel_residual ? 'parallel' : 'pre',
    });
    const last = norm(s.at('final_layer_norm'), keep ? keep(x) : x);
    const head = c.tie_word_embeddings ? s.at('embed_in') : root.at('embed_out');
    return unembedding(head, last, c.vocab_size);
  },
  states: (c) => attentionStates(c.num_hidden_layers, () => attentionOptions(c)),
});
