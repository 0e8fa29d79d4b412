// The model families under test: for each some fixtures of an independent reference, and configs that
// must be refused. A family joins the ladder of tests/families.test.ts with one entry.

export type FamilyCase = {
  /** Fixtures of tests/fixtures by name, the plainest first. */
  fixtures: readonly string[];
  /** Changes of the first config that are refused, each with what the message says. */
  refused: readonly (readonly [change: Record<string, unknown>, says: RegExp])[];
  /** Changes of the first config that mean the same. */
  same?: readonly Record<string, unknown>[];
};

const heads: FamilyCase['refused'] = [
  [{ hidden_size: -16 }, /hidden_size is not valid.*more than 0.*-16/s],
  [{ num_attention_heads: 0 }, /num_attention_heads/],
  [{ num_attention_heads: 3 }, /hidden_size.*a multiple of num_attention_heads/s],
];
const rope: FamilyCase['refused'] = [
  [
    { rope_scaling: { rope_type: 'longrope', factor: 2 } },
    /rope_scaling.rope_type.*one of .*linear.*llama3.*yarn.*longrope/s,
  ],
  [{ rope_scaling: { type: 'su', factor: 2 } }, /rope_scaling.type.*su/s],
  [{ rope_scaling: { type: 'linear' } }, /rope_scaling.factor.*'linear' needs it/s],
  [{ rope_scaling: { type: 'linear', factor: 0.5 } }, /rope_scaling.factor/],
  [{ rope_parameters: { rope_type: 'llama3', factor: 8 } }, /rope_parameters.low_freq_factor/],
  [
    { rope_parameters: { rope_type: 'yarn', factor: 8, mscale: 0.7 } },
    /rope_parameters.mscale.*attention_factor/s,
  ],
];
const llamaLike: FamilyCase['refused'] = [
  ...heads,
  ...rope,
  [{ num_key_value_heads: 3 }, /num_key_value_heads/],
  [{ head_dim: 5 }, /head_dim.*even/s],
  [{ vocab_size: '41' }, /vocab_size/],
  [{ rms_norm_eps: 0 }, /rms_norm_eps/],
];
const plainRope = [
  { rope_scaling: null, rope_parameters: null },
  { rope_scaling: { rope_type: 'default' } },
];

export const familyCases: Readonly<Record<string, FamilyCase>> = {
  gpt2: {
    fixtures: ['gpt2', 'gpt2-bare', 'gpt2-variants'],
    refused: [
      [{ n_embd: 18 }, /n_embd.*a multiple of n_head/s],
      [{ n_layer: 1.5 }, /n_layer/],
      [{ add_cross_attention: true }, /add_cross_attention/],
      [{ eos_token_id: 'end' }, /eos_token_id/],
    ],
    same: [{ n_inner: 64 }, { n_ctx: 48, resid_pdrop: 0.1 }],
  },
  opt: {
    fixtures: ['opt', 'opt-post-norm'],
    refused: [
      ...heads,
      [{ layer_norm_elementwise_affine: false }, /layer_norm_elementwise_affine/],
    ],
    same: [{ word_embed_proj_dim: null }, { dropout: 0.1, layerdrop: 0.5 }],
  },
  gpt_neox: {
    fixtures: ['gpt-neox', 'gpt-neox-sequential'],
    refused: [...heads, ...rope, [{ rotary_pct: 0.4 }, /rotary_pct.*even/s]],
    same: [
      { rope_parameters: { rope_type: 'default', rope_theta: 100, partial_rotary_factor: 0.5 } },
    ],
  },
  llama: {
    fixtures: ['llama', 'smollm', 'llama-linear', 'llama-dynamic', 'llama-3.1', 'llama-yarn'],
    refused: llamaLike,
    same: [...plainRope, { head_dim: 4 }, { pretraining_tp: 1, attention_dropout: 0 }],
  },
  mistral: {
    fixtures: ['mistral'],
    refused: [...llamaLike, [{ sliding_window: 0 }, /sliding_window/]],
    same: [...plainRope, { head_dim: null }],
  },
  qwen2: {
    fixtures: ['qwen2', 'qwen2-window'],
    refused: [
      ...llamaLike,
      [{ layer_types: ['full_attention'] }, /layer_types.*num_hidden_layers/s],
    ],
    same: [...plainRope, { sliding_window: null }],
  },
  qwen3: {
    fixtures: ['qwen3'],
    refused: [
      ...llamaLike.filter(([change]) => change.num_attention_heads !== 3),
      [{ layer_types: ['full_attention', 'linear_attention'] }, /layer_types\[1\]/],
    ],
    same: plainRope,
  },
};
