// Small fits with named parameters: a loss over leaves, minimised by Adam on the device.
import { Scope } from '../../nn/index.js';
import {
  fromNumbers,
  type Graph,
  graph,
  type NDArray,
  normalAt,
  sizeOf,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';
import { adamw } from '../../train/optimizers.js';
import { cosine } from '../../train/schedules.js';
import { stepGraph } from '../../train/step.js';
import type { MeasureContext } from '../system.js';

export type Fit = {
  /** Builds the loss over a scope's parameters, and what is asked of the result. */
  build(s: Scope): { loss: Tensor; asked: Readonly<Record<string, Tensor>> };
  feeds(): Readonly<Record<string, NDArray>>;
  /** Feeds of what is asked, where they differ. */
  test?(): Readonly<Record<string, NDArray>>;
  steps: number;
  rate: number;
  seed: number;
};

/** Fits, and returns what was asked, at the end. Matrices begin at 1/sqrt(inputs). */
export async function fit(
  { device, signal }: MeasureContext,
  { build, feeds, test = feeds, steps, rate, seed }: Fit,
): Promise<Record<string, NDArray>> {
  const scope = Scope.root();
  const { loss, asked } = build(scope);
  const options = { optimizer: adamw(), rate, schedule: cosine({ steps, floor: 0.01 }) };
  const step = stepGraph(loss, {}, scope.declarations, options);
  const buffers = new Map<string, Awaited<ReturnType<typeof device.put>>>();
  const result: Graph = graph(asked);
  try {
    let stream = seed * 1000;
    for (const { name, shape, init } of scope.declarations.parameters.values()) {
      stream++;
      const scale = shape.length > 1 ? 1 / Math.sqrt(shape[1]) : 0.5;
      const value = (i: number) =>
        init.kind === 'constant' ? init.value : scale * normalAt(stream, i);
      const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => value(i));
      buffers.set(name, await device.put(fromNumbers('f32', shape, values)));
    }
    for (const { name, shape } of step.state)
      buffers.set(name, await device.allocate('f32', shape));
    await using program = await device.compile(step.graph, { parameters: buffers, signal });
    for (let i = 0; i < steps; i++) await program.run(feeds(), { signal });
    await using reader = await device.compile(result, { parameters: buffers, signal });
    return await reader.run(test(), { signal });
  } finally {
    for (const buffer of buffers.values()) await buffer.dispose();
  }
}

export const only = (array: NDArray): number => toNumbers(array)[0];
