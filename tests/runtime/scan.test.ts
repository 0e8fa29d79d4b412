// Scans on the CPU device against the reference interpreter: values, gradients, long ones.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, ParameterValue } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import {
  grad,
  graph,
  input,
  interpret,
  parameter,
  scan,
  type Tensor,
  toNumbers,
} from '../../src/tensor/index.js';
import { scanArrays, scanCases, scanOutputs } from '../support/scan-cases.js';
import { copies, copy, expectClose, expectParity, random } from './support.js';

describe('scans on the CPU device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  const named = (kind: string, tensors: readonly Tensor[]) =>
    Object.fromEntries(tensors.map((tensor, i) => [`${kind} ${i}`, tensor]));

  describe.each(['f32', 'f64'] as const)('%s', (dtype) => {
    it.each(scanCases.map((one) => [one.what, one] as const))('%s', async (_, one) => {
      const { leaves, results, slopes } = scanOutputs(one, dtype, 0);
      const feeds = scanArrays(one, dtype);
      const tolerance = dtype === 'f32' ? 1e-5 : 1e-12;
      // The inputs are results too, so that one whose size alone is used stays in the graph.
      const given = Object.fromEntries(Object.entries(leaves).map(([k, x]) => [`given ${k}`, x]));
      const outputs = { ...named('y', results), ...named('d', slopes), ...given };
      await expectParity(device, outputs, feeds, tolerance);
    });
  });

  it('second derivatives', () => {
    const [one] = scanCases;
    const { leaves, slopes } = scanOutputs(one, 'f64', 0);
    const outer = slopes.map((d) => d.mul(d).sum()).reduce((a, b) => a.add(b));
    const twice = named('d', grad(outer, Object.values(leaves)));
    return expectParity(device, twice, scanArrays(one, 'f64'), 1e-11);
  });

  it('reads results, frozen weights and buffers of the graph around', async () => {
    const x = input('x', 'f32', ['time', 32]);
    const frozen = parameter('frozen', 'f32', [32, 32]);
    const held = parameter('held', 'f32', [32]);
    const gain = held.exp();
    const { states, outputs } = scan({
      states: [x.operand(0).broadcastTo(1, 32)],
      inputs: [x],
      unrollUpTo: 0,
      step: ([h], [here]) => {
        const next = h.matmul(frozen).add(here).mul(gain).tanh();
        return { states: [next], outputs: [next.squeeze(0)] };
      },
    });
    const g = graph({ last: states[0], all: outputs[0], gain });
    const feeds = { x: random('f32', [9, 32], { seed: 4 }) };
    const weights = {
      frozen: random('f32', [32, 32], { seed: 5, low: -0.2, high: 0.2 }),
      held: random('f32', [32], { seed: 6, low: -1, high: 0 }),
    };
    const expected = interpret(g, feeds, weights).outputs;
    await using buffer = await device.put(copy(weights.held));
    const parameters = new Map<string, ParameterValue>(
      Object.entries({ ...weights, held: buffer }),
    );
    await using program = await device.compile(g, { parameters });
    const found = await program.run(copies(feeds));
    for (const [name, array] of expected) expectClose(found[name], array, 1e-5);
  });

  it('784 steps and their gradients, against back-propagation by loops', async () => {
    const [steps, width] = [784, 8];
    const x = input('x', 'f32', [steps, 1, 1]);
    const w = input('w', 'f32', [width, width]);
    const u = input('u', 'f32', [1, width]);
    const { states } = scan({
      states: [x.operand(0).broadcastTo(1, width)],
      inputs: [x],
      step: ([h], [here]) => ({
        states: [here.matmul(u).add(h.matmul(w)).tanh()],
        outputs: [],
      }),
    });
    const loss = states[0].mul(states[0]).sum();
    const [dw, du] = grad(loss, [w, u]);
    const g = graph({ loss, dw, du });
    expect(g.nodes.length).toBeLessThan(60);
    const feeds = {
      x: random('f32', [steps, 1, 1], { seed: 1 }),
      w: random('f32', [width, width], { seed: 2, low: -0.7, high: 0.7 }),
      u: random('f32', [1, width], { seed: 3 }),
    };
    const [xs, ws, us] = [feeds.x, feeds.w, feeds.u].map((a) => Array.from(toNumbers(a)));
    const past = [new Array<number>(width).fill(0)];
    for (const value of xs) {
      const h = past[past.length - 1];
      past.push(
        us.map((ui, i) =>
          Math.tanh(value * ui + h.reduce((s, hj, j) => s + hj * ws[j * width + i], 0)),
        ),
      );
    }
    let back = past[steps].map((h) => 2 * h);
    const expected = { dw: ws.map(() => 0), du: us.map(() => 0) };
    for (let t = steps; t > 0; t--) {
      const inner = back.map((d, i) => d * (1 - past[t][i] ** 2));
      const before = past[t - 1];
      inner.forEach((d, i) => {
        expected.du[i] += d * xs[t - 1];
        before.forEach((hj, j) => {
          expected.dw[j * width + i] += d * hj;
        });
      });
      back = before.map((_, j) => inner.reduce((s, d, i) => s + d * ws[j * width + i], 0));
    }
    await using program = await device.compile(g);
    const found = await program.run(copies(feeds));
    const total = past[steps].reduce((s, h) => s + h * h, 0);
    expect(Math.abs(toNumbers(found.loss)[0] - total)).toBeLessThan(1e-5 * total);
    for (const name of ['dw', 'du'] as const) {
      const scale = Math.max(...expected[name].map(Math.abs));
      toNumbers(found[name]).forEach((v, i) => {
        expect(Math.abs(v - expected[name][i])).toBeLessThan(1e-4 * scale);
      });
    }
  });
});
