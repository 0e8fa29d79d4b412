import { describe, expect, it } from 'vitest';
import {
  type Graph,
  graph,
  input,
  parameter,
  scalar,
  simplify,
  type Tensor,
  within,
} from '../tensor/index.js';
import { checkUpdates } from './updates.js';

const check = (g: Graph) => checkUpdates(simplify(g));
const refusal = (g: Graph): { what: string; hint: string; code: string } => {
  try {
    check(g);
  } catch (error) {
    return error as { what: string; hint: string; code: string };
  }
  throw new Error('the graph was accepted');
};

const p = (name: string, shape: readonly number[] = [4, 4]) => parameter(name, 'f32', shape);
const x = input('x', 'f32', ['n', 4]);

/** One AdamW step of a two-layer network, gradients written by hand, clipped by the global norm. */
function adamw(): Graph {
  const [w1, w2] = [p('w1'), p('w2')];
  const hidden = within('layers.0', 'linear', () => x.matmul(w1));
  const active = hidden.relu();
  const out = within('layers.1', 'linear', () => active.matmul(w2));
  const dOut = out.mul(2);
  const g2 = active.matmul(dOut, { transposeA: true });
  const dActive = dOut.matmul(w2, { transposeB: true });
  const dHidden = hidden.greater(0).where(dActive, 0);
  const g1 = x.matmul(dHidden, { transposeA: true });
  const norm = g1.mul(g1).sum().add(g2.mul(g2).sum()).sqrt();
  const clip = scalar('f32', 1).div(norm.maximum(1));
  const updates: Record<string, Tensor> = {};
  for (const [name, w, gradient] of [
    ['w1', w1, g1],
    ['w2', w2, g2],
  ] as const) {
    const g = gradient.mul(clip);
    const m = p(`m.${name}`).mul(0.9).add(g.mul(0.1));
    const v = p(`v.${name}`).mul(0.999).add(g.mul(g).mul(0.001));
    updates[`m.${name}`] = m;
    updates[`v.${name}`] = v;
    updates[name] = w.mul(1 - 1e-4).sub(m.div(v.sqrt().add(1e-8)).mul(1e-3));
  }
  return graph({ loss: out.mul(out).sum() }, updates);
}

describe('updates in place that are safe', () => {
  it('passes AdamW with the global norm', () => check(adamw()));

  it('passes an element-wise step that reads only itself', () =>
    check(graph({}, { w: p('w').mul(0.9).add(1) })));

  it('passes a running mean read by nothing else', () => {
    const state = p('state', [4]);
    check(graph({ y: x }, { state: state.mul(0.9).add(x.mean(0).mul(0.1)) }));
  });

  it('passes a trust ratio by the parameter norm, as LAMB has it', () => {
    const w = p('w');
    const g = x.matmul(x, { transposeA: true });
    const ratio = w.mul(w).sum().sqrt().div(g.mul(g).sum().sqrt());
    check(graph({}, { w: w.sub(g.mul(ratio)) }));
  });

  it('passes readers through views that the update needs', () => {
    const w = p('w', [16]);
    const y = x.matmul(w.reshape(4, 4));
    check(graph({ y }, { w: w.sub(y.mul(y).sum()) }));
  });

  it('passes a step through a reshape and back', () => {
    const w = p('w');
    check(graph({}, { w: w.reshape(16).add(1).reshape(4, 4) }));
  });

  it('passes a parameter whose reader comes before it is replaced', () => {
    const state = p('state');
    const seen = x.matmul(state).sum();
    check(graph({ seen }, { state: x.matmul(x, { transposeA: true }).add(seen) }));
  });

  it('passes two of which one reads the other before it is written', () => {
    const [a, b] = [p('a'), p('b')];
    const next = a.add(b);
    check(graph({}, { a: next, b: b.add(next.sum()) }));
  });
});

describe('updates in place that are refused', () => {
  it('a forward pass that the update does not wait for', () => {
    const w = p('w');
    const y = within('layers.3.attention', 'linear', () => x.matmul(w));
    const error = refusal(graph({ y }, { w: w.mul(0.9).add(1) }));
    expect(error.code).toBe('runtime/update');
    expect(error.what).toContain("'w'");
    expect(error.what).toContain('layers.3.attention > matmul');
    expect(error.hint).toContain('global gradient norm');
  });

  it('AdamW in which one gradient does not reach the other update', () => {
    // Without the norm, w2 may be overwritten before its transpose carries the gradient to w1.
    const [w1, w2] = [p('w1'), p('w2')];
    const active = x.matmul(w1);
    const out = active.matmul(w2);
    const g2 = active.matmul(out, { transposeA: true });
    const g1 = x.matmul(out.matmul(w2, { transposeB: true }), { transposeA: true });
    const g = graph({}, { w1: w1.sub(g1.mul(0.1)), w2: w2.sub(g2.mul(0.1)) });
    expect(refusal(g).what).toContain("'w2'");
  });

  it('two parameters that read each other', () => {
    const [a, b] = [p('a'), p('b')];
    refusal(graph({}, { a: a.add(b), b: b.add(a) }));
  });

  it('two parameters that change places', () => void refusal(graph({}, { a: p('b'), b: p('a') })));

  it('the old value as an output', () => {
    const w = p('w');
    expect(refusal(graph({ old: w }, { w: w.add(1) })).what).toContain("output 'old'");
    refusal(graph({ old: w.reshape(16) }, { w: w.add(1) }));
  });

  it('readers through views, scales and transposes that a runtime may fold', () => {
    const w = p('w');
    for (const seen of [w.reshape(2, 8), w.transpose(1, 0), w.mul(2), w.stopGradient()]) {
      // The first reader is waited for, the second is not.
      const waited = seen.sum();
      const late = seen.cumsum(0).max();
      refusal(graph({ late }, { w: w.add(waited) }));
    }
  });

  it('a write that is not element-wise', () => {
    const w = p('w');
    expect(refusal(graph({}, { w: w.matmul(x.sum().mul(w)) })).what).toContain('matmul');
    refusal(graph({}, { w: w.cumsum(0) }));
    refusal(graph({}, { w: w.softmax() }));
  });

  it('an element-wise write that reads elsewhere', () => {
    const w = p('w');
    refusal(graph({}, { w: w.add(w.transpose(1, 0)) }));
    const row = p('row', [4]);
    refusal(graph({}, { w: w.add(row), row: row.add(1) }));
  });

  it('a kernel that uses its output as scratch', () => {
    for (const next of [p('w').gelu(), p('w').silu(), p('w').quickGelu(), p('w').geluTanh()]) {
      refusal(graph({}, { w: next }));
    }
  });

  it('a product that may be fused with the write', () => {
    const w = p('w');
    expect(refusal(graph({}, { w: w.matmul(w).add(w) })).what).toContain('fused');
    refusal(graph({}, { w: w.sub(w.matmul(w).mul(0.1).relu()) }));
    // A reduction between them ends the chain.
    check(graph({}, { w: w.sub(w.matmul(w).sum()) }));
  });
});
