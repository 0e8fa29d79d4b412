// GPT-2 (Radford et al. 2019) under Hugging Face's names: trained positions, pre-norm layers, matrices
// that lie transposed (`Conv1D`), one fused projection; the head shares the embedding's matrix unless
// told. The body's tensors are about with and without the prefix `transformer.`.
import { z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import type { AttentionOptions } from '../../mixers/attention.js';
import { embedding, layerNorm, learnedPositions, unembedding } from '../../nn/index.js';
import { decoderFamily } from '../family.js';
import { attentionStack, attentionStates } from './attention-stack.js';
import { derivedSize, tokenKeys } from './config-keys.js';

const config = z
  .looseObject({
    model_type: z.literal('gpt2'),
    vocab_size: z.int().positive(),
    n_positions: z.int().positive(),
    n_embd: z.int().positive(),
    n_layer: z.int().positive(),
    n_head: z.int().positive(),
    /** Width inside the perceptron; four times n_embd unless told. */
    n_inner: derivedSize,
    activation_function: z.string().default('gelu_new'),
    layer_norm_epsilon: z.number().positive().default(1e-5),
    /** Scores over the root of a head's width. */
    scale_attn_weights: z.boolean().default(true),
    /** And over the number of the layer, from 1. */
    scale_attn_by_inverse_layer_idx: z.boolean().default(false),
    add_cross_attention: z.literal(false).default(false),
    tie_word_embeddings: z.boolean().default(true),
    ...tokenKeys,
  })
  .refine((c) => c.n_embd % c.n_head === 0, {
    path: ['n_embd'],
    message: 'a multiple of n_head',
  });
export type Gpt2Config = z.output<typeof config>;

function attentionOptions(c: Gpt2Config, layer: number): AttentionOptions {
  const headDim = c.n_embd / c.n_head;
  const byWidth = c.scale_attn_weights ? 1 / Math.sqrt(headDim) : 1;
  const byLayer = c.scale_attn_by_inverse_layer_idx ? 1 / (layer + 1) : 1;
  return {
    heads: c.n_head,
    headDim,
    outWidth: c.n_embd,
    bias: true,
    scale: byWidth * byLayer,
    transposed: true,
    names: { qkv: 'c_attn', o: 'c_proj' },
  };
}

export const gpt2 = decoderFamily<Gpt2Config>({
  kind: 'decoder',
  modelTypes: ['gpt2'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.n_positions,
  logits: (root, c, { ids, keep, ...seen }) => {
    const { n_embd: width, n_positions: length } = c;
    const s = root.firstWith('ln_f.weight', ['transformer', '']);
    const norm = layerNorm({ eps: c.layer_norm_epsilon });
    const places = learnedPositions(s.at('wpe'), seen.positions, { length, width });
    const entering = embedding(s.at('wte'), ids, c.vocab_size, width).add(places);
    const x = attentionStack(s.at('h'), entering, seen, {
      layers: c.n_layer,
      norm,
      attention: (layer) => attentionOptions(c, layer),
      channel: mlp({
        hidden: c.n_inner ?? 4 * width,
        activation: c.activation_function,
        transposed: true,
        names: { up: 'c_fc', down: 'c_proj' },
      }),
      names: { mixerNorm: 'ln_1', mixer: 'attn', channelNorm: 'ln_2', channel: 'mlp' },
    });
    const last = norm(s.at('ln_f'), keep ? keep(x) : x);
    const head = c.tie_word_embeddings ? s.at('wte') : root.at('lm_head');
    return unembedding(head, last, c.vocab_size);
  },
  states: (c) => attentionStates(c.n_layer, (layer) => attentionOptions(c, layer)),
});
