// Scans against the same steps written out, and against finite differences.
import { describe, expect, it } from 'vitest';
import {
  type ScanCase,
  scanArrays,
  scanCases,
  scanOutputs,
} from '../../tests/support/scan-cases.js';
import {
  cost,
  fromNumbers,
  grad,
  graph,
  input,
  interpret,
  iota,
  type NDArray,
  scan,
  type Tensor,
  toNumbers,
} from './index.js';

const named = (kind: string, tensors: readonly Tensor[]) =>
  Object.fromEntries(tensors.map((tensor, i) => [`${kind} ${i}`, tensor]));

function run(outputs: Readonly<Record<string, Tensor>>, arrays: Readonly<Record<string, NDArray>>) {
  const g = graph(outputs);
  const feeds = new Map(Object.entries(arrays).filter(([name]) => g.inputs.has(name)));
  return interpret(g, feeds).outputs;
}

/** Sizes of the arrays: a scan of a named length cannot be written out. */
const fixed = (one: ScanCase): ScanCase => ({ ...one, shapes: {} });

function expectEqual(found: ReturnType<typeof run>, expected: ReturnType<typeof run>) {
  for (const [name, { shape, data }] of expected) {
    const other = found.get(name) as NDArray;
    expect([name, other.shape]).toEqual([name, shape]);
    Array.from(data, Number).forEach((value, i) => {
      expect(Math.abs(Number(other.data[i]) - value)).toBeLessThan(1e-12 * (1 + Math.abs(value)));
    });
  }
}

describe.each(scanCases.map((one) => [one.what, one] as const))('scan: %s', (_, one) => {
  const arrays = scanArrays(one, 'f64');
  const rolled = scanOutputs(one, 'f64', 0);
  const flat = scanOutputs(fixed(one), 'f64', 1000);

  it('is one node', () => {
    const rows = (tensors: readonly Tensor[]) =>
      graph(named('y', tensors)).nodes.map(({ row }) => row.name);
    expect(rows(rolled.results)).toContain('scan');
    if (!one.what.includes('inside')) expect(rows(flat.results)).not.toContain('scan');
  });

  it('gives what the steps written out give', () => {
    expectEqual(run(named('y', rolled.results), arrays), run(named('y', flat.results), arrays));
  });

  it('has their gradients', () => {
    expectEqual(run(named('d', rolled.slopes), arrays), run(named('d', flat.slopes), arrays));
  });

  it('has their second derivatives', () => {
    const twice = ({ slopes, leaves }: typeof rolled) => {
      const outer = slopes
        .map((d, k) =>
          d
            .mul(d)
            .mul(k + 1)
            .sum(),
        )
        .reduce((a, b) => a.add(b));
      return named('d', grad(outer, Object.values(leaves)));
    };
    expectEqual(run(twice(rolled), arrays), run(twice(flat), arrays));
  });

  // A gradient that is cut is not the slope of the loss.
  it.skipIf(one.what.includes('cut'))('has the slopes of finite differences', () => {
    const names = Object.keys(rolled.leaves);
    const found = run(named('d', rolled.slopes), arrays);
    const loss = (changed: Readonly<Record<string, NDArray>>) =>
      toNumbers(run({ loss: rolled.loss }, changed).get('loss') as NDArray)[0];
    names.forEach((name, k) => {
      const slope = toNumbers(found.get(`d ${k}`) as NDArray);
      const { shape, data } = arrays[name];
      for (let i = 0; i < data.length; i += Math.ceil(data.length / 5)) {
        const [up, down] = [1e-5, -1e-5].map((h) => {
          const values = Float64Array.from(data, Number);
          values[i] += h;
          return loss({ ...arrays, [name]: fromNumbers('f64', shape, values) });
        });
        expect(Math.abs(slope[i] - (up - down) / 2e-5)).toBeLessThan(
          1e-7 * (1 + Math.abs(slope[i])),
        );
      }
    });
  });
});

describe('scan', () => {
  const x = input('x', 'f64', ['time', 2]);
  const h = input('h', 'f64', [2]);
  const leaky = (truncate?: number) =>
    scan({
      states: [h],
      inputs: [x],
      ...(truncate === undefined ? {} : { truncate }),
      unrollUpTo: 0,
      step: ([s], [here]) => {
        const next = s.mul(0.5).add(here);
        return { states: [next], outputs: [next] };
      },
    });
  const feeds = {
    x: fromNumbers('f64', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    h: fromNumbers('f64', [2], [16, 32]),
  };

  it('stops gradients where it is cut', () => {
    const slopes = (truncate?: number) => {
      const [dx, dh] = grad(leaky(truncate).states[0].sum(), [x, h]);
      const found = run({ dx, dh }, feeds);
      return [found.get('dx'), found.get('dh')].map((a) => Array.from(toNumbers(a as NDArray)));
    };
    const twice = (values: readonly number[]) => values.flatMap((v) => [v, v]);
    expect(slopes()).toEqual([twice([0.125, 0.25, 0.5, 1]), twice([0.0625])]);
    expect(slopes(2)).toEqual([twice([0, 0, 0.5, 1]), twice([0])]);
    expect(slopes(3)).toEqual([twice([0, 0, 0, 1]), twice([0])]);
    expect(slopes(4)).toEqual(slopes());
  });

  it('counts the arithmetic of every step', () => {
    const g = graph({ y: leaky().outputs[0] });
    expect(cost(g, { time: 10 }).flops).toBe(10 * 2 * 2);
  });

  it('costs the bytes of the results that are read', () => {
    const bytes = (y: Tensor) => cost(graph({ y }), { time: 10 }).peakActivationBytes;
    expect(bytes(leaky().states[0])).toBe(2 * 8);
    expect(bytes(leaky().outputs[0])).toBe(10 * 2 * 8);
  });

  it('computes once what does not change', () => {
    const w = input('w', 'f64', [2, 2]);
    const { states } = scan({
      states: [h.reshape(1, 2)],
      inputs: [x],
      unrollUpTo: 0,
      step: ([s], [here]) => ({ states: [s.matmul(w.exp()).add(here)], outputs: [] }),
    });
    const names = graph({ y: states[0] }).nodes.map(({ row }) => row.name);
    expect(names.filter((name) => name === 'exp')).toEqual(['exp']);
  });

  it('writes short scans out, and takes the number of a step as an input', () => {
    const { states } = scan({
      states: [h],
      inputs: [iota(3)],
      step: ([s], [count]) => ({ states: [s.mul(count.cast('f64').add(1))], outputs: [] }),
    });
    const g = graph({ y: states[0] });
    expect(g.nodes.map(({ row }) => row.name)).not.toContain('scan');
    expect(Array.from(toNumbers(run({ y: states[0] }, feeds).get('y') as NDArray))).toEqual([
      96, 192,
    ]);
  });

  it('refuses what does not fit', () => {
    const step = ([s]: readonly Tensor[]) => ({ states: [s], outputs: [] });
    const code = (value: string) => expect.objectContaining({ code: value });
    const other = input('z', 'f64', ['other', 2]);
    expect(() => scan({ states: [h], step })).toThrowError(/nothing tells how many steps/);
    expect(() => scan({ states: [h], inputs: [x, other], step })).toThrowError(/as many steps/);
    expect(() => scan({ states: [h], inputs: [x], truncate: 0, step })).toThrowError(
      code('tensor/scan'),
    );
    const wider = ([s]: readonly Tensor[]) => ({ states: [s.unsqueeze(0)], outputs: [] });
    expect(() => scan({ states: [h], inputs: [x], step: wider })).toThrowError(
      /gives back every state/,
    );
    const short = input('s', 'f64', [2, 2]);
    expect(() => scan({ states: [h], inputs: [short], step: wider })).toThrowError(
      /gives back every state/,
    );
  });
});
