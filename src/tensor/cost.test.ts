import { describe, expect, it } from 'vitest';
import { f32, range } from '../../tests/support/arrays.js';
import {
  concat,
  constant,
  cost,
  graph,
  input,
  parameter,
  rearrange,
  simplify,
  type Tensor,
  within,
} from './index.js';

/** A pre-norm transformer layer, written out. */
function block(x: Tensor, d: number, heads: number, f: number): Tensor {
  const weights = (name: string, ...shape: readonly number[]) =>
    parameter(`layers.0.${name}`, 'f32', shape);
  const norm = (y: Tensor, name: string) =>
    within(`layers.0.${name}`, 'layerNorm', () =>
      y.layerNorm(weights(`${name}.weight`, d), weights(`${name}.bias`, d), 1e-5),
    );
  const linear = (y: Tensor, name: string, from: number, to: number) =>
    y.matmul(weights(`${name}.weight`, from, to)).add(weights(`${name}.bias`, to));
  const attended = within('layers.0.attention', 'attention', () => {
    const y = norm(x, 'norm1');
    const split = (name: string) =>
      rearrange(linear(y, `attention.${name}`, d, d), 'b n (h d) -> b h n d', { h: heads });
    const [q, k, v] = ['q', 'k', 'v'].map(split);
    const scores = q.matmul(k.swap(-1, -2)).mul(1 / Math.sqrt(d / heads));
    const context = rearrange(scores.softmax().matmul(v), 'b h n d -> b n (h d)');
    return x.add(linear(context, 'attention.out', d, d));
  });
  return within('layers.0.mlp', 'mlp', () => {
    const y = norm(attended, 'norm2');
    return attended.add(linear(linear(y, 'mlp.up', d, f).gelu(), 'mlp.down', f, d));
  });
}

describe('arithmetic and parameters', () => {
  const [d, h, f] = [12, 3, 40];
  const x = input('x', 'f32', ['batch', 'seq', d]);
  const g = graph({ y: block(x, d, h, f) });
  const B = 2;
  const n = 7;
  const bindings = { batch: B, seq: n };

  const norms = 8 * B * n * d;
  const attention =
    3 * (2 * B * n * d * d + B * n * d) + // q, k, v with bias
    2 * B * n * n * d + // scores: h heads of d / h
    B * h * n * n + // their scale
    5 * B * h * n * n + // softmax
    2 * B * n * n * d + // context
    2 * B * n * d * d +
    B * n * d + // output with bias
    B * n * d; // residual
  const mlp = 2 * B * n * d * f + B * n * f + 10 * B * n * f + 2 * B * n * f * d + 2 * B * n * d;

  it('are those of a hand-counted transformer block', () => {
    const counted = cost(g, bindings);
    expect(counted.flops).toBe(2 * norms + attention + mlp);
    expect(counted.parameters).toBe(4 * (d * d + d) + 2 * d * f + f + d + 4 * d);
    expect(counted.parameterBytes).toBe(4 * counted.parameters);
  });

  it('lie by module path', () => {
    const { byPath } = cost(g, bindings);
    const flops = Object.fromEntries([...byPath].map(([path, entry]) => [path, entry.flops]));
    expect(flops).toEqual({
      'layers.0.norm1': norms,
      'layers.0.attention': attention,
      'layers.0.norm2': norms,
      'layers.0.mlp': mlp,
      'layers.0.attention.q': 0,
      'layers.0.attention.k': 0,
      'layers.0.attention.v': 0,
      'layers.0.attention.out': 0,
      'layers.0.mlp.up': 0,
      'layers.0.mlp.down': 0,
    });
    expect(byPath.get('layers.0.mlp.up')).toEqual({
      flops: 0,
      parameters: d * f + f,
      parameterBytes: 4 * (d * f + f),
    });
    expect(byPath.get('layers.0.norm1')?.parameters).toBe(2 * d);
  });

  it('lose the scale where a product takes it', () => {
    expect(cost(simplify(g), bindings).flops).toBe(2 * norms + attention - B * h * n * n + mlp);
  });

  it('need a value for every size', () => {
    expect(() => cost(g, { batch: 2 })).toThrow(/'seq' has no value/);
  });

  it('count a parameter once, whatever reads it, in its own width', () => {
    const w = parameter('w', 'f16', [3, 5]);
    const again = parameter('w', 'f16', [3, 5]);
    const counted = cost(graph({ y: w.neg().add(again).sum() }));
    expect(counted.parameters).toBe(15);
    expect(counted.parameterBytes).toBe(30);
    expect(counted.byPath.get('')?.parameters).toBe(15);
  });
});

/** Hand-analysed lives of buffers; x is [n, 4] float32 with n = 8: 128 bytes. */
describe('peak activation bytes', () => {
  const x = input('x', 'f32', ['n', 4]);
  const w = parameter('w', 'f32', [4, 16]);
  const peak = (outputs: Record<string, Tensor>, updates: Record<string, Tensor> = {}) =>
    cost(graph(outputs, updates), { n: 8 }).peakActivationBytes;

  it('are none for inputs, parameters and constants', () => {
    expect(peak({ x, w, c: constant(f32([64], range(64))) })).toBe(0);
  });

  it('count an input of an element-wise operation as foreign: it is never overwritten', () => {
    expect(peak({ y: x.exp() })).toBe(128);
  });

  it('stay one buffer along an element-wise chain', () => {
    expect(peak({ y: x.exp().tanh().neg().add(1).mul(x) })).toBe(128);
  });

  it('need operand and result of a product together', () => {
    // exp 128, product 512; the sum takes the product's place
    expect(peak({ y: x.exp().matmul(w).add(1) })).toBe(128 + 512);
    // afterwards the operand is gone: 512 and the reduced 32
    expect(peak({ y: x.matmul(w).sum(1) })).toBe(512 + 32);
    expect(peak({ y: x.exp().matmul(w).sum(1) })).toBe(128 + 512);
  });

  it('keep both of two live branches', () => {
    const a = x.exp();
    const b = a.neg();
    expect(peak({ y: a.sub(b) })).toBe(256);
    // a second reader of the first branch comes last
    expect(peak({ y: b.matmul(w).sum(1), z: a.tanh() })).toBe(128 + 128 + 512);
  });

  it('keep what is a result to the end', () => {
    const a = x.exp();
    const late = a.matmul(w).sum(1);
    expect(peak({ late })).toBe(128 + 512);
    expect(peak({ a, late })).toBe(128 + 512 + 32);
  });

  it('count nothing for what is written over a parameter', () => {
    const state = parameter('state', 'f32', ['n', 4]);
    const next = state.add(x);
    expect(peak({}, { state: next })).toBe(0);
    expect(peak({ y: next.exp() }, { state: next })).toBe(128);
    expect(peak({}, { state: next.exp().add(1) })).toBe(128);
  });

  it('see through views', () => {
    const r = x.exp().reshape(-1).tag('r').stopGradient();
    expect(peak({ y: r.add(1) })).toBe(128);
    expect(peak({ y: r.add(1), z: r.mul(2) })).toBe(256);
    // a view of an input owns nothing, so that its reader needs a buffer
    expect(peak({ y: x.reshape(-1) })).toBe(0);
    expect(peak({ y: x.reshape(-1).exp() })).toBe(128);
    // a result that is a view keeps what it views
    expect(peak({ r, y: r.sum() })).toBe(128 + 4);
  });

  it('count copies: transposes, slices, concatenations', () => {
    expect(peak({ y: x.exp().swap(0, 1) })).toBe(256);
    expect(peak({ y: x.exp().slice(1, 0, 1) })).toBe(128 + 32);
    const a = x.exp();
    expect(peak({ y: concat([a, a], 0) })).toBe(128 + 256);
  });

  it('reuse only a buffer of the size of the result', () => {
    expect(peak({ y: x.exp().less(0.5) })).toBe(128 + 32);
    const row = x.exp().sum(0, true);
    expect(peak({ y: row.add(x) })).toBe(128 + 16);
    expect(peak({ y: x.sum(0, true).add(x) })).toBe(16 + 128);
    // same width: float32 to int32
    expect(peak({ y: x.exp().cast('i32') })).toBe(128);
    expect(peak({ y: x.exp().cast('f64') })).toBe(128 + 256);
  });

  it('count every output of a node, and free those that nobody reads', () => {
    const { values } = x.topK(2);
    // values 64, positions 128
    expect(peak({ y: values })).toBe(192);
    // values 64, its product with [2, 16]: 512; the positions are gone
    const v = parameter('v', 'f32', [2, 16]);
    expect(peak({ y: values.matmul(v) })).toBe(64 + 512);
  });

  it('show attention that is dense', () => {
    const q = input('q', 'f32', [1, 'n', 4]);
    const scores = q.matmul(q, { transposeB: true });
    const bytes = (n: number) =>
      cost(graph({ y: scores.softmax().matmul(q) }), { n }).peakActivationBytes;
    // scores and their softmax, n x n each: softmax is not element-wise
    expect(bytes(64)).toBe(2 * 4 * 64 * 64);
    expect(bytes(128) / bytes(64)).toBe(4);
  });
});
