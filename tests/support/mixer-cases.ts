// The token mixers under test: settings of each, its definition in plain loops, its arithmetic
// counted by hand.
import type { AttentionOptions } from '../../src/mixers/attention.js';
import type { PoolingOptions } from '../../src/mixers/pooling.js';
import { type NDArray, toNumbers, uniformAt } from '../../src/tensor/index.js';

/** Whether query i of batch row b may see key j. */
export type Sees = (b: number, i: number, j: number) => boolean;

export type MixerInput = {
  /** [batch, seq, width] */
  x: NDArray;
  /** Position of each token, [batch][seq]. */
  positions: readonly (readonly number[])[];
  sees: Sees;
  /** Weights by name below the mixer's scope. */
  weights: ReadonlyMap<string, NDArray>;
};

export type MixerCase = {
  name: string;
  mixer: string;
  options: Readonly<Record<string, unknown>>;
  width: number;
  outWidth: number;
  /** [batch, seq, outWidth] by the definition, in float64. Rows that see nothing are left NaN. */
  define(input: MixerInput): Float64Array;
  /** Operations of one pass over [batch, seq]. */
  flops(batch: number, seq: number, masked: boolean): number;
  /** Rules of the suite that do not apply, each with the reason. */
  except?: { readonly leftPadding?: string };
};

type Vector = readonly number[];
const dot = (a: Vector, b: Vector): number => a.reduce((sum, v, i) => sum + v * b[i], 0);

/** W x + b of one token; W may lie transposed. */
function apply(
  weights: MixerInput['weights'],
  name: string,
  x: Vector,
  transposed = false,
): number[] {
  const weight = weights.get(`${name}.weight`);
  if (!weight) throw new RangeError(`no ${name}.weight`);
  const bias = weights.get(`${name}.bias`);
  const [first, second] = weight.shape;
  const values = toNumbers(weight);
  const at = (r: number, k: number) => (transposed ? k * second + r : r * second + k);
  return Array.from(
    { length: transposed ? second : first },
    (_, r) =>
      dot(
        x.map((_, k) => values[at(r, k)]),
        x,
      ) + (bias ? Number(bias.data[r]) : 0),
  );
}

/** x over the root of its mean square, times the gain. */
function rms(weights: MixerInput['weights'], name: string, x: Vector, eps: number): number[] {
  const gain = toNumbers(weights.get(`${name}.weight`) as NDArray);
  const size = Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((v, i) => (v / size) * gain[i]);
}

function turn(head: Vector, position: number, rotary: AttentionOptions['rotary']): number[] {
  const out = [...head];
  if (!rotary) return out;
  const { base, width, layout } = rotary;
  for (let i = 0; i < width / 2; i++) {
    const [a, b] = layout === 'halves' ? [i, i + width / 2] : [2 * i, 2 * i + 1];
    const angle = position / base ** ((2 * i) / width) / (rotary.scaling?.factor ?? 1);
    out[a] = head[a] * Math.cos(angle) - head[b] * Math.sin(angle);
    out[b] = head[a] * Math.sin(angle) + head[b] * Math.cos(angle);
  }
  return out;
}

/** One token at a time, one head at a time. */
const defineAttention =
  (o: AttentionOptions) =>
  ({ x, positions, sees, weights }: MixerInput): Float64Array => {
    const { heads, headDim: d, names, transposed, qkNorm } = o;
    const kvHeads = o.kvHeads ?? heads;
    const scale = o.scale ?? 1 / Math.sqrt(d);
    const [batch, seq, width] = x.shape;
    const values = toNumbers(x);
    const out = new Float64Array(batch * seq * o.outWidth).fill(Number.NaN);
    for (let b = 0; b < batch; b++) {
      const tokens = Array.from({ length: seq }, (_, i) => {
        const row = [...values.subarray((b * seq + i) * width, (b * seq + i + 1) * width)];
        const joined =
          'qkv' in names
            ? apply(weights, names.qkv, row, transposed)
            : [names.q, names.k, names.v].flatMap((name) => apply(weights, name, row, transposed));
        // Where the head stands in the joined rows: q, k, v of each head, or all q, all k, all v.
        const place = (at: number) =>
          o.fused === 'heads' ? (at % heads) * 3 + Math.floor(at / heads) : at;
        const head = (at: number) => joined.slice(place(at) * d, (place(at) + 1) * d);
        const turned = (at: number, norm?: string) => {
          const x = head(at);
          const normed = norm && qkNorm ? rms(weights, norm, x, qkNorm.eps) : x;
          return turn(normed, positions[b][i], o.rotary);
        };
        return {
          q: (h: number) => turned(h, qkNorm?.q),
          k: (h: number) => turned(heads + Math.floor((h * kvHeads) / heads), qkNorm?.k),
          v: (h: number) => head(heads + kvHeads + Math.floor((h * kvHeads) / heads)),
        };
      });
      for (let i = 0; i < seq; i++) {
        const seen = tokens.filter((_, j) => sees(b, i, j));
        if (seen.length === 0) continue;
        const mixed: number[] = [];
        for (let h = 0; h < heads; h++) {
          const scores = seen.map(({ k }) => dot(tokens[i].q(h), k(h)) * scale);
          const top = Math.max(...scores);
          const weightsOf = scores.map((score) => Math.exp(score - top));
          const sum = weightsOf.reduce((a, v) => a + v, 0);
          for (let c = 0; c < d; c++) {
            mixed.push(seen.reduce((a, { v }, j) => a + (weightsOf[j] / sum) * v(h)[c], 0));
          }
        }
        out.set(apply(weights, names.o, mixed, transposed), (b * seq + i) * o.outWidth);
      }
    }
    return out;
  };

function attentionCase(name: string, width: number, options: AttentionOptions): MixerCase {
  const { heads, headDim: d, outWidth, rotary, bias = false, outBias = bias } = options;
  const kvHeads = options.kvHeads ?? heads;
  return {
    name: `attention, ${name}`,
    mixer: 'attention',
    options,
    width,
    outWidth,
    define: defineAttention(options),
    flops: (batch, seq, masked) => {
      const tokens = batch * seq;
      const projected = (heads + 2 * kvHeads) * d;
      const pairs = batch * heads * seq * seq;
      // Angles, cosines and sines; then four products and two sums a pair of features.
      const turning = rotary ? tokens * rotary.width * (3 / 2 + 3 * (heads + kvHeads)) : 0;
      return (
        2 * tokens * width * projected +
        (bias ? tokens * projected : 0) +
        turning +
        (options.qkNorm ? 5 * tokens * (heads + kvHeads) * d : 0) +
        2 * pairs * d + // q k^T
        (masked ? pairs : 0) + // the mask, one addition a score
        5 * pairs + // softmax
        2 * pairs * d + // times v
        2 * tokens * heads * d * outWidth +
        (outBias ? tokens * outWidth : 0)
      );
    },
  };
}

/** Mean of the neighbours that stand and are seen, minus the token. */
function poolingCase(name: string, width: number, options: PoolingOptions): MixerCase {
  const { window = 3, columns } = options;
  const reach = (window - 1) / 2;
  return {
    name: `pooling, ${name}`,
    mixer: 'pooling',
    options: { ...options },
    width,
    outWidth: width,
    define: ({ x, sees }) => {
      const [batch, seq] = x.shape;
      const values = toNumbers(x);
      const rowOf = (i: number) => (columns === undefined ? 0 : Math.floor(i / columns));
      const columnOf = (i: number) => (columns === undefined ? i : i % columns);
      const out = new Float64Array(batch * seq * width);
      for (let b = 0; b < batch; b++) {
        for (let i = 0; i < seq; i++) {
          const near = Array.from({ length: seq }, (_, j) => j).filter(
            (j) =>
              Math.abs(rowOf(i) - rowOf(j)) <= reach &&
              Math.abs(columnOf(i) - columnOf(j)) <= reach &&
              sees(b, i, j),
          );
          for (let c = 0; c < width; c++) {
            const value = (j: number) => values[(b * seq + j) * width + c];
            const sum = near.reduce((total, j) => total + value(j), 0);
            out[(b * seq + i) * width + c] =
              near.length === 0 ? Number.NaN : sum / near.length - value(i);
          }
        }
      }
      return out;
    },
    flops: (batch, seq, masked) => {
      const tokens = batch * seq;
      const taps = columns === undefined ? window : window * window;
      if (!masked) return tokens * width * (taps + 1);
      // Masked: a place and a question for each tap, the sums, one division, one subtraction.
      const places = taps * seq + (columns === undefined ? 0 : taps * seq * 5);
      return (
        places +
        taps * tokens + // is it seen?
        (columns === undefined ? 0 : taps * tokens) + // and in the row
        (taps - 1) * tokens * (width + 1) + // sums and counts
        tokens * (width + 2) + // at least 1, any seen, division
        tokens * width
      );
    },
  };
}

const identityCase: MixerCase = {
  name: 'identity',
  mixer: 'identity',
  options: {},
  width: 5,
  outWidth: 5,
  define: ({ x }) => toNumbers(x),
  flops: () => 0,
};

const randomCase: MixerCase = {
  name: 'random',
  mixer: 'random',
  options: { length: 48, seed: 3 },
  width: 5,
  outWidth: 5,
  define: ({ x, sees }) => {
    const [batch, seq, width] = x.shape;
    const values = toNumbers(x);
    const out = new Float64Array(batch * seq * width).fill(Number.NaN);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < seq; i++) {
        const seen = Array.from({ length: seq }, (_, j) => j).filter((j) => sees(b, i, j));
        if (seen.length === 0) continue;
        const weights = seen.map((j) => Math.exp(uniformAt(3, i * 48 + j)));
        const total = weights.reduce((a, v) => a + v, 0);
        for (let c = 0; c < width; c++) {
          const sum = seen.reduce(
            (a, j, k) => a + weights[k] * values[(b * seq + j) * width + c],
            0,
          );
          out[(b * seq + i) * width + c] = sum / total;
        }
      }
    }
    return out;
  },
  // One softmax for all rows of a batch without a mask, one for each with it; then the product.
  flops: (batch, seq, masked) => 5 * (masked ? batch : 1) * seq * seq + 2 * batch * seq * seq * 5,
  except: {
    leftPadding: 'the matrix belongs to places in the row, which padding on the left moves',
  },
};

const separate = { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' };

/** Settings of each mixer of the registry. */
export const mixerCases: Readonly<Record<string, readonly MixerCase[]>> = {
  attention: [
    attentionCase('fused projections with biases', 10, {
      heads: 4,
      headDim: 3,
      outWidth: 10,
      bias: true,
      names: { qkv: 'c_attn', o: 'c_proj' },
    }),
    attentionCase('two query heads a key head, rotary halves', 8, {
      heads: 4,
      kvHeads: 2,
      headDim: 6,
      outWidth: 12,
      rotary: { base: 10000, width: 6, layout: 'halves' },
      names: separate,
    }),
    attentionCase('one key head, rotary pairs in part of the head, own scale', 9, {
      heads: 3,
      kvHeads: 1,
      headDim: 6,
      outWidth: 9,
      bias: true,
      outBias: false,
      scale: 0.3,
      rotary: { base: 50, width: 4, layout: 'pairs' },
      names: separate,
    }),
    attentionCase('fused projections with shared key heads', 6, {
      heads: 4,
      kvHeads: 2,
      headDim: 4,
      outWidth: 6,
      rotary: { base: 1000, width: 4, layout: 'pairs' },
      names: { qkv: 'qkv', o: 'out' },
    }),
    attentionCase('fused head by head, part of the head turns slowly', 6, {
      heads: 3,
      headDim: 6,
      outWidth: 6,
      bias: true,
      fused: 'heads',
      rotary: { base: 100, width: 4, layout: 'halves', scaling: { kind: 'linear', factor: 3 } },
      names: { qkv: 'query_key_value', o: 'dense' },
    }),
    attentionCase('normed queries and keys, matrices transposed', 7, {
      heads: 4,
      kvHeads: 2,
      headDim: 4,
      outWidth: 7,
      qkNorm: { q: 'q_norm', k: 'k_norm', eps: 1e-3 },
      transposed: true,
      rotary: { base: 100, width: 4, layout: 'halves' },
      names: separate,
    }),
  ],
  pooling: [
    poolingCase('three taps of a line', 4, {}),
    poolingCase('five taps of a line', 3, { window: 5 }),
  ],
  identity: [identityCase],
  random: [randomCase],
};
