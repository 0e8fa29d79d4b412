// DistilBERT (Sanh et al. 2019) under Hugging Face's names: BERT's layers, half as many, without token
// types and without a pooler. Files have their table of places also where it is one of sinusoids. The
// body's tensors are about with and without the prefix `distilbert.`.
import { z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import { embedding, layerNorm, learnedPositions, linear, type Scope } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';
import { type EncoderInputs, encoderFamily } from '../family.js';
import { sentenceEncoder } from '../pooling-config.js';
import { checkLabels, labelKeys, labelsOf, textLabels } from './class-labels.js';
import { encoderStack } from './encoder-stack.js';
import { textPlaces } from './sentence-vector.js';
import { textOutputs } from './text-outputs.js';

const config = z
  .looseObject({
    model_type: z.literal('distilbert'),
    vocab_size: z.int().positive(),
    dim: z.int().positive(),
    n_layers: z.int().positive(),
    n_heads: z.int().positive(),
    hidden_dim: z.int().positive(),
    activation: z.string().default('gelu'),
    max_position_embeddings: z.int().positive(),
    sentence_encoder: sentenceEncoder.nullish(),
    ...labelKeys,
  })
  .refine((c) => c.dim % c.n_heads === 0, { path: ['dim'], message: 'a multiple of n_heads' })
  .superRefine(checkLabels);
export type DistilbertConfig = z.output<typeof config>;

const names = {
  mixer: 'attention',
  mixerNorm: 'sa_layer_norm',
  channel: 'ffn',
  channelNorm: 'output_layer_norm',
};
const norm = layerNorm({ eps: 1e-12 });

/** Words + places, normed: [batch, seq, width]. */
function entering(s: Scope, c: DistilbertConfig, { ids, mask }: EncoderInputs): Tensor {
  const size = { length: c.max_position_embeddings, width: c.dim };
  const words = embedding(s.at('word_embeddings'), ids, c.vocab_size, c.dim);
  const places = learnedPositions(s.at('position_embeddings'), textPlaces(ids, mask), size);
  return norm(s.at('LayerNorm'), words.add(places));
}

export const distilbert = encoderFamily<DistilbertConfig>({
  kind: 'encoder',
  modelTypes: ['distilbert'],
  config,
  vocabulary: (c) => c.vocab_size,
  context: ({ max_position_embeddings: places, sentence_encoder: told }) =>
    Math.min(places, told?.max_seq_length ?? places),
  width: (c) => c.dim * (c.sentence_encoder?.pooling.length ?? 1),
  classes: textLabels,
  encode: (root, c, inputs) =>
    textOutputs(root, c, inputs.mask, {
      prefix: 'distilbert',
      body: (s) =>
        encoderStack(
          s.at('transformer', 'layer'),
          entering(s.at('embeddings'), c, inputs),
          inputs.mask,
          {
            layers: c.n_layers,
            norm,
            placement: 'post',
            attention: {
              heads: c.n_heads,
              headDim: c.dim / c.n_heads,
              outWidth: c.dim,
              bias: true,
              names: { q: 'q_lin', k: 'k_lin', v: 'v_lin', o: 'out_lin' },
            },
            channel: mlp({
              hidden: c.hidden_dim,
              activation: c.activation,
              names: { up: 'lin1', down: 'lin2' },
            }),
            names,
          },
        ),
      head: (first) => {
        const inner = linear(root.at('pre_classifier'), first, c.dim, { bias: true }).relu();
        return linear(root.at('classifier'), inner, labelsOf(c).length, { bias: true });
      },
    }),
});
