// A training run on a device: parameters and optimiser state as buffers, the step as one program.

import { memoryStore } from '../models/checkpoint.js';
import { buildProgram, type Model } from '../models/model.js';
import type { Device, DeviceBuffer, ParameterValue, Program } from '../runtime/device.js';
import { AnyformerError, castArray, type NDArray, ndarray, toNumbers } from '../tensor/index.js';
import type { Objective } from './objectives.js';
import { type StepGraph, type StepOptions, stepGraph } from './step.js';

export type Training = AsyncDisposable & {
  readonly model: Model;
  readonly step: StepGraph;
  /** One step on a batch: the loss, the gradient norm and the objective's metrics. */
  run(
    batch: Readonly<Record<string, NDArray>>,
    signal?: AbortSignal,
  ): Promise<Record<string, number>>;
  /** Copies of everything that makes the run: parameters, step counter, optimiser state. */
  state(): Promise<Map<string, NDArray>>;
  /** Puts back what `state` gave. */
  restore(state: ReadonlyMap<string, NDArray>): Promise<void>;
  /** The model with the weights as they are now. */
  snapshot(): Promise<Model>;
};

export async function openTraining(
  model: Model,
  objective: Objective,
  options: StepOptions,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Training> {
  if (model.quantization) {
    throw new AnyformerError('train/quantized', {
      what: `'${model.name}' is quantised: its codes have no gradient`,
      expected: 'dense weights',
      found: model.quantization.passes.map(({ name }) => name).join(', ') || 'quantised matrices',
      hint: 'train the original, then compress',
    });
  }
  const { graph, declarations } = buildProgram(model, (s) => {
    const { loss, metrics } = objective(s, model);
    return { ...metrics, loss };
  });
  const { loss, ...metrics } = Object.fromEntries(graph.outputs);
  const step = stepGraph(loss, metrics, declarations, options);
  const buffers = new Map<string, DeviceBuffer>();
  const frozen = new Map<string, NDArray>();
  let program: Program;
  try {
    for (const { name, dtype } of declarations.parameters.values()) {
      const value = castArray(await model.weights.read(name), dtype);
      // The device takes the memory it is given; the model keeps its own.
      const own = ndarray(dtype, value.shape, value.data.slice() as NDArray['data']);
      if (step.frozen.includes(name)) frozen.set(name, own);
      else buffers.set(name, await device.put(own));
    }
    for (const { name, shape } of step.state)
      buffers.set(name, await device.allocate('f32', shape));
    const parameters = new Map<string, ParameterValue>([...frozen, ...buffers]);
    program = await device.compile(step.graph, { parameters, signal });
  } catch (error) {
    for (const buffer of buffers.values()) await buffer.dispose();
    throw error;
  }
  const state = async () => {
    const copies = new Map<string, NDArray>();
    for (const [name, buffer] of buffers) copies.set(name, await buffer.read());
    return copies;
  };
  return {
    model,
    step,
    run: async (batch, abort) => {
      const results = await program.run(batch, { signal: abort });
      return Object.fromEntries(
        Object.entries(results).map(([name, value]) => [name, toNumbers(value)[0]]),
      );
    },
    state,
    restore: async (saved) => {
      for (const [name, buffer] of buffers) {
        const array = saved.get(name);
        if (!array) {
          throw new AnyformerError('train/restore', {
            what: `the saved state has no '${name}'`,
            expected: `${buffers.size} tensors`,
            found: `${saved.size} tensors`,
          });
        }
        await buffer.write(
          ndarray(array.dtype, array.shape, array.data.slice() as NDArray['data']),
        );
      }
    },
    snapshot: async () => {
      const now = new Map([...frozen, ...(await state())]);
      for (const { name } of step.state) now.delete(name);
      return { ...model, weights: memoryStore(now), quality: undefined };
    },
    [Symbol.asyncDispose]: async () => {
      await program.dispose();
      for (const buffer of buffers.values()) await buffer.dispose();
    },
  };
}
