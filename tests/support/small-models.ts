// Small models with fresh weights, an encoder and a decoder, for suites that run over every family.
import { initialModel } from '../../src/models/initial.js';
import type { Model } from '../../src/models/model.js';
import { createTokenizer } from '../../src/models/tokenizer.js';

/** One token a letter, 0 for anything else. */
const letters = createTokenizer({
  tokenizer: {
    version: '1.0',
    added_tokens: [],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Split', pattern: { Regex: '' }, behavior: 'Isolated', invert: false },
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [['?', 0], ...[...'abcdefghijklmnopqrstuvwxyz ,.'].map((c, i) => [c, -1 - i / 100])],
      byte_fallback: false,
    },
  },
  config: {},
});

export const smallEncoder = (seed = 1): Model =>
  initialModel(
    {
      name: 'small-encoder',
      tokenizer: letters,
      config: {
        model_type: 'use-lite',
        vocab_size: 32,
        embedding_size: 32,
        hidden_size: 64,
        layers: [
          { width: 64, num_attention_heads: 2, head_dim: 16, intermediate_size: 96 },
          { width: 64, num_attention_heads: 2, head_dim: 24, intermediate_size: 96 },
        ],
        max_position_embeddings: 64,
        layer_norm_eps: 1e-6,
      },
    },
    { seed },
  );

export const smallDecoder = (seed = 1, tied = true): Model =>
  initialModel(
    {
      name: 'small-decoder',
      tokenizer: letters,
      config: {
        model_type: 'llama',
        vocab_size: 32,
        hidden_size: 64,
        intermediate_size: 112,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        max_position_embeddings: 64,
        tie_word_embeddings: tied,
      },
    },
    { seed },
  );

export const smallSpeech = (seed = 1): Model =>
  initialModel(
    {
      name: 'small-speech',
      tokenizer: letters,
      config: {
        model_type: 'moonshine',
        vocab_size: 30,
        hidden_size: 32,
        intermediate_size: 48,
        encoder_num_hidden_layers: 1,
        decoder_num_hidden_layers: 1,
        encoder_num_attention_heads: 2,
        decoder_num_attention_heads: 2,
        partial_rotary_factor: 0.5,
        decoder_start_token_id: 1,
        eos_token_id: 2,
      },
    },
    { seed },
  );

export const sampleTexts = [
  'the whale swam under the boat.',
  'a letter came from the north, and nobody read it.',
  'rain.',
  'she counted the lamps along the harbour wall twice.',
  'we shall see what the morning brings, said the captain.',
  'no answer.',
  'seven men and a dog walked over the frozen river that night.',
  'bread, salt, and a little oil.',
];
