// Llama (Touvron et al. 2023) under Hugging Face's names: RMS norm, rotary positions, grouped-query
// attention, SwiGLU; the head may share the embedding's matrix.
import { z } from 'zod';
import { gatedMlp } from '../../channels/gated-mlp.js';
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import { block, embedding, rmsNorm, unembedding } from '../../nn/index.js';
import { AnyformerError } from '../../tensor/index.js';
import { decoderFamily } from '../family.js';

const config = z
  .object({
    model_type: z.literal('llama'),
    vocab_size: z.int().positive(),
    hidden_size: z.int().positive(),
    intermediate_size: z.int().positive(),
    num_hidden_layers: z.int().positive(),
    num_attention_heads: z.int().positive(),
    num_key_value_heads: z.int().positive().optional(),
    head_dim: z.int().positive().optional(),
    hidden_act: z.string().default('silu'),
    max_position_embeddings: z.int().positive(),
    rms_norm_eps: z.number().positive().default(1e-6),
    rope_theta: z.number().positive().default(10000),
    rope_scaling: z.null().optional(),
    /** Where newer files keep the base; scaled positions are refused, not ignored. */
    rope_parameters: z
      .object({ rope_type: z.literal('default').optional(), rope_theta: z.number().positive() })
      .nullish(),
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    tie_word_embeddings: z.boolean().default(false),
    bos_token_id: z.int().nonnegative().nullish(),
    eos_token_id: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish(),
  })
  .refine((c) => c.num_attention_heads % (c.num_key_value_heads ?? c.num_attention_heads) === 0, {
    path: ['num_key_value_heads'],
    message: 'num_attention_heads must be a multiple of num_key_value_heads',
  })
  .refine((c) => c.head_dim !== undefined || c.hidden_size % c.num_attention_heads === 0, {
    path: ['hidden_size'],
    message: 'a multiple of num_attention_heads, or a head_dim beside it',
  })
  .refine((c) => headWidth(c) % 2 === 0, {
    path: ['head_dim'],
    message: 'an even width of heads, whose features rotate in pairs',
  });
export type LlamaConfig = z.output<typeof config>;

function headWidth(c: {
  head_dim?: number | undefined;
  hidden_size: number;
  num_attention_heads: number;
}): number {
  return c.head_dim ?? c.hidden_size / c.num_attention_heads;
}

const names = {
  mixerNorm: 'input_layernorm',
  mixer: 'self_attn',
  channelNorm: 'post_attention_layernorm',
  channel: 'mlp',
};

function attentionOptions(c: LlamaConfig) {
  const headDim = headWidth(c);
  const o: AttentionOptions = {
    heads: c.num_attention_heads,
    kvHeads: c.num_key_value_heads ?? c.num_attention_heads,
    headDim,
    outWidth: c.hidden_size,
    bias: c.attention_bias,
    rotary: {
      base: c.rope_parameters?.rope_theta ?? c.rope_theta,
      width: headDim,
      layout: 'halves',
    },
    names: { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' },
  };
  return attention.options.parse(o);
}

export const llama = decoderFamily<LlamaConfig>({
  kind: 'decoder',
  modelTypes: ['llama'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  logits: (root, c, { ids, positions, mask, states, keep }) => {
    const s = root.at('model');
    const options = attentionOptions(c);
    let x = embedding(s.at('embed_tokens'), ids, c.vocab_size, c.hidden_size);
    for (let i = 0; i < c.num_hidden_layers; i++) {
      const state = states?.[i];
      x = block(s.at('layers', i), x, {
        norm: rmsNorm({ eps: c.rms_norm_eps }),
        mix: (scope, y) => attention.mix(scope, y, options, { mask, positions, state }),
        channel: gatedMlp({
          hidden: c.intermediate_size,
          activation: c.hidden_act,
          bias: c.mlp_bias,
          names: { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
        }),
        names,
      });
    }
    const last = rmsNorm({ eps: c.rms_norm_eps })(s.at('norm'), keep ? keep(x) : x);
    const head = c.tie_word_embeddings ? s.at('embed_tokens') : root.at('lm_head');
    return unembedding(head, last, c.vocab_size);
  },
  states: (c) => {
    const { state } = attention;
    if (!state) throw new AnyformerError('models/state', { what: 'attention keeps no state' });
    return Array.from({ length: c.num_hidden_layers }, () => state(attentionOptions(c)));
  },
});
