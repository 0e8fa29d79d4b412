// What a device may cost the process around it: the event loop stays free while native code runs,
// and memory comes back.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Device, Program } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import { constant, type Graph, graph, input, parameter } from '../../src/tensor/index.js';
import { random } from './support.js';

function products(links: number): Graph {
  let y = input('x', 'f32', [1024, 1024]);
  const w = constant(random('f32', [1024, 1024], { low: -0.05, high: 0.05 }));
  for (let i = 0; i < links; i++) y = y.matmul(w).tanh();
  return graph({ y: y.mean() });
}

const feed = () => ({ x: random('f32', [1024, 1024]) });

/** A program whose run takes `seconds` or more, on whatever machine, however busy. */
async function compileFor(device: Device, seconds: number): Promise<Program> {
  for (let links = 32; ; links *= 2) {
    const program = await device.compile(products(links));
    await program.run(feed());
    const begin = performance.now();
    await program.run(feed());
    if (performance.now() - begin > seconds * 1000) return program;
    await program.dispose();
  }
}

type Lateness = { took: number; ticks: number; worst: number };

/** How late a 10 ms timer of this thread gets while `work` goes on. */
async function lateness(work: () => Promise<unknown>): Promise<Lateness> {
  let worst = 0;
  let ticks = 0;
  let due = performance.now() + 10;
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - due);
    due = now + 10;
    ticks++;
  }, 10);
  const begin = performance.now();
  await work();
  clearInterval(timer);
  return { took: performance.now() - begin, ticks, worst };
}

describe('a device under load', () => {
  it('leaves the event loop free during a run of about two seconds', {
    timeout: 120_000,
  }, async () => {
    await using device = await cpuDevice();
    await using program = await compileFor(device, 2);
    // Other processes of a busy machine delay timers too: the bound is 50 ms, or three
    // times what they cost without the run, and of a few attempts the best counts. A loop that native
    // code blocks is late by the whole run in every one of them.
    const attempts: { run: number; bound: number }[] = [];
    const held = () => attempts.some(({ run, bound }) => run <= bound);
    while (attempts.length < 5 && !held()) {
      const feeds = feed();
      await sleep(100);
      const run = await lateness(() => program.run(feeds));
      const control = await lateness(() => sleep(run.took));
      // Ten times the bound at least, however the speed of a shared machine changes.
      expect(run.took).toBeGreaterThan(500);
      expect(run.ticks).toBeGreaterThan(run.took / 50);
      attempts.push({
        run: run.worst,
        bound: Math.min(run.took / 4, Math.max(50, 3 * control.worst)),
      });
    }
    expect(held(), `milliseconds late: ${JSON.stringify(attempts)}`).toBe(true);
  });

  it('gives memory back over 200 rounds of compile, run, dispose', {
    timeout: 120_000,
  }, async () => {
    await using device = await cpuDevice({ threads: 2 });
    const megabytes = 2;
    const side = Math.sqrt((megabytes * 2 ** 20) / 4);
    const g = graph({
      y: input('x', 'f32', ['n', Math.floor(side)]).matmul(
        parameter('w', 'f32', [Math.floor(side), Math.floor(side)]),
      ),
    });
    const round = async (i: number) => {
      const w = random('f32', [Math.floor(side), Math.floor(side)], { seed: i });
      await using program = await device.compile(g, { parameters: new Map([['w', w]]) });
      await using state = await device.put(random('f32', [64, Math.floor(side)]));
      await program.run({ x: state });
    };
    for (let i = 0; i < 40; i++) await round(i);
    await turn();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 200; i++) await round(i);
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
    // One copy of the weights kept in each round would be 400 MB. What may remain is what two
    // garbage collectors (this thread's and the worker's) have not yet looked at.
    expect(grown).toBeLessThan(64);
  });
});
