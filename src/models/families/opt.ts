// OPT (Zhang et al. 2022) under Hugging Face's names: trained positions that begin at row 2, ReLU, and
// in the 350M model norms after each branch and embeddings narrower than the layers. The perceptron's
// tensors stand directly in the layer.
import { z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import type { AttentionOptions } from '../../mixers/attention.js';
import { embedding, layerNorm, learnedPositions, linear, unembedding } from '../../nn/index.js';
import { decoderFamily } from '../family.js';
import { attentionStack, attentionStates } from './attention-stack.js';
import { checkHeads, derivedSize, headWidth, tokenKeys } from './config-keys.js';

/** The first rows of the table stand for padding. */
const FIRST_POSITION = 2;

const config = z
  .looseObject({
    model_type: z.literal('opt'),
    vocab_size: z.int().positive(),
    hidden_size: z.int().positive(),
    ffn_dim: z.int().positive(),
    num_hidden_layers: z.int().positive(),
    num_attention_heads: z.int().positive(),
    max_position_embeddings: z.int().positive(),
    /** Norms before each branch and at the end; false: after each branch, and none at the end. */
    do_layer_norm_before: z.boolean().default(true),
    _remove_final_layer_norm: z.boolean().default(false),
    /** Width of the embeddings; hidden_size unless told. */
    word_embed_proj_dim: derivedSize,
    activation_function: z.string().default('relu'),
    enable_bias: z.boolean().default(true),
    layer_norm_elementwise_affine: z.literal(true).default(true),
    tie_word_embeddings: z.boolean().default(true),
    ...tokenKeys,
  })
  .superRefine(checkHeads);
export type OptConfig = z.output<typeof config>;

const attentionOptions = (c: OptConfig): AttentionOptions => ({
  heads: c.num_attention_heads,
  headDim: headWidth(c),
  outWidth: c.hidden_size,
  bias: c.enable_bias,
  names: { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'out_proj' },
});

export const opt = decoderFamily<OptConfig>({
  kind: 'decoder',
  modelTypes: ['opt'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  logits: (root, c, { ids, keep, ...seen }) => {
    const width = c.hidden_size;
    const narrow = c.word_embed_proj_dim ?? width;
    const s = root.firstWith('layers.0.final_layer_norm.weight', ['model.decoder', 'decoder', '']);
    const norm = layerNorm();
    const words = embedding(s.at('embed_tokens'), ids, c.vocab_size, narrow);
    const places = learnedPositions(s.at('embed_positions'), seen.positions.add(FIRST_POSITION), {
      length: c.max_position_embeddings + FIRST_POSITION,
      width,
    });
    const entering = narrow === width ? words : linear(s.at('project_in'), words, width);
    const x = attentionStack(s.at('layers'), entering.add(places), seen, {
      layers: c.num_hidden_layers,
      norm,
      attention: () => attentionOptions(c),
      channel: mlp({
        hidden: c.ffn_dim,
        activation: c.activation_function,
        bias: c.enable_bias,
        names: { up: 'fc1', down: 'fc2' },
      }),
      names: {
        mixerNorm: 'self_attn_layer_norm',
        mixer: 'self_attn',
        channelNorm: 'final_layer_norm',
        channel: '',
      },
      placement: c.do_layer_norm_before ? 'pre' : 'post',
    });
    const kept = keep ? keep(x) : x;
    const ends = c.do_layer_norm_before && !c._remove_final_layer_norm;
    const last = ends ? norm(s.at('final_layer_norm'), kept) : kept;
    const leaving = narrow === width ? last : linear(s.at('project_out'), last, narrow);
    const head = c.tie_word_embeddings ? s.at('embed_tokens') : root.at('lm_head');
    return unembedding(head, leaving, c.vocab_size);
  },
  states: (c) => attentionStates(c.num_hidden_layers, () => attentionOptions(c)),
});
