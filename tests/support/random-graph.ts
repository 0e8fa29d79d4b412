// Random graphs: what every rewrite and every device must leave the value of. A graph grows from two
// inputs and a few parameters by random steps; results stay within a few units, so that float32
// runs of it can be compared. Indices that depend on values (argMax, topK positions) are left out: a
// rounding may flip them.
import fc from 'fast-check';
import {
  type Bindings,
  concat,
  type DType,
  einsum,
  type Graph,
  graph,
  input,
  iota,
  type NDArray,
  parameter,
  rearrange,
  type Tensor,
} from '../../src/tensor/index.js';
import { randomArray } from './arrays.js';

export type RandomGraph = {
  graph: Graph;
  feeds: ReadonlyMap<string, NDArray>;
  parameters: ReadonlyMap<string, NDArray>;
  sizes: Bindings;
  /** One line a node, for counterexamples. */
  [fc.toStringMethod](): string;
};

function listing({ nodes, outputs }: Graph, sizes: Bindings): string {
  const name = ({ node, index }: Tensor) => `${nodes.indexOf(node)}${index > 0 ? `.${index}` : ''}`;
  const lines = nodes.map(
    (node, i) => `${i} = ${node.row.name}(${node.inputs.map(name)}) ${node.tensors.join(' ')}`,
  );
  const ends = [...outputs].map(([key, tensor]) => `${key}: ${name(tensor)}`);
  return [JSON.stringify(sizes), ...lines, ends.join(', ')].join('\n');
}

export type RandomGraphOptions = {
  dtype?: 'f64' | 'f32';
  /** Most steps that a graph grows by. */
  steps?: number;
  /** The graph also updates a parameter that it reads. */
  updates?: boolean;
};

/** Chooses among what fits, by a number that fast-check shrinks. */
type Pick = <T>(from: readonly T[]) => T | undefined;
type Step = (pool: readonly Tensor[], pick: Pick) => readonly (Tensor | undefined)[];

const WIDTH = 4;
const last = (x: Tensor): unknown => x.shape.at(-1);
const matrices = (pool: readonly Tensor[]) => pool.filter(({ rank }) => rank >= 2);
const rows = (pool: readonly Tensor[]) => pool.filter((x) => x.rank >= 2 && last(x) === WIDTH);
const alike = (pool: readonly Tensor[], x: Tensor) =>
  pool.filter(
    (y) => y.rank === x.rank && y.shape.every((d, i) => String(d) === String(x.shape[i])),
  );
const named = (pool: readonly Tensor[], shape: string) =>
  pool.filter((y) => y.node.row.name === 'parameter' && `[${y.shape.join()}]` === shape);

const unary: readonly ((x: Tensor) => Tensor)[] = [
  (x) => x.neg(),
  (x) => x.tanh(),
  (x) => x.sigmoid(),
  (x) => x.gelu(),
  (x) => x.silu(),
  (x) => x.abs().add(0.5).sqrt(),
  (x) => x.mul(0.5),
  (x) => x.div(-3),
  (x) => x.add(0.25),
  (x) => x.clip(-1, 1.5),
  (x) => x.cos(),
  (x) => x.stopGradient(),
];

const onMatrix: readonly ((x: Tensor) => Tensor)[] = [
  (x) => x.swap(-1, -2),
  (x) => x.swap(0, -1),
  (x) => x.softmax(-1),
  (x) => x.logSoftmax(0).mul(0.25),
  (x) => x.sum(-1, true).mul(0.25),
  (x) => x.mean([0, -1], true),
  (x) => x.max(-2),
  (x) => x.logSumExp(-1, true),
  (x) => x.cumsum(-1, { reverse: true }).mul(0.25),
  (x) => x.pad(-1, 1, 0, 0.5),
  (x) => x.slice(-1, 0, 1),
  (x) => x.flip(-2),
  (x) => x.reshape(-1),
  (x) => x.unsqueeze(0),
  (x) => x.gather(iota(x.size(0)), 0),
  (x) => x.topK(1).values,
];

const steps: readonly Step[] = [
  (pool, pick) => {
    const x = pick(pool);
    return [x && pick(unary)?.(x)];
  },
  (pool, pick) => {
    const x = pick(matrices(pool));
    return [x && pick(onMatrix)?.(x)];
  },
  (pool, pick) => {
    const x = pick(pool);
    const y = x && pick(alike(pool, x));
    if (!x || !y) return [];
    const join = pick([
      () => x.add(y),
      () => x.sub(y).mul(0.5),
      () => x.mul(y).tanh(),
      () => x.maximum(y),
      () => x.less(y).where(x, y.neg()),
      () => concat([x, y], -1),
    ]);
    return [x.rank > 0 ? join?.() : undefined];
  },
  // A product with a scale, and now and then a second reader of the unscaled product.
  (pool, pick) => {
    const x = pick(rows(pool));
    const w = pick(named(pool, '[4,4]'));
    if (!x || !w) return [];
    const factor = pick([w, w.swap(0, 1)]) ?? w;
    const product = x.matmul(factor, { scale: pick([1, 0.5]) ?? 1 });
    const scaled = pick([product.mul(0.25), product.div(4), product])?.tanh();
    return pick([true, false]) ? [scaled, product.tanh()] : [scaled];
  },
  (pool, pick) => {
    const x = pick(matrices(pool));
    const y = x && pick(alike(pool, x));
    return [x && y && x.matmul(y.swap(-1, -2)).mul(0.125).tanh()];
  },
  (pool, pick) => {
    const x = pick(rows(pool));
    const [gain] = named(pool, '[4]');
    if (!x || !gain) return [];
    return [pick([x.layerNorm(gain, undefined, 0.1), x.rmsNorm(gain, 0.1)])];
  },
  (pool, pick) => {
    const x = pick(rows(pool).filter(({ rank }) => rank === 3));
    if (!x) return [];
    return [
      rearrange(x, 'b n (h d) -> b h n d', { h: 2 }).mean(1),
      einsum('bnd,bmd->bnm', x, x).mul(0.1).tanh(),
    ];
  },
  (pool, pick) => [pick(pool)?.tag(pick(['attention', 'mlp']) ?? 'mlp')],
];

function grow(dtype: DType, choices: readonly number[], updates: boolean): Graph {
  const pool: Tensor[] = [
    input('x', dtype, ['batch', 'seq', WIDTH]),
    input('y', dtype, ['batch', 'seq', WIDTH]),
    parameter('w', dtype, [WIDTH, WIDTH]),
    parameter('v', dtype, [WIDTH, WIDTH]),
    parameter('gain', dtype, [WIDTH]),
  ];
  let at = 0;
  const pick: Pick = (from) => from[choices[at++ % choices.length] % Math.max(1, from.length)];
  const outputs: Record<string, Tensor> = { x: pool[0], y: pool[1] };
  for (let grown = 0; at < choices.length; grown++) {
    const made = pick(steps)?.(pool, pick) ?? [];
    for (const tensor of made) if (tensor && tensor.rank <= 5) pool.push(tensor);
    const end = pool.at(-1);
    if (end && grown % 3 === 0) outputs[`o${grown}`] = end;
  }
  const result = pool.at(-1);
  if (result) outputs.result = result;
  const w = pool[2];
  const next = w.mul(0.9).add(outputs.x.mean().mul(0.1));
  return graph(updates ? { ...outputs, w } : outputs, updates ? { w: next } : {});
}

/** Graphs with feeds for them. Every node of a graph can be run by the reference interpreter. */
export function randomGraphs({
  dtype = 'f64',
  steps: most = 12,
  updates = false,
}: RandomGraphOptions = {}): fc.Arbitrary<RandomGraph> {
  return fc
    .record({
      choices: fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 * most }),
      batch: fc.integer({ min: 1, max: 3 }),
      seq: fc.integer({ min: 1, max: 5 }),
      seed: fc.nat(10_000),
    })
    .map(({ choices, batch, seq, seed }) => {
      const grown = grow(dtype, choices, updates);
      const arrays = (leaves: ReadonlyMap<string, Tensor>) =>
        new Map(
          [...leaves].map(([name, { shape }], i) => {
            const sizes = shape.map((d) =>
              String(d) === 'batch' ? batch : String(d) === 'seq' ? seq : Number(d),
            );
            return [name, randomArray(dtype, sizes, seed + i, -1, 1)] as const;
          }),
        );
      return {
        graph: grown,
        feeds: arrays(grown.inputs),
        parameters: arrays(grown.parameters),
        sizes: { batch, seq },
        [fc.toStringMethod]: () => listing(grown, { batch, seq }),
      };
    });
}
