// The conformance suite of token mixers: one set of rules over every mixer of the registry. Every
// program is compiled once, with symbolic sizes, and run at several. Decoding has a suite of its own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixers, resolveMixer } from '../src/mixers/registry.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  cost,
  fromNumbers,
  input,
  type NDArray,
  simplify,
  type Tensor,
  toNumbers,
} from '../src/tensor/index.js';
import { normalArray, uniform } from './support/draw.js';
import { mixerCases, type Sees } from './support/mixer-cases.js';
import {
  type Both,
  causal,
  entries,
  everything,
  expectNear,
  idsOf,
  maskOf,
  mixed,
  open,
  positionsOf,
  whole,
} from './support/mixer-run.js';

it('every mixer of the registry is under test', () => {
  expect(Object.keys(mixerCases).sort()).toEqual([...mixers.keys()].sort());
});

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

describe.each(Object.values(mixerCases).flat())('$name', (c) => {
  const { mixer, options } = resolveMixer(c.mixer, c.options);
  let masked: Both;
  let unmasked: Both;
  beforeAll(async () => {
    masked = await open(device, whole(c, true));
    unmasked = await open(device, whole(c, false));
  });
  afterAll(async () => {
    await masked.program.dispose();
    await unmasked.program.dispose();
  });

  it('equals its definition at every size, with and without a mask', async () => {
    const draw = uniform(1);
    for (const [batch, seq] of [
      [1, 1],
      [2, 5],
      [3, 17],
    ]) {
      const x = normalArray([batch, seq, c.width], batch + seq);
      const rows = Array.from({ length: batch }, () =>
        Array.from({ length: seq }, () => Math.floor(draw() * 50)),
      );
      const holes = new Set<string>();
      for (let b = 0; b < batch; b++) {
        for (let i = 0; i < seq; i++)
          for (let j = 0; j < seq; j++) if (i !== j && draw() < 0.4) holes.add(`${b} ${i} ${j}`);
      }
      const random: Sees = (b, i, j) => !holes.has(`${b} ${i} ${j}`);
      const positions = idsOf(rows);
      const given = { x, positions: rows };
      if (mixer.causal !== 'always') {
        const wanted = c.define({ ...given, sees: everything, weights: unmasked.weights });
        expectNear(await mixed(unmasked, { x, positions }), wanted);
      }
      for (const sees of mixer.causal === 'never' ? [random] : [random, causal]) {
        const wanted = c.define({ ...given, sees, weights: masked.weights });
        const mask = maskOf(batch, seq, seq, sees);
        expectNear(await mixed(masked, { x, positions, mask }), wanted);
      }
    }
  });

  it.runIf(mixer.causal !== 'never')(
    'causal means causal: a token moves nothing before it',
    async () => {
      const seq = 9;
      const positions = idsOf(positionsOf(1, seq));
      const mask = maskOf(1, seq, seq, causal);
      const x = normalArray([1, seq, c.width], 5);
      const before = masked.interpreted({ x, positions, mask }).get('y') as NDArray;
      const ran = await mixed(masked, { x, positions, mask });
      for (const t of [0, 4, seq - 1]) {
        const changed = fromNumbers(
          'f32',
          x.shape,
          toNumbers(x).map((v, i) => (Math.floor(i / c.width) === t ? 1e3 - 7 * v : v)),
        );
        const feeds = { x: changed, positions, mask };
        const after = masked.interpreted(feeds).get('y') as NDArray;
        const split = t * c.outWidth;
        expect(after.data.slice(0, split)).toEqual(before.data.slice(0, split));
        expect(after.data.slice(split)).not.toEqual(before.data.slice(split));
        const { y } = await masked.run(feeds);
        expectNear(toNumbers(y).subarray(0, split), ran.subarray(0, split), 1e-6);
      }
    },
  );

  it('batch equals singles under padding on either side', async () => {
    const lengths = [3, 7, 1, 5];
    const seq = 7;
    const singles = lengths.map((length, b) => normalArray([1, length, c.width], 30 + b));
    for (const side of ['right', 'left']) {
      if (side === 'left' && c.except?.leftPadding) continue;
      for (const order of mixer.causal === 'never' ? [everything] : [causal, everything]) {
        if (order === everything && mixer.causal === 'always') continue;
        const start = (b: number) => (side === 'right' ? 0 : seq - lengths[b]);
        const stands = (b: number, i: number) => i >= start(b) && i < start(b) + lengths[b];
        const values = new Float64Array(lengths.length * seq * c.width).fill(1e3); // padding
        for (const [b, x] of singles.entries()) {
          values.set(toNumbers(x), (b * seq + start(b)) * c.width);
        }
        const y = await mixed(masked, {
          x: fromNumbers('f32', [lengths.length, seq, c.width], values),
          positions: idsOf(
            lengths.map((_, b) => Array.from({ length: seq }, (_, i) => Math.max(0, i - start(b)))),
          ),
          mask: maskOf(lengths.length, seq, seq, (b, i, j) => order(b, i, j) && stands(b, j)),
        });
        expect(y.every(Number.isFinite)).toBe(true);
        for (const [b, length] of lengths.entries()) {
          const alone = await mixed(masked, {
            x: singles[b],
            positions: idsOf(positionsOf(1, length)),
            mask: maskOf(1, length, length, order),
          });
          const at = (b * seq + start(b)) * c.outWidth;
          expectNear(y.subarray(at, at + length * c.outWidth), alone);
        }
      }
    }
  });

  it('a query that may see nothing stays finite and disturbs no other, two layers deep', async () => {
    const both = await open(device, (s) => {
      const { x, positions } = entries(c);
      const mask = input('mask', 'bool', ['batch', 1, 'seq', 'seq']);
      const layer = (t: Tensor, at: number) => {
        const y = mixer.mix(s.at(at), t, options, { mask, positions });
        return y.size(-1) === c.width ? y : y.slice(-1, 0, c.width);
      };
      return { first: layer(x, 0), second: layer(layer(x, 0), 1) };
    });
    const seq = 5;
    const x = normalArray([2, seq, c.width], 3);
    const positions = idsOf(positionsOf(2, seq));
    // Row 0 pads two places on the left: they see nothing, and nobody sees them.
    const sees: Sees = (b, i, j) => j <= i && (b === 1 || j >= 2);
    const run = async (array: NDArray) => {
      const feeds = { x: array, positions, mask: maskOf(2, seq, seq, sees) };
      const { first, second } = await both.run(feeds);
      for (const [name, y] of Object.entries({ first, second })) {
        expect([...toNumbers(y)].every(Number.isFinite)).toBe(true);
        expectNear(toNumbers(y), toNumbers(both.interpreted(feeds).get(name) as NDArray), 1e-4);
      }
      return toNumbers(second);
    };
    const plain = await run(x);
    const other = await run(
      fromNumbers(
        'f32',
        x.shape,
        toNumbers(x).map((v, i) => (i < 2 * c.width ? 50 * v : v)),
      ),
    );
    expectNear(other.subarray(2 * c.width), plain.subarray(2 * c.width), 1e-5);
    await both.program.dispose();
  });

  it('costs what its arithmetic counts by hand', () => {
    for (const [batch, seq] of [
      [1, 1],
      [2, 7],
      [3, 40],
    ]) {
      expect(cost(simplify(unmasked.g), { batch, seq }).flops).toBe(c.flops(batch, seq, false));
      expect(cost(simplify(masked.g), { batch, seq }).flops).toBe(c.flops(batch, seq, true));
    }
    const { parameters } = cost(unmasked.g, { batch: 1, seq: 1 });
    const counted = [...unmasked.weights.values()].reduce((a, { data }) => a + data.length, 0);
    expect(parameters).toBe(counted);
  });
});
