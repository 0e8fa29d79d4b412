// T5 (Raffel et al. 2020) under Hugging Face's names, and what was trained further from it: Flan-T5,
// mT5. RMS norm before each part, no biases, scores without a scale; the only positions are distances,
// as a bias by buckets whose table stands in the first layer and serves all. Encoder and decoder share
// the embedding; where the head shares it too, what enters the head is scaled by d_model^-1/2.
import { z } from 'zod';
import { gatedMlp } from '../../channels/gated-mlp.js';
import { mlp } from '../../channels/mlp.js';
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import type { CrossAttentionOptions } from '../../mixers/cross-attention.js';
import { block, embedding, rmsNorm, type Scope, t5Bias, unembedding } from '../../nn/index.js';
import { iota, type Tensor } from '../../tensor/index.js';
import { type Memory, textToTextFamily } from '../family.js';
import { attentionStates } from './attention-stack.js';
import { derivedSize, tokenKeys } from './config-keys.js';
import { crossMemory, crossMemoryShapes, crossStack } from './cross-stack.js';

const config = z.looseObject({
  model_type: z.enum(['t5', 'mt5']),
  vocab_size: z.int().positive(),
  d_model: z.int().positive(),
  d_kv: z.int().positive(),
  d_ff: z.int().positive(),
  num_heads: z.int().positive(),
  num_layers: z.int().positive(),
  /** As many as the encoder's unless told. */
  num_decoder_layers: derivedSize,
  relative_attention_num_buckets: z.int().min(4).multipleOf(2).default(32),
  relative_attention_max_distance: z.int().min(2).default(128),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  /** An activation, `gated-` before it for a gated perceptron. */
  feed_forward_proj: z.string().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  /** Length of the training's texts; distances have no end, so sources may be longer. */
  n_positions: z.int().positive().default(512),
  decoder_start_token_id: z.int().nonnegative().default(0),
  ...tokenKeys,
});
export type T5Config = z.output<typeof config>;

/** The types differ in what their files leave out. */
const isTied = (c: T5Config): boolean => c.tie_word_embeddings ?? c.model_type === 't5';
const channelOf = (c: T5Config): string =>
  c.feed_forward_proj ?? (c.model_type === 't5' ? 'relu' : 'gated-gelu');
const decoderLayers = (c: T5Config): number => c.num_decoder_layers ?? c.num_layers;

const attentionOptions = (c: T5Config): AttentionOptions & CrossAttentionOptions => ({
  heads: c.num_heads,
  headDim: c.d_kv,
  outWidth: c.d_model,
  scale: 1,
  names: { q: 'q', k: 'k', v: 'v', o: 'o' },
});

function channel(c: T5Config): (s: Scope, x: Tensor) => Tensor {
  const kind = channelOf(c);
  const hidden = c.d_ff;
  if (!kind.startsWith('gated-')) {
    return mlp({ hidden, activation: kind, bias: false, names: { up: 'wi', down: 'wo' } });
  }
  // Their `gated-gelu` means GELU by tanh.
  const activation = kind === 'gated-gelu' ? 'gelu_new' : kind.slice('gated-'.length);
  return gatedMlp({ hidden, activation, names: { gate: 'wi_0', up: 'wi_1', down: 'wo' } });
}

const norm = (c: T5Config) => rmsNorm({ eps: c.layer_norm_epsilon });

/** The bias of scores by distance, from the table in the first layer of the stack at `s`. */
const distanceBias = (
  s: Scope,
  c: T5Config,
  queries: Tensor,
  keys: Tensor,
  bidirectional: boolean,
): Tensor =>
  t5Bias(s.at('block', 0, 'layer', 0, 'SelfAttention', 'relative_attention_bias'), queries, keys, {
    heads: c.num_heads,
    buckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    bidirectional,
  });

/** The table of both sides; files that hold it once may have it under any of these names. */
const shared = (root: Scope): Scope =>
  root.firstWith('weight', ['shared', 'encoder.embed_tokens', 'decoder.embed_tokens']);

const encoderNames = {
  mixerNorm: 'layer.0.layer_norm',
  mixer: 'layer.0.SelfAttention',
  channelNorm: 'layer.1.layer_norm',
  channel: 'layer.1.DenseReluDense',
};

function encode(
  root: Scope,
  c: T5Config,
  { ids, mask }: { ids: Tensor; mask: Tensor | undefined },
): Memory {
  const s = root.at('encoder');
  const places = iota(ids.size(1)).unsqueeze(0); // [1, seq]
  const bias = distanceBias(s, c, places, places, true);
  const options = attention.options.parse(attentionOptions(c));
  const keys = mask?.unsqueeze(1, 2); // [batch, 1, 1, seq]
  let x = embedding(shared(root), ids, c.vocab_size, c.d_model);
  for (let i = 0; i < c.num_layers; i++) {
    x = block(s.at('block', i), x, {
      norm: norm(c),
      mix: (scope, y) => attention.mix(scope, y, options, { mask: keys, bias }),
      channel: channel(c),
      names: encoderNames,
    });
  }
  return { hidden: norm(c)(s.at('final_layer_norm'), x), mask };
}

const decoderNames = {
  mixerNorm: 'layer.0.layer_norm',
  mixer: 'layer.0.SelfAttention',
  crossNorm: 'layer.1.layer_norm',
  cross: 'layer.1.EncDecAttention',
  channelNorm: 'layer.2.layer_norm',
  channel: 'layer.2.DenseReluDense',
};

export const t5 = textToTextFamily<T5Config>({
  kind: 'encoder-decoder',
  source: 'text',
  modelTypes: ['t5', 'mt5'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.n_positions,
  sourceContext: () => Number.POSITIVE_INFINITY,
  start: (c) => [c.decoder_start_token_id],
  memory: encode,
  crossStates: (root, c, hidden) =>
    crossMemory(root.at('decoder', 'block'), hidden, {
      layers: decoderLayers(c),
      cross: attentionOptions(c),
      names: decoderNames,
    }),
  crossShapes: (c) => crossMemoryShapes(decoderLayers(c), attentionOptions(c)),
  logits: (root, c, { ids, keep, keyPositions, ...seen }) => {
    const s = root.at('decoder');
    const entering = embedding(shared(root), ids, c.vocab_size, c.d_model);
    const x = crossStack(s.at('block'), entering, seen, {
      layers: decoderLayers(c),
      norm: norm(c),
      attention: attentionOptions(c),
      cross: attentionOptions(c),
      channel: channel(c),
      bias: distanceBias(s, c, seen.positions, keyPositions, false),
      names: decoderNames,
    });
    const last = norm(c)(s.at('final_layer_norm'), keep ? keep(x) : x);
    if (!isTied(c)) return unembedding(root.at('lm_head'), last, c.vocab_size);
    return unembedding(shared(root), last.mul(c.d_model ** -0.5), c.vocab_size);
  },
  states: (c) => attentionStates(decoderLayers(c), () => attentionOptions(c)),
});
