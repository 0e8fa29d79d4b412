// Draws inside a graph are the same bits on the device as in the reference interpreter.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import {
  bernoulli,
  fromNumbers,
  graph,
  input,
  interpret,
  normal,
  randomBits,
  uniform,
} from '../../src/tensor/index.js';
import { copies, expectParity } from './support.js';

describe('draws on the CPU device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  const step = input('step', 'i64', []);
  const x = input('x', 'f32', ['batch', 7]);
  const here = { seed: 123456789, step, path: 'layers.2.mlp' };
  const shapes = { fixed: [33, 5], symbolic: [...x.shape, 3] };
  const feeds = {
    step: fromNumbers('i64', [], [2 ** 31 + 5]),
    x: fromNumbers('f32', [9, 7], new Float32Array(63)),
  };

  it.each(['fixed', 'symbolic'] as const)('are bit for bit those of the host, %s', async (kind) => {
    const shape = shapes[kind];
    const g = graph({
      bits: randomBits(shape, here),
      single: uniform(shape, here),
      double: uniform(shape, here, 'f64'),
      kept: bernoulli(shape, 0.9, here),
      // An input is a result, so that its size is there.
      given: x.add(0),
    });
    const program = await device.compile(g, {});
    const results = await program.run(copies(feeds));
    const expected = interpret(g, feeds).outputs;
    for (const name of ['bits', 'single', 'double', 'kept']) {
      expect(results[name]).toEqual(expected.get(name));
    }
    await program.dispose();
  });

  it('normal ones agree up to rounding', () =>
    expectParity(device, { y: normal([50, 3], here) }, { step: feeds.step }, 2e-6));
});
