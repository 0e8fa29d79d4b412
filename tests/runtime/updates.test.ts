// Updates in place on the device: the same numbers as buffers that change places, and as the
// reference interpreter; and that what is refused would really have gone wrong.
import ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toOnnx } from '../../src/onnx/from-graph.js';
import { encodeModel } from '../../src/onnx/write.js';
import type { Device } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import { checkUpdates } from '../../src/runtime/updates.js';
import {
  build,
  type Graph,
  graph,
  input,
  interpret,
  type NDArray,
  type OpRow,
  parameter,
  scalar,
  simplify,
  type Tensor,
} from '../../src/tensor/index.js';
import { binaryRows } from '../../src/tensor/ops/binary.js';
import { unaryRows } from '../../src/tensor/ops/unary.js';
import { copy, expectClose, random } from './support.js';

/** A training step of a small network: momentum, decay, clipping by the global norm. */
function step(): { loss: Tensor; updates: Record<string, Tensor> } {
  const x = input('x', 'f32', ['n', 8]);
  const w1 = parameter('w1', 'f32', [8, 16]);
  const w2 = parameter('w2', 'f32', [16, 8]);
  const active = x.matmul(w1).tanh();
  const error = active.matmul(w2).sub(x);
  const g2 = active.matmul(error, { transposeA: true });
  const slope = scalar('f32', 1).sub(active.mul(active));
  const g1 = x.matmul(error.matmul(w2, { transposeB: true }).mul(slope), { transposeA: true });
  const norm = g1.mul(g1).sum().add(g2.mul(g2).sum()).sqrt();
  const clip = scalar('f32', 1).div(norm.maximum(1));
  const updates: Record<string, Tensor> = {};
  for (const [name, w, g] of [['w1', w1, g1] as const, ['w2', w2, g2] as const]) {
    const m = parameter(`m.${name}`, 'f32', w.shape).mul(0.9).add(g.mul(clip));
    updates[`m.${name}`] = m;
    updates[name] = w.mul(0.999).sub(m.mul(0.05));
  }
  return { loss: error.mul(error).mean(), updates };
}

const start = (): Map<string, NDArray> =>
  new Map([
    ['w1', random('f32', [8, 16], { seed: 1, low: -0.5, high: 0.5 })],
    ['w2', random('f32', [16, 8], { seed: 2, low: -0.5, high: 0.5 })],
    ['m.w1', random('f32', [8, 16], { seed: 3, low: 0, high: 0.01 })],
    ['m.w2', random('f32', [16, 8], { seed: 4, low: 0, high: 0.01 })],
  ]);

const batch = (i: number) => random('f32', [12, 8], { seed: 100 + i });

describe('updates in place', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  const put = async (arrays: ReadonlyMap<string, NDArray>) => {
    const entries = [...arrays].map(
      async ([name, array]) => [name, await device.put(copy(array))] as const,
    );
    return new Map(await Promise.all(entries));
  };

  it('writes a parameter that the graph does not read', async () => {
    const x = input('x', 'f32', ['n', 8]);
    const last = parameter('last', 'f32', [8]);
    const g = graph({ y: x.mul(2) }, { last: x.sum(0) }, [last]);
    const held = await put(new Map([['last', random('f32', [8])]]));
    await using program = await device.compile(g, { parameters: held });
    for (const i of [0, 1]) {
      await program.run({ x: batch(i) });
      const expected = interpret(g, { x: batch(i) }, { last: random('f32', [8]) }).updates;
      const found = await held.get('last')?.read();
      expectClose(found as NDArray, expected.get('last') as NDArray);
    }
  });

  it('equals ping-pong bit for bit over 20 steps, and the interpreter nearly', async () => {
    const { loss, updates } = step();
    const held = await put(start());
    await using inPlace = await device.compile(graph({ loss }, updates), { parameters: held });

    const front = await put(start());
    const back = await put(start());
    const outputs = { loss, ...updates };
    await using forth = await device.compile(graph(outputs), { parameters: front });
    await using home = await device.compile(graph(outputs), { parameters: back });

    let reference = start();
    for (let i = 0; i < 20; i++) {
      const one = await inPlace.run({ x: batch(i) });
      const [program, into] = i % 2 === 0 ? [forth, back] : [home, front];
      const other = await program.run({ x: batch(i) }, { into: Object.fromEntries(into) });
      expect(one.loss.data).toEqual(other.loss.data);
      const expected = interpret(graph({ loss }, updates), { x: batch(i) }, reference);
      reference = expected.updates;
      const found = expected.outputs.get('loss');
      if (found) expectClose(one.loss, found, 1e-5);
    }
    for (const [name, buffer] of held) {
      const final = await buffer.read();
      expect(final.data).toEqual((await front.get(name)?.read())?.data);
      const expected = reference.get(name);
      if (expected) expectClose(final, expected, 1e-4);
    }
  });

  // Any operation that counts as element-wise may be the one that writes over what it reads.
  const ordering = ['less', 'lessEqual', 'greater', 'greaterEqual'];
  const rows = (
    [...Object.values(unaryRows), ...Object.values(binaryRows)] as OpRow<object>[]
  ).filter(({ name }) => !ordering.includes(name));
  for (const row of rows) {
    it(`${row.name} writes over what it reads`, async () => {
      const type = (['f32', 'u32', 'bool'] as const).find((dtype) => stepBy(row, dtype));
      const g = type && stepBy(row, type);
      // isNaN has another type than it reads.
      if (!type || !g) return;
      const value = random(type, [64, 33], { low: type === 'bool' ? 0 : 1, high: 3 });
      const other = random(type, [64, 33], { low: type === 'bool' ? 0 : 1, high: 3, seed: 2 });
      const buffer = await device.put(copy(value));
      const parameters = new Map([
        ['p', buffer],
        ['q', await device.put(copy(other))],
      ]);
      if (['gelu', 'geluTanh', 'silu', 'quickGelu'].includes(row.name)) {
        await expect(device.compile(g, { parameters })).rejects.toMatchObject({
          code: 'runtime/update',
        });
        return;
      }
      await using program = await device.compile(g, { parameters });
      await program.run();
      const given = new Map([
        ['p', value],
        ['q', other],
      ]);
      if (!g.parameters.has('q')) given.delete('q');
      const expected = interpret(g, {}, given).updates.get('p');
      if (expected) expectClose(await buffer.read(), expected, 1e-5);
    });
  }

  /** p becomes op(p) or op(q, p), where the types allow. */
  function stepBy(row: OpRow<object>, dtype: 'f32' | 'u32' | 'bool'): Graph | undefined {
    const [p, q] = ['p', 'q'].map((name) => parameter(name, dtype, [64, 33]));
    try {
      const [next] = build(row, Object.values(unaryRows).includes(row as never) ? [p] : [q, p]);
      return graph({}, { p: next });
    } catch {
      return undefined;
    }
  }

  it('refuses products that would be fused with the write, which do go wrong', async () => {
    const p = parameter('p', 'f32', [64, 64]);
    const g = graph({}, { p: p.matmul(p).add(p) });
    expect(() => checkUpdates(simplify(g))).toThrow(/fused/);
    const session = await ort.InferenceSession.create(encodeModel(toOnnx(simplify(g))));
    const value = random('f32', [64, 64]);
    const tensor = new ort.Tensor('float32', copy(value).data as Float32Array, [64, 64]);
    await session.run({ 'param:p': tensor }, { 'next:p': tensor });
    await session.release();
    const expected = interpret(g, {}, { p: value }).updates.get('p');
    const wrong = Array.from(expected?.data ?? [], Number).filter(
      (number, i) => Math.abs(number - Number(tensor.data[i])) > 0.1,
    );
    expect(wrong.length).toBeGreaterThan(0);
  });

  it('refuses a frozen parameter, a buffer with two names, and a buffer used beside', async () => {
    const p = parameter('p', 'f32', [4]);
    const q = parameter('q', 'f32', [4]);
    const x = input('x', 'f32', [4]);
    const g = graph({ y: x.add(q) }, { p: p.add(1) });
    const array = random('f32', [4]);
    const buffer = await device.put(random('f32', [4]));
    const refused = (parameters: Map<string, NDArray | typeof buffer>) =>
      expect(device.compile(g, { parameters })).rejects;
    await refused(
      new Map([
        ['p', array],
        ['q', array],
      ]),
    ).toMatchObject({
      code: 'compile/parameter',
    });
    await refused(
      new Map([
        ['p', buffer],
        ['q', buffer],
      ]),
    ).toMatchObject({
      code: 'runtime/alias',
    });
    const parameters = new Map([
      ['p', buffer as NDArray | typeof buffer],
      ['q', array],
    ]);
    await using program = await device.compile(g, { parameters });
    await expect(program.run({ x: buffer })).rejects.toMatchObject({ code: 'runtime/alias' });
    await expect(
      program.run({ x: random('f32', [4]) }, { into: { y: buffer } }),
    ).rejects.toMatchObject({ code: 'runtime/alias' });
  });
});
