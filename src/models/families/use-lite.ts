// Universal Sentence Encoder lite (Cer et al. 2018): two pre-norm transformer blocks over unigram
// pieces, mean pooling, one tanh layer, unit length. The first block widens the stream, so its
// residual path is a dense layer. Embeddings enter twice: 2 E[id] + sinusoid, as its graph has it.
import { z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import { type AttentionOptions, attention } from '../../mixers/attention.js';
import { block, embedding, layerNorm, linear, type Scope } from '../../nn/index.js';
import { concat, iota, type Tensor } from '../../tensor/index.js';
import { encoderFamily } from '../family.js';

const layer = z.object({
  width: z.int().positive(),
  num_attention_heads: z.int().positive(),
  head_dim: z.int().positive(),
  intermediate_size: z.int().positive(),
});

const config = z.object({
  model_type: z.literal('use-lite'),
  vocab_size: z.int().positive(),
  embedding_size: z.int().positive().multipleOf(2),
  hidden_size: z.int().positive(),
  layers: z.array(layer).min(1),
  max_position_embeddings: z.int().positive(),
  layer_norm_eps: z.number().positive(),
});
export type UseLiteConfig = z.output<typeof config>;

const names = { mixerNorm: 'attn_norm', mixer: 'attn', channelNorm: 'mlp_norm', channel: 'mlp' };

export const useLite = encoderFamily<UseLiteConfig>({
  kind: 'encoder',
  modelTypes: ['use-lite'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: (c) => c.max_position_embeddings,
  width: (c) => c.hidden_size,
  encode: (s, c, { ids, mask }) => {
    const pieces = embedding(s.at('embeddings'), ids, c.vocab_size, c.embedding_size).mul(2);
    let x = pieces.add(timing(s.at('timing'), ids, c.embedding_size)); // [batch, seq, embedding]
    const keys = mask?.unsqueeze(1, 2); // [batch, 1, 1, seq]
    c.layers.forEach((l, i) => {
      const width = x.size(-1);
      x = block(s.at('layers', i), x, {
        norm: layerNorm({ eps: c.layer_norm_eps }),
        mix: (scope, y) => {
          const o: AttentionOptions = {
            heads: l.num_attention_heads,
            headDim: l.head_dim,
            outWidth: l.width,
            bias: true,
            names: { qkv: 'qkv', o: 'out' },
          };
          return attention.mix(scope, y, attention.options.parse(o), { mask: keys });
        },
        channel: mlp({
          hidden: l.intermediate_size,
          activation: 'relu',
          names: { up: 'up', down: 'down' },
        }),
        names,
        ...(width === l.width
          ? {}
          : { shortcut: (scope, y) => linear(scope.at('shortcut'), y, l.width, { bias: true }) }),
      });
    });
    const pooled = s.at('pooling').module('mean', () => meanOver(x, mask)); // [batch, width]
    const sentence = linear(s.at('head'), pooled, c.hidden_size, { bias: true }).tanh();
    const square = sentence.mul(sentence).sum(-1, true);
    return { sentence: sentence.div(square.maximum(1e-12).sqrt()), tokens: x };
  },
});

/** [sin(p f), cos(p f)] with the checkpoint's own frequencies f: [seq, width]. */
function timing(s: Scope, ids: Tensor, width: number): Tensor {
  return s.module('timing', () => {
    const frequencies = s.parameter('frequencies', [width / 2]);
    const angles = iota(ids.size(1)).cast('f32').unsqueeze(-1).mul(frequencies);
    return concat([angles.sin(), angles.cos()], -1);
  });
}

/** Mean over the tokens that stand: [batch, seq, width] -> [batch, width]. */
function meanOver(x: Tensor, mask: Tensor | undefined): Tensor {
  if (!mask) return x.mean(1);
  const weights = mask.cast('f32');
  const count = weights.sum(1, true).maximum(1);
  return x.mul(weights.unsqueeze(-1)).sum(1).div(count);
}
