// GPT-2 in GGUF. Its activation there is the tanh form of GELU, looked up in a table of float16: scores
// agree to about three digits.
import { AnyformerError } from '../../tensor/index.js';
import type { Gpt2Config } from '../families/gpt2.js';
import type { Model } from '../model.js';
import { f32, type GgufArchitecture, u32 } from './architecture.js';
import { type Source, sourcesOf } from './sources.js';

const ACTIVATIONS = ['gelu_new', 'gelu_fast', 'gelu_pytorch_tanh'];

export const gpt2: GgufArchitecture = {
  modelTypes: ['gpt2'],
  describe(model) {
    const c = model.config as Gpt2Config;
    checkSettings(model.name, c);
    return {
      architecture: 'gpt2',
      vocabulary: c.vocab_size,
      fields: {
        context_length: u32(c.n_positions),
        embedding_length: u32(c.n_embd),
        feed_forward_length: u32(c.n_inner ?? 4 * c.n_embd),
        block_count: u32(c.n_layer),
        'attention.head_count': u32(c.n_head),
        'attention.layer_norm_epsilon': f32(c.layer_norm_epsilon),
      },
      tensors: tensorsOf(model, c),
    };
  },
};

function tensorsOf(model: Model, c: Gpt2Config): Source[] {
  const { matrix, exact, has } = sourcesOf(model);
  const s = has('transformer.ln_f.weight') ? 'transformer.' : '';
  const pair = (name: string, at: string) => [
    exact(`${name}.weight`, `${at}.weight`),
    exact(`${name}.bias`, `${at}.bias`),
  ];
  const linear = (name: string, at: string) => [
    matrix(`${name}.weight`, at),
    exact(`${name}.bias`, `${at}.bias`),
  ];
  const tied = c.tie_word_embeddings;
  const tensors = [
    matrix('token_embd.weight', `${s}wte`, { role: tied ? 'scores' : 'matrix' }),
    exact('position_embd.weight', `${s}wpe.weight`),
    ...pair('output_norm', `${s}ln_f`),
  ];
  if (!tied) tensors.push(matrix('output.weight', 'lm_head', { role: 'scores' }));
  for (let i = 0; i < c.n_layer; i++) {
    const [to, from] = [`blk.${i}`, `${s}h.${i}`];
    tensors.push(
      ...pair(`${to}.attn_norm`, `${from}.ln_1`),
      ...linear(`${to}.attn_qkv`, `${from}.attn.c_attn`),
      ...linear(`${to}.attn_output`, `${from}.attn.c_proj`),
      ...pair(`${to}.ffn_norm`, `${from}.ln_2`),
      ...linear(`${to}.ffn_up`, `${from}.mlp.c_fc`),
      ...linear(`${to}.ffn_down`, `${from}.mlp.c_proj`),
    );
  }
  return tensors;
}

function checkSettings(name: string, c: Gpt2Config): void {
  const wrong = !ACTIVATIONS.includes(c.activation_function)
    ? `activation_function ${c.activation_function}`
    : !c.scale_attn_weights
      ? 'scale_attn_weights false'
      : c.scale_attn_by_inverse_layer_idx
        ? 'scale_attn_by_inverse_layer_idx true'
        : undefined;
  if (wrong === undefined) return;
  throw new AnyformerError('export/unsupported', {
    what: `'${name}' does what llama.cpp's gpt2 does not`,
    expected: `activation_function ${ACTIVATIONS.join(' or ')}, scores over the root of a head's width`,
    found: wrong,
    hint: 'export to ONNX instead: --to onnx',
  });
}
