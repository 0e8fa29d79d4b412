// What the Device contract promises, on the Node CPU device: moves, buffers, rows, sizes, sharing,
// abort, disposal, bad input, a worker that dies.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, FileBytes } from '../../src/runtime/device.js';
import { connect } from '../../src/runtime/node-connection.js';
import { cpuDevice, openDevice } from '../../src/runtime/node-cpu.js';
import {
  bytesOf,
  concat,
  constant,
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  iota,
  type NDArray,
  parameter,
  toNumbers,
} from '../../src/tensor/index.js';
import { copy, expectClose, random } from './support.js';

const dist = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href;

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const x = input('x', 'f32', ['n', 4]);
const double = graph({ y: x.mul(2) });
const ones = (n: number) => fromNumbers('f32', [n, 4], new Array(n * 4).fill(1));

/** A chain of products that takes a while: about 2 GFLOP a link. */
function slow(links: number): Graph {
  let y = input('a', 'f32', [1024, 1024]);
  const w = constant(random('f32', [1024, 1024], { low: -0.05, high: 0.05 }));
  for (let i = 0; i < links; i++) y = y.matmul(w).tanh();
  return graph({ y: y.mean() });
}
const slowFeed = () => ({ a: random('f32', [1024, 1024]) });
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

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

describe('weights in files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anyformer-weights-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const w = random('f32', [512, 768], { low: -1, high: 1 });
  const gain = random('f32', [768], { seed: 2 });
  const g = graph({
    y: input('x', 'f32', ['n', 512])
      .matmul(parameter('w', 'f32', [512, 768]))
      .mul(parameter('gain', 'f32', [768])),
  });
  const feed = () => ({ x: random('f32', [3, 512], { seed: 3 }) });

  async function write(name: string, offset: number): Promise<Map<string, FileBytes>> {
    const path = join(folder, name);
    const bytes = [new Uint8Array(offset), bytesOf(w), bytesOf(gain)];
    await writeFile(path, Buffer.concat(bytes));
    const at = (array: NDArray, start: number): FileBytes => ({
      dtype: 'f32',
      shape: array.shape,
      path,
      offset: start,
      length: array.data.byteLength,
    });
    return new Map([
      ['w', at(w, offset)],
      ['gain', at(gain, offset + w.data.byteLength)],
    ]);
  }

  it('gives what arrays give, wherever in the file they begin', async () => {
    const parameters = new Map([
      ['w', w],
      ['gain', gain],
    ]);
    await using inMemory = await device.compile(g, { parameters });
    const expected = await inMemory.run(feed());
    for (const offset of [0, 8, 13, 4096]) {
      const files = await write(`at-${offset}.bin`, offset);
      await using program = await device.compile(g, { parameters: files });
      expectClose((await program.run(feed())).y, expected.y, 1e-6);
    }
    // Links, as in the Hub's cache, are followed here and not by the runtime.
    const files = await write('real.bin', 8);
    const link = join(folder, 'link.safetensors');
    await symlink('real.bin', link);
    const linked = new Map([...files].map(([name, file]) => [name, { ...file, path: link }]));
    await using program = await device.compile(g, { parameters: linked });
    expectClose((await program.run(feed())).y, expected.y, 1e-6);
  });

  it('sees a file that was replaced', async () => {
    const files = await write('changing.bin', 8);
    await using before = await device.compile(g, { parameters: files });
    const first = await before.run(feed());
    const other = random('f32', [512, 768], { seed: 9, low: -1, high: 1 });
    await rm(join(folder, 'changing.bin'));
    await writeFile(
      join(folder, 'changing.bin'),
      Buffer.concat([new Uint8Array(8), bytesOf(other), bytesOf(gain)]),
    );
    await using after = await device.compile(g, { parameters: files });
    expect((await after.run(feed())).y.data[0]).not.toBe(first.y.data[0]);
    expect(await before.run(feed())).toEqual(first);
  });

  it('refuses a file that is missing or too short', async () => {
    const files = await write('short.bin', 8);
    await writeFile(join(folder, 'short.bin'), new Uint8Array(100));
    await expect(device.compile(g, { parameters: files })).rejects.toMatchObject({
      code: 'file/truncated',
    });
    await rm(join(folder, 'short.bin'));
    await expect(device.compile(g, { parameters: files })).rejects.toMatchObject({
      code: 'file/not-found',
    });
  });
});

describe('abort', () => {
  it('before: nothing moves', async () => {
    await using program = await device.compile(double);
    const array = ones(2);
    const reason = new Error('never mind');
    const signal = AbortSignal.abort(reason);
    await expect(program.run({ x: array }, { signal })).rejects.toBe(reason);
    expect(array.data.length).toBe(8);
    await expect(device.compile(double, { signal })).rejects.toBe(reason);
    await expect(cpuDevice({ signal })).rejects.toBe(reason);
  });

  it('during: rejects at once, and the device finishes the run before the next', async () => {
    const links = 60;
    await using long = await device.compile(slow(links));
    await using short = await device.compile(double);
    const begin = performance.now();
    await long.run(slowFeed());
    const whole = performance.now() - begin;
    const controller = new AbortController();
    const running = long.run(slowFeed(), { signal: controller.signal });
    await later(whole / 4);
    const aborted = performance.now();
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(performance.now() - aborted).toBeLessThan(whole / 4);
    const { y } = await short.run({ x: ones(1) });
    expect(performance.now() - aborted).toBeGreaterThan(whole / 4);
    expect(toNumbers(y)).toEqual(new Float64Array(4).fill(2));
  });

  it('in the queue: the run never begins', async () => {
    const state = await device.put(fromNumbers('f32', [1], [0]));
    const s = parameter('s', 'f32', [1]);
    await using long = await device.compile(slow(20));
    await using count = await device.compile(graph({}, { s: s.add(1) }), {
      parameters: new Map([['s', state]]),
    });
    const controller = new AbortController();
    const running = long.run(slowFeed());
    await later(20);
    const kept = count.run();
    const dropped = count.run({}, { signal: controller.signal });
    controller.abort();
    await expect(dropped).rejects.toThrow();
    await Promise.all([running, kept]);
    expect([...(await state.read()).data]).toEqual([1]);
  });

  it('after: changes nothing', async () => {
    await using program = await device.compile(double);
    const controller = new AbortController();
    const { y } = await program.run({ x: ones(1) }, { signal: controller.signal });
    controller.abort();
    expect(toNumbers(y)).toEqual(new Float64Array(4).fill(2));
    expect(await program.run({ x: ones(1) })).toEqual({ y });
  });
});

describe('the end of a device', () => {
  it('rejects what waits, and may be asked for twice', async () => {
    const own = await cpuDevice({ threads: 1 });
    const program = await own.compile(slow(10));
    const buffer = await own.put(ones(1));
    const running = program.run(slowFeed());
    const queued = program.run(slowFeed());
    const ended = Promise.all([
      expect(running).rejects.toMatchObject({ code: 'runtime/disposed' }),
      expect(queued).rejects.toMatchObject({ code: 'runtime/disposed' }),
    ]);
    await Promise.all([own.dispose(), own.dispose()]);
    await ended;
    await expect(program.run(slowFeed())).rejects.toMatchObject({ code: 'runtime/disposed' });
    await expect(buffer.read()).rejects.toMatchObject({ code: 'runtime/disposed' });
    await expect(own.compile(double)).rejects.toMatchObject({ code: 'runtime/disposed' });
    await buffer.dispose();
    await program.dispose();
    await program.dispose();
    await own.dispose();
  });

  it('leaves no thread behind when it is aborted while it opens', async () => {
    for (const wait of [0, 5, 20, 60]) {
      const controller = new AbortController();
      const opening = cpuDevice({ threads: 1, signal: controller.signal });
      setTimeout(() => controller.abort(new Error('too slow')), wait);
      const opened = await opening.catch((error: unknown) => error);
      if (opened instanceof Error) expect(opened.message).toBe('too slow');
      else await (opened as Device).dispose();
    }
  });

  // Against dist, as users have it: the exit code is the process's own in every case.
  const script = (end: string) => `
    const { cpuDevice } = await import(${JSON.stringify(dist('runtime/node-cpu.js'))});
    const t = await import(${JSON.stringify(dist('tensor/index.js'))});
    const device = await cpuDevice({ threads: 1 });
    let y = t.input('x', 'f32', ['n', 512]);
    const w = t.constant(t.zerosOf('f32', [512, 512]));
    for (let i = 0; i < 20; i++) y = y.matmul(w);
    const program = await device.compile(t.graph({ y }));
    await program.run({ x: t.zerosOf('f32', [1, 512]) });
    ${end}
  `;
  const ends = {
    'with nothing running': { end: '', code: 0 },
    'by process.exit during a run': {
      end: `program.run({ x: t.zerosOf('f32', [2048, 512]) });
        setTimeout(() => process.exit(7), 10);`,
      code: 7,
    },
    'by an error during a run': {
      end: `program.run({ x: t.zerosOf('f32', [2048, 512]) });
        setTimeout(() => { throw new Error('oops'); }, 10);`,
      code: 1,
    },
  };
  for (const [how, { end, code }] of Object.entries(ends)) {
    it(`may be forgotten: the process ends ${how}`, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(end)]);
      child.stderr.resume();
      const [found, signal] = await once(child, 'exit');
      expect({ found, signal }).toEqual({ found: code, signal: null });
    });
  }

  const worker = fileURLToPath(new URL('crashing-worker.mjs', import.meta.url));
  for (const [threads, how] of [
    [1, 'exit code 3'],
    [2, 'out of luck'],
  ] as const) {
    it(`by a crash rejects everybody with a reason: ${how}`, async () => {
      const own = openDevice(await connect(worker, { threads }), threads);
      const program = await own.compile(double);
      const runs = [1, 2, 3].map((n) => program.run({ x: ones(n) }));
      for (const run of runs) {
        await expect(run).rejects.toMatchObject({ code: 'runtime/crashed', found: how });
      }
      await expect(own.put(ones(1))).rejects.toMatchObject({ code: 'runtime/crashed' });
      await own.dispose();
    });
  }
});
