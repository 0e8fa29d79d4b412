// What the Device contract promises, on the Node CPU device: moves, buffers, rows, sizes, sharing,
// bad input.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import {
  concat,
  fromNumbers,
  graph,
  input,
  interpret,
  iota,
  type NDArray,
  parameter,
  toNumbers,
} from '../../src/tensor/index.js';
import { copy, expectClose, random } from './support.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const x = input('x', 'f32', ['n', 4]);
const double = graph({ y: x.mul(2) });
const ones = (n: number) => fromNumbers('f32', [n, 4], new Array(n * 4).fill(1));

describe('runs', () => {
  it('takes the memory of its feeds and leaves views and their neighbours alone', async () => {
    await using program = await device.compile(double);
    const own = ones(3);
    const large = new Float32Array(20).fill(1);
    const view: NDArray = { dtype: 'f32', shape: [3, 4], data: large.subarray(4, 16) };
    const first = await program.run({ x: own });
    const second = await program.run({ x: view });
    expect(own.data.length).toBe(0);
    expect(large.length).toBe(20);
    expect(view.data.length).toBe(12);
    expect(toNumbers(first.y)).toEqual(new Float64Array(12).fill(2));
    expect(second.y).toEqual(first.y);
  });

  it('takes one array for two inputs', async () => {
    const b = input('b', 'f32', ['n', 4]);
    await using program = await device.compile(graph({ y: x.add(b) }));
    const array = ones(2);
    const { y } = await program.run({ x: array, b: array });
    expect(toNumbers(y)).toEqual(new Float64Array(8).fill(2));
  });

  it('gives results that the caller owns, again and again', async () => {
    await using program = await device.compile(double);
    const results = [];
    for (let i = 0; i < 20; i++) {
      const array = random('f32', [4096, 4], { seed: i });
      results.push({ expected: interpret(double, { x: array }).outputs.get('y'), array });
    }
    const found: NDArray[] = [];
    for (const { array } of results) found.push((await program.run({ x: array })).y);
    for (const [i, { expected }] of results.entries()) expect(found[i]).toEqual(expected);
    const again = await program.run({ x: found[0] });
    expect(Number(again.y.data[5])).toBe(Number(results[0].expected?.data[5]) * 2);
    expect(found[1]).toEqual(results[1].expected);
  });

  it('runs one program at several sizes', async () => {
    const a = input('a', 'f32', ['batch', 'n', 8]);
    const b = input('b', 'f32', ['m', 8]);
    const scores = a.matmul(b, { transposeB: true }).softmax();
    const flat = concat([scores.reshape('batch', -1), a.reshape('batch', -1)], 1);
    const g = graph({ scores, flat, places: iota('n'), part: a.slice(1, 0, -1) });
    await using program = await device.compile(g);
    for (const [batch, n, m] of [
      [1, 1, 1],
      [2, 5, 3],
      [3, 17, 9],
      [2, 5, 3],
    ]) {
      const feeds = { a: random('f32', [batch, n, 8]), b: random('f32', [m, 8], { seed: 2 }) };
      const { outputs } = interpret(g, feeds);
      const found = await program.run(feeds);
      for (const [name, array] of outputs) expectClose(found[name], array);
    }
  });

  it('runs on nothing', async () => {
    await using program = await device.compile(double);
    expect(await program.run({ x: ones(0) })).toEqual({ y: ones(0) });
  });

  it('runs in the order of the calls', async () => {
    const state = await device.put(fromNumbers('f32', [1], [0]));
    const s = parameter('s', 'f32', [1]);
    const by = input('by', 'f32', [1]);
    const next = s.mul(2).add(by);
    await using program = await device.compile(graph({ now: next.mul(1) }, { s: next }), {
      parameters: new Map([['s', state]]),
    });
    const runs = [1, 2, 3, 4].map((value) => program.run({ by: fromNumbers('f32', [1], [value]) }));
    const seen = (await Promise.all(runs)).map(({ now }) => Number(now.data[0]));
    expect(seen).toEqual([1, 4, 11, 26]);
  });

  it('shares one session between equal programs and keeps others apart', async () => {
    const w = random('f32', [64, 64]);
    const other = copy(w);
    const build = () =>
      graph({ y: input('x', 'f32', ['n', 64]).matmul(parameter('w', 'f32', [64, 64])) });
    const compile = (value: NDArray) =>
      device.compile(build(), { parameters: new Map([['w', value]]) });
    const [a, b, c] = await Promise.all([compile(w), compile(w), compile(other)]);
    await a.dispose();
    const feed = () => ({ x: random('f32', [2, 64], { seed: 3 }) });
    const fromB = await b.run(feed());
    const fromC = await c.run(feed());
    expect(fromB).toEqual(fromC);
    await b.dispose();
    await expect(b.run(feed())).rejects.toMatchObject({ code: 'runtime/disposed' });
    const again = await compile(w);
    expect(await again.run(feed())).toEqual(fromC);
    await Promise.all([again.dispose(), c.dispose()]);
    // Weights that are frozen stay the caller's.
    expect(w.data.length).toBe(64 * 64);
  });
});

describe('buffers', () => {
  it('are read, written, fed and filled', async () => {
    await using program = await device.compile(double);
    const array = ones(2);
    await using buffer = await device.put(array);
    expect(array.data.length).toBe(0);
    await using target = await device.allocate('f32', [2, 4]);
    expect(await program.run({ x: buffer }, { into: { y: target } })).toEqual({});
    expect(toNumbers(await target.read())).toEqual(new Float64Array(8).fill(2));
    expect(toNumbers(await buffer.read())).toEqual(new Float64Array(8).fill(1));
    await buffer.write(fromNumbers('f32', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]));
    const { y } = await program.run({ x: buffer });
    expect([...y.data]).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
  });

  it('are replaced when a run reads and writes them', async () => {
    const y = x.cumsum(0);
    await using program = await device.compile(graph({ y }));
    await using buffer = await device.put(ones(5));
    await program.run({ x: buffer }, { into: { y: buffer } });
    await program.run({ x: buffer }, { into: { y: buffer } });
    const found = await buffer.read();
    expect([0, 4, 8, 12, 16].map((i) => found.data[i])).toEqual([1, 3, 6, 10, 15]);
  });

  it('take rows along any axis', async () => {
    await using program = await device.compile(
      graph({ y: input('r', 'f32', ['a', 'b', 'c']).mul(1) }),
    );
    for (const axis of [0, 1, 2]) {
      const shape = [3, 4, 5];
      await using buffer = await device.allocate('f32', shape);
      const rows = shape.map((size, i) => (i === axis ? 2 : size));
      const r = random('f32', rows, { low: 1, high: 2 });
      await program.run({ r: copy(r) }, { into: { y: { buffer, axis, start: 1 } } });
      const found = await buffer.read();
      const i = input('x', 'f32', shape);
      const part = interpret(graph({ part: i.slice(axis, 1, 3), all: i.sum() }), { x: found });
      expect(part.outputs.get('part')).toEqual(r);
      const sum = toNumbers(r).reduce((a, b) => a + b, 0);
      expect(Number(part.outputs.get('all')?.data[0])).toBeCloseTo(sum, 3);
    }
  });

  it('grow a cache that the same run reads', async () => {
    const cache = input('cache', 'f32', [6, 4]);
    const row = input('row', 'f32', [1, 4]);
    await using program = await device.compile(graph({ seen: cache.sum(), row2: row.mul(2) }));
    await using buffer = await device.allocate('f32', [6, 4]);
    const seen = [];
    for (let i = 0; i < 4; i++) {
      const out = await program.run(
        { cache: buffer, row: ones(1) },
        { into: { row2: { buffer, axis: 0, start: i } } },
      );
      seen.push(Number(out.seen.data[0]));
    }
    expect(seen).toEqual([0, 8, 16, 24]);
  });

  it('refuse what does not fit', async () => {
    await using program = await device.compile(double);
    await using small = await device.allocate('f32', [1, 4]);
    const run = (into: object) =>
      expect(program.run({ x: ones(2) }, { into: into as Record<string, typeof small> })).rejects;
    await run({ y: small }).toMatchObject({ code: 'runtime/shape' });
    await run({ y: { buffer: small, axis: 0, start: 0 } }).toMatchObject({ code: 'runtime/shape' });
    await run({ y: { buffer: small, axis: 7, start: 0 } }).toMatchObject({ code: 'runtime/shape' });
    await run({ yy: small }).toMatchObject({ code: 'runtime/output', expected: 'y' });
    await expect(small.write(ones(2))).rejects.toMatchObject({ code: 'runtime/shape' });
    await expect(device.allocate('f32', [-1])).rejects.toMatchObject({ code: 'runtime/shape' });
    await expect(device.allocate('bf16', [1])).rejects.toMatchObject({ code: 'runtime/dtype' });
    await small.dispose();
    await small.dispose();
    await expect(small.read()).rejects.toMatchObject({ code: 'runtime/disposed' });
    await run({ y: small }).toMatchObject({ code: 'runtime/disposed' });
    await using foreign = await cpuDevice({ threads: 1 });
    const elsewhere = await foreign.allocate('f32', [2, 4]);
    await run({ y: elsewhere }).toMatchObject({ code: 'runtime/device' });
  });
});

describe('bad input', () => {
  it('is refused before anything moves', async () => {
    const b = input('b', 'i64', ['n']);
    await using program = await device.compile(graph({ y: x.gather(b) }));
    const array = ones(3);
    const ids = fromNumbers('i64', [3], [0, 1, 2]);
    const refused = (feeds: Record<string, NDArray>) => expect(program.run(feeds)).rejects;
    await refused({ x: array }).toMatchObject({ code: 'run/missing-input' });
    await refused({ x: array, b: ids, c: ids }).toMatchObject({ code: 'run/unknown-input' });
    await refused({ x: array, b: fromNumbers('i64', [2], [0, 1]) }).toMatchObject({
      code: 'run/shape',
    });
    await refused({ x: array, b: fromNumbers('i32', [3], [0, 1, 2]) }).toMatchObject({
      code: 'run/shape',
    });
    expect(array.data.length).toBe(12);
    await program.run({ x: array, b: ids });
    await refused({ x: array, b: fromNumbers('i64', [3], [0, 1, 2]) }).toMatchObject({
      code: 'runtime/moved',
    });
  });

  it('comes back with the native text and the node', async () => {
    const at = input('at', 'i64', [1]);
    const g = graph({ y: x.gather(at) });
    await using program = await device.compile(g);
    const error = await program
      .run({ x: ones(2), at: fromNumbers('i64', [1], [9]) })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'runtime/run' });
    expect((error as Error).message).toMatch(/Gather/);
    expect((error as { cause: Error }).cause.message).toMatch(/idx=9/);
    const { y } = await program.run({ x: ones(2), at: fromNumbers('i64', [1], [1]) });
    expect(toNumbers(y)).toEqual(new Float64Array(4).fill(1));
  });

  it('names a missing parameter and a missing kernel', async () => {
    const g = graph({ y: x.matmul(parameter('w', 'f32', [4, 4])) });
    await expect(device.compile(g)).rejects.toMatchObject({ code: 'compile/parameter' });
    const wrong = new Map([['w', random('f32', [4, 5])]]);
    await expect(device.compile(g, { parameters: wrong })).rejects.toMatchObject({
      code: 'run/shape',
    });
    await expect(device.compile(graph({}))).rejects.toMatchObject({ code: 'compile/empty' });
    const half = input('h', 'bf16', [4]);
    await expect(device.compile(graph({ y: half }))).rejects.toMatchObject({
      code: 'runtime/dtype',
    });
    await expect(cpuDevice({ threads: 0 })).rejects.toMatchObject({ code: 'runtime/threads' });
  });
});
