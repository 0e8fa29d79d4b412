// The decoder that Llama set (Touvron et al. 2023) and many follow, under Hugging Face's names: RMS
// norm, rotary positions, grouped-query attention, a gated perceptron; the head may share the
// embedding's matrix. Families say what they do otherwise.
import { type ZodType, z } from 'zod';
import { gatedMlp } from '../../channels/gated-mlp.js';
import type { AttentionOptions } from '../../mixers/attention.js';
import { embedding, rmsNorm, unembedding } from '../../nn/index.js';
import { type DecoderFamily, decoderFamily } from '../family.js';
import { attentionStack, attentionStates } from './attention-stack.js';
import { checkHeads, derivedSize, headWidth, keyHeads, tokenKeys } from './config-keys.js';
import { ropeKeys, ropeOf } from './rope-config.js';

/** The keys of config.json that all of them have. */
export const llamaKeys = {
  vocab_size: z.int().positive(),
  hidden_size: z.int().positive(),
  intermediate_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  num_key_value_heads: derivedSize,
  head_dim: derivedSize,
  hidden_act: z.string().default('silu'),
  max_position_embeddings: z.int().positive(),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().default(10000),
  tie_word_embeddings: z.boolean().default(false),
  ...ropeKeys,
  ...tokenKeys,
};
const keys = z.looseObject(llamaKeys);
export type LlamaKeys = z.output<typeof keys>;

/** Refuses heads that do not fit together or cannot rotate. */
export function checkLlama(c: LlamaKeys, context: z.RefinementCtx): void {
  checkHeads(c, context);
  if (headWidth(c) % 2 === 0) return;
  const message = 'an even width of heads, whose features rotate in pairs';
  context.addIssue({ code: 'custom', path: ['head_dim'], message, input: c });
}

/** What a family does otherwise. */
export type LlamaTraits = {
  /** Biases of the projections to queries, keys and values, and of the one from heads. */
  qkvBias?: boolean;
  outBias?: boolean;
  mlpBias?: boolean;
  /** RMS norm of each query and key. */
  qkNorm?: boolean;
  /** How many keys a query of the layer sees, its own included; undefined where it sees all. */
  window?: ((layer: number) => number | undefined) | undefined;
};

const names = {
  mixerNorm: 'input_layernorm',
  mixer: 'self_attn',
  channelNorm: 'post_attention_layernorm',
  channel: 'mlp',
};

export const llamaLike = <C extends LlamaKeys>(
  modelType: string,
  config: ZodType<C>,
  traitsOf: (c: C) => LlamaTraits,
): DecoderFamily<C> =>
  decoderFamily<C>({
    kind: 'decoder',
    modelTypes: [modelType],
    config,
    vocabulary: (c) => c.vocab_size,
    context: (c) => c.max_position_embeddings,
    logits: (root, c, { ids, keep, ...seen }) => {
      const traits = traitsOf(c);
      const { mlpBias = false } = traits;
      const s = root.firstWith('norm.weight', ['model', '']);
      const norm = rmsNorm({ eps: c.rms_norm_eps });
      const entering = embedding(s.at('embed_tokens'), ids, c.vocab_size, c.hidden_size);
      const x = attentionStack(s.at('layers'), entering, seen, {
        layers: c.num_hidden_layers,
        norm,
        attention: () => attentionOptions(c, traits),
        window: (layer) => {
          const window = traits.window?.(layer) ?? c.max_position_embeddings;
          return window < c.max_position_embeddings ? window : undefined;
        },
        channel: gatedMlp({
          hidden: c.intermediate_size,
          activation: c.hidden_act,
          bias: mlpBias,
          names: { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
        }),
        names,
      });
      const last = norm(s.at('norm'), keep ? keep(x) : x);
      const head = c.tie_word_embeddings ? s.at('embed_tokens') : root.at('lm_head');
      return unembedding(head, last, c.vocab_size);
    },
    states: (c) => attentionStates(c.num_hidden_layers, () => attentionOptions(c, traitsOf(c))),
  });

function attentionOptions(c: LlamaKeys, traits: LlamaTraits): AttentionOptions {
  const { base, scaling } = ropeOf(c, { theta: c.rope_theta });
  const headDim = headWidth(c);
  return {
    heads: c.num_attention_heads,
    kvHeads: keyHeads(c),
    headDim,
    outWidth: c.hidden_size,
    bias: traits.qkvBias ?? false,
    outBias: traits.outBias ?? false,
    rotary: { base, width: headDim, layout: 'halves', scaling },
    ...(traits.qkNorm ? { qkNorm: { q: 'q_norm', k: 'k_norm', eps: c.rms_norm_eps } } : {}),
    names: { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' },
  };
}
