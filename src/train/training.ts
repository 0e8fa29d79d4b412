// A training run on a device: parameters and optimiser state as buffers, the step as one program, or
// as two where the gradients of several batches are added up.

import { memoryStore } from '../models/checkpoint.js';
import { buildProgram, type Model } from '../models/model.js';
import type { Declarations } from '../nn/index.js';
import type { Device, DeviceBuffer, ParameterValue, Program } from '../runtime/device.js';
import {
  AnyformerError,
  castArray,
  fromNumbers,
  type Graph,
  graph,
  type NDArray,
  ndarray,
  scalar,
  toNumbers,
} from '../tensor/index.js';
import { KEEP, type SumParts, sumGraph, summedLoss, sumSpecs } from './accumulate.js';
import type { Objective } from './objectives.js';
import { type StateSpec, type StepGraph, type StepOptions, stepGraph } from './step.js';

export type Batch = Readonly<Record<string, NDArray>>;

export type Training = AsyncDisposable & {
  readonly model: Model;
  readonly step: StepGraph;
  /**
   * One step on a batch, or on several whose gradients are added up: the loss, the gradient norm and
   * the objective's metrics. The batches' memory moves to the device.
   */
  run(batch: Batch | readonly Batch[], signal?: AbortSignal): Promise<Record<string, number>>;
  /** Loss and metrics of a batch under the weights as they are, and the `weight` they are means over. */
  evaluate(batch: Batch, signal?: AbortSignal): Promise<Record<string, number>>;
  /** Copies of everything that makes the run: parameters, step counter, optimiser state. */
  state(): Promise<Map<string, NDArray>>;
  /** Puts back what `state` gave. */
  restore(state: ReadonlyMap<string, NDArray>): Promise<void>;
  /** The model with the weights as they are now. */
  snapshot(): Promise<Model>;
};

export type TrainingOptions = {
  signal?: AbortSignal | undefined;
  /** Batches whose gradients make one step; 1 unless told. */
  accumulate?: number | undefined;
  /** Compute each block again for its gradient: less memory, a forward pass more. */
  recompute?: boolean | undefined;
};

export async function openTraining(
  model: Model,
  objective: Objective,
  options: StepOptions,
  device: Device,
  { signal, accumulate = 1, recompute }: TrainingOptions = {},
): Promise<Training> {
  if (model.quantization) {
    throw new AnyformerError('train/quantized', {
      what: `'${model.name}' is quantised: its codes have no gradient`,
      expected: 'dense weights',
      found: model.quantization.passes.map(({ name }) => name).join(', ') || 'quantised matrices',
      hint: 'train the original, then compress',
    });
  }
  const { parts, forward, declarations } = learned(model, objective, recompute);
  const { step, sums } = programsOf(parts, declarations, options, accumulate);
  const buffers = new Map<string, DeviceBuffer>();
  const added: DeviceBuffer[] = [];
  const frozen = new Map<string, NDArray>();
  const programs: Program[] = [];
  const dispose = async () => {
    for (const program of programs) await program.dispose();
    for (const buffer of [...buffers.values(), ...added]) await buffer.dispose();
  };
  let parameters: ReadonlyMap<string, ParameterValue>;
  const compile = async (g: Graph) => {
    const program = await device.compile(g, { parameters, signal });
    programs.push(program);
    return program;
  };
  let apply: Program;
  let sum: Program | undefined;
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
    const held = new Map<string, ParameterValue>([...frozen, ...buffers]);
    for (const { name, shape } of sums?.specs ?? []) {
      const buffer = await device.allocate('f32', shape);
      added.push(buffer);
      held.set(name, buffer);
    }
    parameters = held;
    apply = await compile(step.graph);
    if (sums) sum = await compile(sums.graph);
  } catch (error) {
    await dispose();
    throw error;
  }
  let evaluation: Promise<Program> | undefined;
  const state = async () => {
    const copies = new Map<string, NDArray>();
    for (const [name, buffer] of buffers) copies.set(name, await buffer.read());
    return copies;
  };
  return {
    model,
    step,
    run: async (given, abort) => {
      const batches = Array.isArray(given) ? (given as readonly Batch[]) : [given as Batch];
      if (batches.length !== accumulate) throw wrongCount(accumulate, batches.length);
      if (!sum) return numbersOf(await apply.run(batches[0], { signal: abort }));
      for (const [i, batch] of batches.entries()) {
        const keep = fromNumbers('f32', [], [i === 0 ? 0 : 1]);
        await sum.run({ ...batch, [KEEP]: keep }, { signal: abort });
      }
      return numbersOf(await apply.run({}, { signal: abort }));
    },
    evaluate: async (batch, abort) => {
      evaluation ??= compile(forward);
      return numbersOf(await (await evaluation).run(batch, { signal: abort }));
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
    [Symbol.asyncDispose]: dispose,
  };
}

/** The objective over the model: its parts, the program that only measures, what it declares. */
function learned(model: Model, objective: Objective, recompute: boolean | undefined) {
  const { graph: forward, declarations } = buildProgram(
    model,
    (s) => {
      const { loss, metrics, weight } = objective(s, model);
      return { ...metrics, weight: weight ?? scalar('f32', 1), loss };
    },
    { recompute },
  );
  const { loss, weight, ...metrics } = Object.fromEntries(forward.outputs);
  const parts: SumParts = { loss, weight, metrics };
  return { parts, forward: graph({ loss, weight, ...metrics }), declarations };
}

function programsOf(
  parts: SumParts,
  declarations: Declarations,
  options: StepOptions,
  accumulate: number,
): { step: StepGraph; sums?: { graph: Graph; specs: readonly StateSpec[] } } {
  const step = stepGraph(parts.loss, parts.metrics, declarations, options);
  if (accumulate === 1) return { step };
  if (!Number.isInteger(accumulate) || accumulate < 1) throw wrongCount(1, accumulate);
  const trained = step.trained.map((name) => ({
    name,
    shape: declarations.parameters.get(name)?.shape ?? [],
  }));
  const metrics = Object.keys(parts.metrics);
  const mean = summedLoss(trained, metrics);
  return {
    step: stepGraph(mean.loss, mean.metrics, declarations, options),
    sums: { graph: sumGraph(parts, trained), specs: sumSpecs(trained, metrics) },
  };
}

const numbersOf = (results: Readonly<Record<string, NDArray>>): Record<string, number> =>
  Object.fromEntries(Object.entries(results).map(([name, value]) => [name, toNumbers(value)[0]]));

const wrongCount = (expected: number, found: number): AnyformerError =>
  new AnyformerError('train/accumulate', {
    what: 'the number of batches of a step',
    expected: `${expected}`,
    found: `${found}`,
  });
