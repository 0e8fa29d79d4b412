// Cross-attention (Vaswani et al. 2017): the queries are of the text that is being written, keys and
// values of what an encoder made of the source. These do not change while the text grows, so they are
// computed once a source, and held as self-attention holds its past: keys transposed, so that their
// product with a query reads memory in order.
//
// Positions play no part; a mask hides the places of the memory that are padding.
import { z } from 'zod';
import { linear, type Scope } from '../nn/index.js';
import { rearrange, type Tensor } from '../tensor/index.js';
import { biasScores } from './mask.js';

const options = z.strictObject({
  heads: z.int().positive(),
  headDim: z.int().positive(),
  outWidth: z.int().positive(),
  bias: z.boolean().default(false),
  outBias: z.boolean().optional(),
  /** Factor of the scores; 1 / sqrt(headDim) unless told. */
  scale: z.number().positive().optional(),
  names: z.strictObject({ q: z.string(), k: z.string(), v: z.string(), o: z.string() }),
});
export type CrossAttentionOptions = z.input<typeof options>;
type Options = z.output<typeof options>;

/** key: f32[batch, heads, headDim, places]; value: f32[batch, heads, places, headDim]. */
export type CrossState = { readonly key: Tensor; readonly value: Tensor };

type Sizes = readonly (number | string)[];
export type CrossShapes = Readonly<Record<keyof CrossState, Sizes>>;

export type CrossContext = {
  state: CrossState;
  /** bool, broadcasts to [batch, heads, queries, places]. */
  mask?: Tensor | undefined;
};

export const crossAttention = {
  options,

  /** How a layer's state is held; `batch` and `places` are named sizes. */
  shapes: ({ heads, headDim }: Pick<Options, 'heads' | 'headDim'>): CrossShapes => ({
    key: ['batch', heads, headDim, 'places'],
    value: ['batch', heads, 'places', headDim],
  }),

  /** Keys and values of a memory [batch, places, width]. */
  remember: (s: Scope, hidden: Tensor, o: Options): CrossState => {
    const project = (name: string) =>
      linear(s.at(name), hidden, o.heads * o.headDim, { bias: o.bias });
    const [k, v] = [project(o.names.k), project(o.names.v)];
    return {
      key: rearrange(k, 'b n (h d) -> b h d n', { h: o.heads }),
      value: rearrange(v, 'b n (h d) -> b h n d', { h: o.heads }),
    };
  },

  /** x[batch, seq, width] -> [batch, seq, outWidth]. */
  mix: (s: Scope, x: Tensor, o: Options, { state: { key, value }, mask }: CrossContext): Tensor =>
    s.module('crossAttention', () => {
      const { heads, headDim, bias, outBias = bias, scale = 1 / Math.sqrt(headDim) } = o;
      const q = linear(s.at(o.names.q), x, heads * headDim, { bias });
      const queries = rearrange(q, 'b n (h d) -> b h n d', { h: heads });
      const scores = s.tag('scores', biasScores(queries.matmul(key).mul(scale), mask));
      const mixed = s.tag('pattern', scores.softmax()).matmul(value);
      const joined = rearrange(mixed, 'b h n d -> b n (h d)');
      return linear(s.at(o.names.o), joined, o.outWidth, { bias: outBias });
    }),
};
