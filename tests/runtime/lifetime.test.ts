// Abort, disposal, a worker that dies, a process that ends: nobody is left waiting.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import { connect } from '../../src/runtime/node-connection.js';
import { cpuDevice, openDevice } from '../../src/runtime/node-cpu.js';
import {
  constant,
  fromNumbers,
  type Graph,
  graph,
  input,
  parameter,
  toNumbers,
} from '../../src/tensor/index.js';
import { random } from './support.js';

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
    // The run counts itself when it is done, by an update of the device's memory.
    const done = await device.put(fromNumbers('f32', [], [0]));
    const mean = slow(60).outputs.get('y');
    if (!mean) throw new Error('no output');
    const counted = graph(
      { y: mean },
      { done: parameter('done', 'f32', []).add(mean.mul(0).add(1)) },
    );
    await using long = await device.compile(counted, { parameters: new Map([['done', done]]) });
    await using short = await device.compile(double);
    const begin = performance.now();
    await long.run(slowFeed());
    const whole = performance.now() - begin;
    const controller = new AbortController();
    const running = long.run(slowFeed(), { signal: controller.signal });
    await later(Math.min(100, whole / 10));
    const aborted = performance.now();
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(performance.now() - aborted).toBeLessThan(whole / 4);
    const { y } = await short.run({ x: ones(1) });
    expect(toNumbers(await done.read())[0]).toBe(2);
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
