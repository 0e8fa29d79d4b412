// Llama written a second time, from the papers, in plain float64 loops over one text: an independent
// reference. Knows nothing of the library but arrays; reads Hugging Face's names and config keys.
import { fromNumbers, type NDArray, toNumbers } from '../../src/tensor/index.js';
import { numbers } from '../runtime/support.js';

export type LlamaSizes = {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim?: number;
  max_position_embeddings: number;
  rms_norm_eps: number;
  rope_theta: number;
  tie_word_embeddings: boolean;
  attention_bias?: boolean;
  mlp_bias?: boolean;
};

const headDimOf = (c: LlamaSizes) => c.head_dim ?? c.hidden_size / c.num_attention_heads;

/** Random weights: matrices scaled so that activations keep their size, gains around 1. */
export function randomWeights(c: LlamaSizes, seed: number): Map<string, NDArray> {
  const weights = new Map<string, NDArray>();
  let next = seed * 1000;
  const add = (name: string, shape: number[], middle: number, spread: number) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = numbers(count, next++, middle - spread, middle + spread);
    weights.set(name, fromNumbers('f32', shape, values));
  };
  const matrix = (name: string, out: number, into: number, bias = false) => {
    add(`${name}.weight`, [out, into], 0, Math.sqrt(3 / into));
    if (bias) add(`${name}.bias`, [out], 0, 0.2);
  };
  const { hidden_size: width, intermediate_size: inner } = c;
  const [q, kv] = [c.num_attention_heads, c.num_key_value_heads].map((n) => n * headDimOf(c));
  add('model.embed_tokens.weight', [c.vocab_size, width], 0, 1);
  for (let i = 0; i < c.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`;
    add(`${layer}.input_layernorm.weight`, [width], 1, 0.5);
    for (const [name, rows] of [['q', q] as const, ['k', kv] as const, ['v', kv] as const]) {
      matrix(`${layer}.self_attn.${name}_proj`, rows, width, c.attention_bias);
    }
    matrix(`${layer}.self_attn.o_proj`, width, q, c.attention_bias);
    add(`${layer}.post_attention_layernorm.weight`, [width], 1, 0.5);
    matrix(`${layer}.mlp.gate_proj`, inner, width, c.mlp_bias);
    matrix(`${layer}.mlp.up_proj`, inner, width, c.mlp_bias);
    matrix(`${layer}.mlp.down_proj`, width, inner, c.mlp_bias);
  }
  add('model.norm.weight', [width], 1, 0.5);
  if (!c.tie_word_embeddings) matrix('lm_head', c.vocab_size, width);
  return weights;
}

/** Scores after every token: [tokens][vocabulary]. */
export function naiveLlama(
  weights: ReadonlyMap<string, NDArray>,
  c: LlamaSizes,
  ids: readonly number[],
): number[][] {
  const cached = new Map<string, Float64Array>();
  const get = (name: string): Float64Array => {
    const known = cached.get(name);
    if (known) return known;
    const array = weights.get(name);
    if (!array) throw new Error(`no ${name}`);
    const values = toNumbers(array);
    cached.set(name, values);
    return values;
  };
  /** W x + b, W stored [out, in]. */
  const affine = (name: string, x: readonly number[], bias = false): number[] => {
    const w = get(`${name}.weight`);
    const b = bias ? get(`${name}.bias`) : undefined;
    const out: number[] = [];
    for (let row = 0; row < w.length / x.length; row++) {
      let sum = b ? b[row] : 0;
      for (let j = 0; j < x.length; j++) sum += w[row * x.length + j] * x[j];
      out.push(sum);
    }
    return out;
  };
  const rms = (name: string, x: readonly number[]): number[] => {
    const gain = get(`${name}.weight`);
    let squares = 0;
    for (const value of x) squares += value * value;
    const scale = 1 / Math.sqrt(squares / x.length + c.rms_norm_eps);
    return x.map((value, i) => value * scale * gain[i]);
  };
  const d = headDimOf(c);
  /** Rotates feature i and i + d/2 of every head by position / theta^(2i/d). */
  const rope = (x: readonly number[], position: number): number[] => {
    const out = [...x];
    for (let head = 0; head < x.length; head += d) {
      for (let i = 0; i < d / 2; i++) {
        const angle = position / c.rope_theta ** ((2 * i) / d);
        const [a, b] = [x[head + i], x[head + i + d / 2]];
        out[head + i] = a * Math.cos(angle) - b * Math.sin(angle);
        out[head + i + d / 2] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
    return out;
  };
  const plus = (x: readonly number[], y: readonly number[]) => x.map((value, i) => value + y[i]);

  const table = get('model.embed_tokens.weight');
  const { hidden_size: width, attention_bias: biased, mlp_bias: mlpBiased } = c;
  let stream = ids.map((id) => [...table.subarray(id * width, (id + 1) * width)]);
  for (let i = 0; i < c.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`;
    const normed = stream.map((x) => rms(`${layer}.input_layernorm`, x));
    const project = (name: string) =>
      normed.map((x) => affine(`${layer}.self_attn.${name}_proj`, x, biased));
    const queries = project('q').map(rope);
    const keys = project('k').map(rope);
    const values = project('v');
    stream = stream.map((x, t) => {
      const mixed: number[] = [];
      for (let head = 0; head < c.num_attention_heads; head++) {
        const shared = Math.floor((head * c.num_key_value_heads) / c.num_attention_heads) * d;
        const scores: number[] = [];
        for (let u = 0; u <= t; u++) {
          let dot = 0;
          for (let j = 0; j < d; j++) dot += queries[t][head * d + j] * keys[u][shared + j];
          scores.push(Math.exp(dot / Math.sqrt(d)));
        }
        const total = scores.reduce((a, b) => a + b, 0);
        for (let j = 0; j < d; j++) {
          let sum = 0;
          for (let u = 0; u <= t; u++) sum += (scores[u] / total) * values[u][shared + j];
          mixed.push(sum);
        }
      }
      return plus(x, affine(`${layer}.self_attn.o_proj`, mixed, biased));
    });
    stream = stream.map((x) => {
      const y = rms(`${layer}.post_attention_layernorm`, x);
      const gate = affine(`${layer}.mlp.gate_proj`, y, mlpBiased);
      const up = affine(`${layer}.mlp.up_proj`, y, mlpBiased);
      const inner = gate.map((value, j) => (value / (1 + Math.exp(-value))) * up[j]);
      return plus(x, affine(`${layer}.mlp.down_proj`, inner, mlpBiased));
    });
  }
  const head = c.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
  return stream.map((x) => affine(head, rms('model.norm', x)));
}
