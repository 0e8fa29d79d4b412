// Llama and its kin in GGUF. Under the name `llama` neighbours rotate (2i with 2i + 1), so rows of
// queries and keys are put in that order, head by head; under `qwen2` and `qwen3` halves do, as here.
// A sliding window is not known there: the context is cut to it, up to which it changes nothing.
import { rotaryFrequencies } from '../../nn/index.js';
import { AnyformerError, fromNumbers } from '../../tensor/index.js';
import { headWidth, keyHeads } from '../families/config-keys.js';
import type { LlamaKeys } from '../families/llama-like.js';
import { ropeOf } from '../families/rope-config.js';
import type { Model } from '../model.js';
import { f32, type GgufArchitecture, type GgufDescription, text, u32 } from './architecture.js';
import { halvesToPairs, type Source, sourcesOf } from './sources.js';

type Config = LlamaKeys & { sliding_window?: number | null; use_sliding_window?: boolean };

const architecture = (name: string, modelTypes: readonly string[]): GgufArchitecture => ({
  modelTypes,
  describe: (model) => describe(model, name),
});

export const llama = architecture('llama', ['llama', 'mistral']);
export const qwen2 = architecture('qwen2', ['qwen2']);
export const qwen3 = architecture('qwen3', ['qwen3']);

function describe(model: Model, name: string): GgufDescription {
  const c = model.config as Config;
  if (c.hidden_act !== 'silu') {
    throw unsupported(model, `the activation silu`, `hidden_act ${c.hidden_act}`);
  }
  const headDim = headWidth(c);
  const rope = ropeFields(model, c, name);
  const window = c.use_sliding_window === false ? undefined : c.sliding_window;
  return {
    architecture: name,
    vocabulary: c.vocab_size,
    fields: {
      context_length: u32(Math.min(c.max_position_embeddings, window ?? Infinity)),
      embedding_length: u32(c.hidden_size),
      block_count: u32(c.num_hidden_layers),
      feed_forward_length: u32(c.intermediate_size),
      vocab_size: u32(c.vocab_size),
      'attention.head_count': u32(c.num_attention_heads),
      'attention.head_count_kv': u32(keyHeads(c)),
      'attention.key_length': u32(headDim),
      'attention.value_length': u32(headDim),
      'attention.layer_norm_rms_epsilon': f32(c.rms_norm_eps),
      ...rope.fields,
    },
    tensors: [...tensorsOf(model, c, name), ...rope.tensors],
  };
}

function tensorsOf(model: Model, c: Config, name: string): Source[] {
  const { matrix, exact, has } = sourcesOf(model);
  const s = has('model.norm.weight') ? 'model.' : '';
  const order = name === 'llama' ? halvesToPairs(headWidth(c)) : undefined;
  const linear = (to: string, at: string, options: { order?: typeof order } = {}) => [
    matrix(`${to}.weight`, at, options),
    ...(has(`${at}.bias`) ? [exact(`${to}.bias`, `${at}.bias`, options)] : []),
  ];
  const norm = (to: string, at: string) =>
    has(`${at}.weight`) ? [exact(`${to}.weight`, `${at}.weight`)] : [];
  const tied = c.tie_word_embeddings;
  const tensors = [
    matrix('token_embd.weight', `${s}embed_tokens`, { role: tied ? 'scores' : 'matrix' }),
    ...norm('output_norm', `${s}norm`),
  ];
  if (!tied) tensors.push(matrix('output.weight', 'lm_head', { role: 'scores' }));
  for (let i = 0; i < c.num_hidden_layers; i++) {
    const [to, from] = [`blk.${i}`, `${s}layers.${i}`];
    tensors.push(
      ...norm(`${to}.attn_norm`, `${from}.input_layernorm`),
      ...linear(`${to}.attn_q`, `${from}.self_attn.q_proj`, { order }),
      ...linear(`${to}.attn_k`, `${from}.self_attn.k_proj`, { order }),
      ...linear(`${to}.attn_v`, `${from}.self_attn.v_proj`),
      ...linear(`${to}.attn_output`, `${from}.self_attn.o_proj`),
      ...norm(`${to}.attn_q_norm`, `${from}.self_attn.q_norm`),
      ...norm(`${to}.attn_k_norm`, `${from}.self_attn.k_norm`),
      ...norm(`${to}.ffn_norm`, `${from}.post_attention_layernorm`),
      ...linear(`${to}.ffn_gate`, `${from}.mlp.gate_proj`),
      ...linear(`${to}.ffn_up`, `${from}.mlp.up_proj`),
      ...linear(`${to}.ffn_down`, `${from}.mlp.down_proj`),
    );
  }
  return tensors;
}

/**
 * Rotary positions: the base, and where frequencies are changed either fields (`linear`, `yarn`) or,
 * for Llama 3.1's bands, a tensor of divisors, one for each pair.
 */
function ropeFields(
  model: Model,
  c: Config,
  name: string,
): { fields: GgufDescription['fields']; tensors: Source[] } {
  const width = headWidth(c);
  const { base, scaling } = ropeOf(c, { theta: c.rope_theta });
  const fields = { 'rope.dimension_count': u32(width), 'rope.freq_base': f32(base) };
  switch (scaling?.kind) {
    case undefined:
      return { fields, tensors: [] };
    case 'linear': {
      const more = {
        'rope.scaling.type': text('linear'),
        'rope.scaling.factor': f32(scaling.factor),
      };
      return { fields: { ...fields, ...more }, tensors: [] };
    }
    case 'yarn': {
      if (scaling.amplitude !== undefined || !scaling.truncate) {
        throw unsupported(
          model,
          "yarn with the paper's amplitude and a ramp of whole features",
          'another',
        );
      }
      const more = {
        'rope.scaling.type': text('yarn'),
        'rope.scaling.factor': f32(scaling.factor),
        'rope.scaling.original_context_length': u32(scaling.originalLength),
        'rope.scaling.yarn_beta_fast': f32(scaling.betaFast),
        'rope.scaling.yarn_beta_slow': f32(scaling.betaSlow),
      };
      return { fields: { ...fields, ...more }, tensors: [] };
    }
    default: {
      if (name !== 'llama') throw unsupported(model, 'rope_type default, linear or yarn', 'llama3');
      const plain = rotaryFrequencies({ base, width }).frequencies;
      const { frequencies } = rotaryFrequencies({ base, width, scaling });
      const divisors = plain.map((f, i) => f / frequencies[i]);
      const array = fromNumbers('f32', [width / 2], divisors);
      const tensor: Source = {
        name: 'rope_freqs.weight',
        shape: array.shape,
        role: 'exact',
        read: async () => array,
      };
      return { fields, tensors: [tensor] };
    }
  }
}

const unsupported = ({ name, config }: Model, expected: string, found: string): AnyformerError =>
  new AnyformerError('export/unsupported', {
    what: `'${name}' does what llama.cpp's ${String(config.model_type)} does not`,
    expected,
    found,
    hint: 'export to ONNX instead: --to onnx',
  });
