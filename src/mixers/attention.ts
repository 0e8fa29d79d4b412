// Softmax attention with heads (Vaswani et al. 2017) and shared key-value heads (GQA, Ainslie et al.
// 2023). Mask, positions and past come from outside. Queries and keys may be normed, head by head, and
// turned by their positions.
//
// Decoding: past keys [batch, kvHeads, headDim, capacity] (transposed: their product with a query
// reads memory in order) and values [batch, kvHeads, capacity, headDim] are plain inputs. The scores
// of past and new keys are joined before the softmax, and only the new rows come back: the cache is
// never copied. The mask covers capacity + new keys; what it hides has weight 0, and must be finite
// all the same, since 0 x infinity is NaN.
import { z } from 'zod';
import {
  linear,
  type Rotary,
  rmsNorm,
  ropeScaling,
  rotaryTables,
  rotate,
  type Scope,
} from '../nn/index.js';
import { AnyformerError, concat, currentPath, rearrange, type Tensor } from '../tensor/index.js';
import { biasScores, maskScores } from './mask.js';
import { type MixContext, tokenMixer } from './mixer.js';

const kvHeadsOf = (o: { heads: number; kvHeads?: number | undefined }): number =>
  o.kvHeads ?? o.heads;

const options = z
  .strictObject({
    heads: z.int().positive(),
    kvHeads: z.int().positive().optional(),
    headDim: z.int().positive(),
    outWidth: z.int().positive(),
    bias: z.boolean().default(false),
    outBias: z.boolean().optional(),
    /** Factor of the scores; 1 / sqrt(headDim) unless told. */
    scale: z.number().positive().optional(),
    rotary: z
      .strictObject({
        base: z.number().positive(),
        width: z.int().positive(),
        layout: z.enum(['halves', 'pairs']),
        scaling: ropeScaling.optional(),
      })
      .optional(),
    /** RMS norm of every query and key over its headDim features (Henry et al. 2020), by name. */
    qkNorm: z.strictObject({ q: z.string(), k: z.string(), eps: z.number().positive() }).optional(),
    /** The rows of a fused `qkv`: all queries, keys, values, or head by head a query, key and value. */
    fused: z.enum(['parts', 'heads']).default('parts'),
    /** Matrices lie [in, out] in the checkpoint. */
    transposed: z.boolean().default(false),
    /** Tensor names: separate projections, or one fused `qkv`. */
    names: z.union([
      z.strictObject({ q: z.string(), k: z.string(), v: z.string(), o: z.string() }),
      z.strictObject({ qkv: z.string(), o: z.string() }),
    ]),
  })
  .refine((o) => o.heads % kvHeadsOf(o) === 0, {
    path: ['kvHeads'],
    message: 'heads must be a multiple of kvHeads',
  })
  .refine((o) => o.fused === 'parts' || o.heads === kvHeadsOf(o), {
    path: ['fused'],
    message: "as many kvHeads as heads, or 'parts'",
  })
  .refine((o) => !o.rotary || (o.rotary.width % 2 === 0 && o.rotary.width <= o.headDim), {
    path: ['rotary', 'width'],
    message: 'an even number up to headDim',
  });
export type AttentionOptions = z.input<typeof options>;
type Options = z.output<typeof options>;

/** Projections of x[batch, seq, width]: q [batch, heads, seq, headDim], k and v with kvHeads. */
function project(s: Scope, x: Tensor, o: Options): [q: Tensor, k: Tensor, v: Tensor] {
  const { names, bias, transposed, headDim } = o;
  const sizes = [o.heads, kvHeadsOf(o), kvHeadsOf(o)];
  const split = (y: Tensor, h: number) => rearrange(y, 'b n (h d) -> b h n d', { h });
  const to = (name: string, heads: number) =>
    linear(s.at(name), x, heads * headDim, { bias, transposed });
  if (!('qkv' in names)) {
    const [q, k, v] = [names.q, names.k, names.v].map((name, i) =>
      split(to(name, sizes[i]), sizes[i]),
    );
    return [q, k, v];
  }
  const all = to(names.qkv, sizes[0] + sizes[1] + sizes[2]);
  if (o.fused === 'heads') {
    const joined = rearrange(all, 'b n (h e) -> b h n e', { h: o.heads }); // e: q, k, v of a head
    const [q, k, v] = joined.split(-1, [headDim, headDim, headDim]);
    return [q, k, v];
  }
  const parts = all.split(
    -1,
    sizes.map((heads) => heads * headDim),
  );
  const [q, k, v] = parts.map((part, i) => split(part, sizes[i]));
  return [q, k, v];
}

/** Queries and keys as they meet: normed, then turned, where the options say so. */
function prepared(s: Scope, q: Tensor, k: Tensor, o: Options, context: MixContext) {
  const { qkNorm } = o;
  const norm = qkNorm && rmsNorm({ eps: qkNorm.eps });
  const [query, key] = norm ? [norm(s.at(qkNorm.q), q), norm(s.at(qkNorm.k), k)] : [q, k];
  return o.rotary ? turned(query, key, o.rotary, context) : [query, key];
}

export const attention = tokenMixer<Options>({
  name: 'attention',
  options,
  causal: 'both',
  biased: true,
  mix: (s, x, o, context) =>
    s.module('attention', () => {
      const [q, k, v] = project(s, x, o);
      const [query, key] = prepared(s, q, k, o, context);
      const mixed = attend(s, query, key, v, o, context);
      const joined = rearrange(mixed, 'b h n d -> b n (h d)');
      const { transposed, bias, outBias = bias } = o;
      return linear(s.at(o.names.o), joined, o.outWidth, { bias: outBias, transposed });
    }),
  state: (o) => ({
    key: { shape: ['batch', kvHeadsOf(o), o.headDim, 'capacity'], axis: 3 },
    value: { shape: ['batch', kvHeadsOf(o), 'capacity', o.headDim], axis: 2 },
  }),
});

function turned(q: Tensor, k: Tensor, rotary: Rotary, { positions }: MixContext): [Tensor, Tensor] {
  if (!positions) {
    throw new AnyformerError('mixer/positions', {
      what: `${currentPath() || 'attention'}: rotary attention needs positions`,
      expected: 'positions i64[batch, seq] in the context',
      found: 'none',
    });
  }
  const tables = rotaryTables(positions, rotary);
  return [rotate(q, tables, rotary), rotate(k, tables, rotary)];
}

/** softmax(q k^T scale + bias + mask) v, over past and new keys: [batch, heads, queries, headDim]. */
function attend(
  s: Scope,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  o: Options,
  context: MixContext,
): Tensor {
  const scale = o.scale ?? 1 / Math.sqrt(o.headDim);
  const groups = o.heads / kvHeadsOf(o);
  // Queries that share a key head become rows of one product: [batch, kvHeads, groups * queries, d].
  const grouped = groups === 1 ? q : rearrange(q, 'b (k g) n d -> b k (g n) d', { g: groups });
  const ungroup = (y: Tensor) =>
    groups === 1 ? y : rearrange(y, 'b k (g n) d -> b (k g) n d', { g: groups, n: q.size(2) });
  const { mask, state } = context;
  const biased = (scores: Tensor) => (context.bias ? scores.add(context.bias) : scores);
  const after = (past: Tensor | undefined, rows: Tensor) =>
    state?.joined && past ? concat([past, rows], 2) : rows;
  const keys = after(state?.past?.key, k);
  const values = after(state?.past?.value, v);
  if (state) {
    state.present.key = state.joined ? keys : k.swap(-1, -2);
    state.present.value = values;
  }
  if (!state?.past || state.joined) {
    const scores = s.tag(
      'scores',
      biasScores(biased(ungroup(grouped.matmul(keys.swap(-1, -2)).mul(scale))), mask),
    );
    return weighted(s, scores, [values], groups);
  }
  const { key, value } = state.past;
  const past = grouped.matmul(key).mul(scale);
  const now = grouped.matmul(k.swap(-1, -2)).mul(scale);
  const scores = s.tag(
    'scores',
    maskScores(biased(concat([ungroup(past), ungroup(now)], -1)), mask),
  );
  return weighted(s, scores, [value, v], groups);
}

/** Softmax of scores[batch, heads, queries, keys] times values, which may lie in several parts. */
function weighted(s: Scope, scores: Tensor, values: readonly Tensor[], groups: number): Tensor {
  const pattern = s.tag('pattern', scores.softmax());
  let start: Tensor['shape'][number] = 0;
  const parts = values.map((v) => {
    const keys = v.size(2);
    const part = values.length === 1 ? pattern : sliceKeys(pattern, start, keys);
    start = keys;
    if (groups === 1) return part.matmul(v);
    const rows = rearrange(part, 'b (k g) n m -> b k (g n) m', { g: groups });
    return rearrange(rows.matmul(v), 'b k (g n) d -> b (k g) n d', { g: groups, n: part.size(2) });
  });
  return parts.reduce((a, b) => a.add(b));
}

const sliceKeys = (
  x: Tensor,
  start: Tensor['shape'][number],
  size: Tensor['shape'][number],
): Tensor => (start === 0 ? x.slice(3, 0, size) : x.slice(3, start));
