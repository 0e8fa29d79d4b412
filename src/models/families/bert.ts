// BERT (Devlin et al. 2019) under Hugging Face's names: words, places and token types added and
// normed, then layers whose norms stand behind the sums. Sentence encoders of this kind (MiniLM, BGE,
// E5, GTE) differ only in how their tokens become a vector. The body's tensors are about with and
// without the prefix `bert.`; norms of old files whose parts are called gamma and beta are renamed
// where the folder is loaded.
//
// Not here: relative positions, decoders, heads for masked words, single tokens or spans.
import { type ZodType, z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import { embedding, layerNorm, learnedPositions, linear, type Scope } from '../../nn/index.js';
import { constant, fromNumbers, type Tensor } from '../../tensor/index.js';
import { type EncoderFamily, type EncoderInputs, encoderFamily } from '../family.js';
import { sentenceEncoder } from '../pooling-config.js';
import { checkLabels, labelKeys, labelsOf, textLabels } from './class-labels.js';
import { checkHeads } from './config-keys.js';
import { encoderStack } from './encoder-stack.js';
import { textPlaces } from './sentence-vector.js';
import { textOutputs } from './text-outputs.js';

/** The keys of config.json that all of them have. */
export const bertKeys = {
  vocab_size: z.int().positive(),
  hidden_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  intermediate_size: z.int().positive(),
  hidden_act: z.string().default('gelu'),
  max_position_embeddings: z.int().positive(),
  type_vocab_size: z.int().positive().default(2),
  layer_norm_eps: z.number().positive().default(1e-12),
  position_embedding_type: z.literal('absolute').nullish(),
  is_decoder: z.literal(false).nullish(),
  add_cross_attention: z.literal(false).nullish(),
  sentence_encoder: sentenceEncoder.nullish(),
  ...labelKeys,
};
const keys = z.looseObject(bertKeys);
export type BertKeys = z.output<typeof keys>;

/** Refuses heads that do not fit together and labels that do not count from 0. */
export function checkBert(c: BertKeys, context: z.RefinementCtx): void {
  checkHeads({ hidden_size: c.hidden_size, num_attention_heads: c.num_attention_heads }, context);
  checkLabels(c, context);
}

/** What a family does otherwise. */
export type BertTraits<C> = {
  /** The prefix of the body's tensors, where there is one. */
  prefix: string;
  /** Rows of the table of places that stand before the first. */
  skipped(c: C): number;
  /** The places i64[batch, seq] of tokens in the table. */
  places(c: C, inputs: EncoderInputs): Tensor;
  /** Scores of classes from the first token [batch, width]. */
  head(root: Scope, body: Scope, first: Tensor, c: C, classes: number): Tensor;
};

const names = {
  mixer: 'attention',
  mixerNorm: 'attention.output.LayerNorm',
  channel: '',
  channelNorm: 'output.LayerNorm',
};

export const bertLike = <C extends BertKeys>(
  modelTypes: readonly string[],
  config: ZodType<C>,
  traits: BertTraits<C>,
): EncoderFamily<C> =>
  encoderFamily<C>({
    kind: 'encoder',
    modelTypes,
    config,
    vocabulary: (c) => c.vocab_size,
    context: (c) => {
      const places = c.max_position_embeddings - traits.skipped(c);
      return Math.min(places, c.sentence_encoder?.max_seq_length ?? places);
    },
    width: (c) => c.hidden_size * (c.sentence_encoder?.pooling.length ?? 1),
    tokenTypes: (c) => c.type_vocab_size,
    classes: textLabels,
    encode: (root, c, inputs) =>
      textOutputs(root, c, inputs.mask, {
        prefix: traits.prefix,
        body: (s) =>
          encoderStack(s.at('encoder', 'layer'), entering(s, c, inputs, traits), inputs.mask, {
            layers: c.num_hidden_layers,
            norm: layerNorm({ eps: c.layer_norm_eps }),
            placement: 'post',
            attention: {
              heads: c.num_attention_heads,
              headDim: c.hidden_size / c.num_attention_heads,
              outWidth: c.hidden_size,
              bias: true,
              names: { q: 'self.query', k: 'self.key', v: 'self.value', o: 'output.dense' },
            },
            channel: mlp({
              hidden: c.intermediate_size,
              activation: c.hidden_act,
              names: { up: 'intermediate.dense', down: 'output.dense' },
            }),
            names,
          }),
        head: (first, s) => traits.head(root, s, first, c, labelsOf(c).length),
      }),
  });

/** Words + places + token types, normed: [batch, seq, width]. */
function entering<C extends BertKeys>(
  body: Scope,
  c: C,
  inputs: EncoderInputs,
  traits: BertTraits<C>,
): Tensor {
  const s = body.at('embeddings');
  const { hidden_size: width, max_position_embeddings: length } = c;
  const { ids, types = constant(fromNumbers('i64', [1, 1], [0])) } = inputs;
  const words = embedding(s.at('word_embeddings'), ids, c.vocab_size, width);
  const kinds = embedding(s.at('token_type_embeddings'), types, c.type_vocab_size, width);
  const places = learnedPositions(s.at('position_embeddings'), traits.places(c, inputs), {
    length,
    width,
  });
  return layerNorm({ eps: c.layer_norm_eps })(s.at('LayerNorm'), words.add(kinds).add(places));
}

const config = z.looseObject({ model_type: z.literal('bert'), ...bertKeys }).superRefine(checkBert);
export type BertConfig = z.output<typeof config>;

export const bert = bertLike<BertConfig>(['bert'], config, {
  prefix: 'bert',
  skipped: () => 0,
  places: (_, { ids, mask }) => textPlaces(ids, mask),
  head: (root, body, first, c, classes) => {
    const pooled = linear(body.at('pooler', 'dense'), first, c.hidden_size, { bias: true }).tanh();
    return linear(root.at('classifier'), pooled, classes, { bias: true });
  },
});
