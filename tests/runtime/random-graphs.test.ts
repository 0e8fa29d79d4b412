// Graphs that grew at random, on the device against the reference interpreter: with parameters
// frozen, and with parameters that are updated in place wherever that is held to be safe.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, DeviceBuffer } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import {
  AnyformerError,
  type Graph,
  graph,
  interpret,
  type NDArray,
  type Tensor,
} from '../../src/tensor/index.js';
import { type RandomGraph, randomGraphs } from '../support/random-graph.js';
import { copies, copy, expectClose } from './support.js';

describe('random graphs on the CPU device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  const onlyInputs = (g: Graph, feeds: ReadonlyMap<string, NDArray>) =>
    new Map([...feeds].filter(([name]) => g.inputs.has(name)));
  const feedsOf = (feeds: ReadonlyMap<string, NDArray>) => copies(Object.fromEntries(feeds));

  async function agreesFrozen(one: RandomGraph, tolerance: number): Promise<void> {
    const { feeds, parameters } = one;
    const g = graph(one.graph.outputs);
    const needed = new Map([...parameters].filter(([name]) => g.parameters.has(name)));
    const { outputs } = interpret(g, onlyInputs(g, feeds), needed);
    await using program = await device.compile(g, { parameters });
    const found = await program.run(feedsOf(onlyInputs(g, feeds)));
    for (const [name, array] of outputs) expectClose(found[name], array, tolerance);
  }

  /** The graph with a next value of `w` and `v` that waits for some of its outputs. */
  function withUpdates(g: Graph, waitsFor: number): Graph {
    const waited = [...g.outputs.values()].filter((_, i) => (waitsFor >> i) % 2 === 1);
    const shift = waited.reduce<Tensor | undefined>(
      (sum, x) => sum?.add(x.mean()) ?? x.mean(),
      undefined,
    );
    const next = (x: Tensor) => (shift ? x.mul(0.9).add(shift) : x.mul(0.9));
    const updated = [...g.parameters].filter(([name]) => name === 'w' || name === 'v');
    return graph(g.outputs, new Map(updated.map(([name, x]) => [name, next(x)])));
  }

  /** Whether the graph's updates may be made in place; if so, that they are made right. */
  async function agreesInPlace(g: Graph, one: RandomGraph, tolerance: number): Promise<boolean> {
    const { feeds, parameters } = one;
    const held = new Map<string, DeviceBuffer>();
    for (const [name, array] of parameters) held.set(name, await device.put(copy(array)));
    try {
      await using program = await device.compile(g, { parameters: held });
      const { outputs, updates } = interpret(g, feeds, parameters);
      const found = await program.run(feedsOf(feeds));
      for (const [name, array] of outputs) expectClose(found[name], array, tolerance);
      for (const [name, array] of updates) {
        const buffer = held.get(name);
        if (buffer) expectClose(await buffer.read(), array, tolerance);
      }
      return true;
    } catch (error) {
      if (error instanceof AnyformerError && error.code === 'runtime/update') return false;
      throw error;
    } finally {
      for (const buffer of held.values()) await buffer.dispose();
    }
  }

  for (const [dtype, tolerance] of [
    ['f32', 2e-5],
    // The normalisations keep their epsilon in float32.
    ['f64', 1e-7],
  ] as const) {
    const graphs = randomGraphs({ dtype });
    it(`${dtype} within ${tolerance}, parameters frozen`, { timeout: 120_000 }, () =>
      fc.assert(
        fc.asyncProperty(graphs, (one) => agreesFrozen(one, tolerance)),
        { numRuns: 100 },
      ),
    );

    it(`${dtype} within ${tolerance}, parameters updated in place`, {
      timeout: 120_000,
    }, async () => {
      let made = 0;
      let refused = 0;
      // All ones: the update waits for every output, and so for every reader.
      const waits = fc.oneof(fc.constant(2 ** 30 - 1), fc.nat(2 ** 10));
      const property = fc.asyncProperty(graphs, waits, async (one, waitsFor) => {
        const g = withUpdates(one.graph, waitsFor);
        if (g.updates.size === 0) return;
        if (await agreesInPlace(g, one, tolerance)) made++;
        else refused++;
      });
      await fc.assert(property, { numRuns: 150 });
      expect(Math.min(made, refused), `${made} made, ${refused} refused`).toBeGreaterThan(10);
    });
  }
});
