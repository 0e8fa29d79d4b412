// Our own decoder: a stack of MetaFormer blocks (Yu et al. 2022) in which the config chooses, layer by
// layer, the token mixer, the channel mixer, its activation and the norm, and for the model how a token
// knows its place.
import { z } from 'zod';
import { embedding, unembedding } from '../../nn/index.js';
import { AnyformerError } from '../../tensor/index.js';
import { decoderFamily } from '../family.js';
import { layerMixer, layerSpec, metaformerLayer, normKind, normOf } from './metaformer-layer.js';
import {
  isBias,
  keyPositions,
  POSITION_STATE,
  positioned,
  positionSpec,
  positionState,
  rotaryOptions,
  scoreBias,
} from './metaformer-position.js';

const config = z
  .object({
    model_type: z.literal('metaformer'),
    vocab_size: z.int().positive(),
    hidden_size: z.int().positive(),
    /** Heads of every attention layer that has no number of its own. */
    num_attention_heads: z.int().positive(),
    head_dim: z.int().positive().optional(),
    layers: z.array(layerSpec).min(1),
    position: positionSpec.default({ type: 'none' }),
    norm: normKind.default('rms'),
    norm_eps: z.number().positive().default(1e-6),
    max_position_embeddings: z.int().positive(),
    tie_word_embeddings: z.boolean().default(true),
    /**
     * Factor of the embeddings where they enter: added positions of size 1 drown those of a tied table
     * that is small for the head's sake.
     */
    embedding_scale: z.number().positive().default(1),
    bos_token_id: z.int().nonnegative().nullish(),
    eos_token_id: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish(),
  })
  .refine((c) => c.head_dim !== undefined || c.hidden_size % c.num_attention_heads === 0, {
    path: ['hidden_size'],
    message: 'a multiple of num_attention_heads, or a head_dim beside it',
  })
  .refine((c) => c.position.type !== 'sinusoid' || c.hidden_size % 2 === 0, {
    path: ['hidden_size'],
    message: 'an even width, half for sines and half for cosines',
  })
  .refine((c) => c.position.type !== 'rotary' || (c.position.fraction * headWidth(c)) % 2 === 0, {
    path: ['position', 'fraction'],
    message: 'a share of the head that is an even number of features',
  });
export type MetaformerConfig = z.output<typeof config>;

function headWidth(c: {
  head_dim?: number | undefined;
  hidden_size: number;
  num_attention_heads: number;
}): number {
  return c.head_dim ?? c.hidden_size / c.num_attention_heads;
}

/** What mixers take from the model where the layer does not say it. */
function mixerDefaults(c: MetaformerConfig) {
  const headDim = headWidth(c);
  return {
    attention: {
      heads: c.num_attention_heads,
      headDim,
      outWidth: c.hidden_size,
      names: { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' },
      ...rotaryOptions(c.position, headDim),
    },
    random: { length: c.max_position_embeddings },
  };
}

export const metaformer = decoderFamily<MetaformerConfig>({
  kind: 'decoder',
  modelTypes: ['metaformer'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  logits: (s, c, { ids, positions, mask, states, keep }) => {
    const defaults = mixerDefaults(c);
    const { hidden_size: width, max_position_embeddings: length } = c;
    const found = embedding(s.at('embed_tokens'), ids, c.vocab_size, width);
    const entering = c.embedding_scale === 1 ? found : found.mul(c.embedding_scale);
    let x = positioned(s.at('positions'), entering, positions, c.position, { width, length });
    checkBias(c);
    const bias = isBias(c.position)
      ? scoreBias(
          s.at('relative_bias'),
          positions,
          keyPositions(positions, states?.[0]),
          c.position,
          c.num_attention_heads,
        )
      : undefined;
    c.layers.forEach((spec, i) => {
      const context = { mask, positions, state: states?.[i], bias };
      x = metaformerLayer(s.at('layers', i), x, {
        spec,
        norm: c.norm,
        eps: c.norm_eps,
        context,
        defaults,
      });
    });
    const last = normOf(c.norm, c.norm_eps)(s.at('norm'), keep ? keep(x) : x);
    const at = c.tie_word_embeddings ? s.at('embed_tokens') : s.at('lm_head');
    return unembedding(at, last, c.vocab_size);
  },
  states: (c) => {
    const defaults = mixerDefaults(c);
    return c.layers.map((spec, i) => {
      const { mixer, options } = layerMixer(spec, defaults);
      const own = mixer.state?.(options);
      if (!own) throw noState(i, mixer.name);
      return i === 0 && isBias(c.position) ? { ...own, [POSITION_STATE]: positionState } : own;
    });
  },
});

function checkBias(c: MetaformerConfig): void {
  if (!isBias(c.position)) return;
  const defaults = mixerDefaults(c);
  if (c.layers.some((spec) => layerMixer(spec, defaults).mixer.biased)) return;
  throw new AnyformerError('models/position', {
    what: `positions of type '${c.position.type}' are added to scores, and no mixer has any`,
    expected: 'a layer of attention, or another position: none, learned, sinusoid',
    found: [...new Set(c.layers.map(({ mixer }) => mixer.type))].join(', '),
  });
}

const noState = (layer: number, name: string) =>
  new AnyformerError('models/state', {
    what: `layer ${layer}: the mixer '${name}' keeps no state to decode with`,
    expected: 'mixers that decode token by token, such as attention',
    found: name,
  });
