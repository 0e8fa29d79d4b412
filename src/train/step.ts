// The training step as ONE graph: forward, backward, clipping, optimiser. Parameters and optimiser
// state live on the device and are written in place. In-place writing needs every reader of a
// parameter to come first: all updates depend on the global gradient norm, which depends on every
// gradient.
import type { Declarations } from '../nn/index.js';
import { type Graph, grad, graph, parameter, scalar, type Tensor } from '../tensor/index.js';
import type { Optimizer } from './optimizers.js';
import type { Schedule } from './schedules.js';

/** Parameters by a pattern on their names, with settings of their own. */
export type ParameterGroup = {
  match: (name: string, shape: readonly number[]) => boolean;
  /** Factor of the learning rate; 0 freezes the group: it has no gradient and no state. */
  rate?: number;
  decay?: number;
};

export type StepOptions = {
  optimizer: Optimizer;
  /** The learning rate before the schedule. */
  rate: number;
  schedule: Schedule;
  /** Weight decay of matrices; gains, biases and other vectors have none unless a group says so. */
  decay?: number;
  /** Largest global gradient norm; infinite unless told. */
  clip?: number;
  groups?: readonly ParameterGroup[];
};

/** What the device holds besides the parameters: the step counter and the optimiser's state. */
export type StateSpec = { readonly name: string; readonly shape: readonly number[] };

export type StepGraph = {
  /** Outputs: `loss`, `norm` (of the gradients), and the objective's metrics. */
  readonly graph: Graph;
  readonly trained: readonly string[];
  readonly frozen: readonly string[];
  readonly state: readonly StateSpec[];
};

export const STEP = 'train.step';
export const stateName = (parameterName: string, name: string): string =>
  `train.${name}:${parameterName}`;

type Trained = {
  leaf: Tensor;
  name: string;
  shape: readonly number[];
  rate: number;
  decay: number;
};

/** The step of a loss over a model's declared parameters. */
export function stepGraph(
  loss: Tensor,
  metrics: Readonly<Record<string, Tensor>>,
  { parameters }: Declarations,
  options: StepOptions,
): StepGraph {
  const { optimizer, schedule, clip = Number.POSITIVE_INFINITY, groups = [] } = options;
  const trained: Trained[] = [];
  const frozen: string[] = [];
  for (const { name, dtype, shape } of parameters.values()) {
    const group = groups.find(({ match }) => match(name, shape));
    const rate = group?.rate ?? 1;
    if (rate === 0 || dtype !== 'f32') frozen.push(name);
    else {
      const decay = group?.decay ?? (shape.length > 1 ? (options.decay ?? 0) : 0);
      trained.push({ leaf: parameter(name, dtype, shape), name, shape, rate, decay });
    }
  }
  const gradients = grad(
    loss,
    trained.map(({ leaf }) => leaf),
  );
  const norm = gradients
    .map((g) => g.sumSquares())
    .reduce((a, b) => a.add(b), scalar('f32', 0))
    .sqrt();
  const kept = norm
    .mul(1 / clip)
    .maximum(1)
    .reciprocal();
  const counter = parameter(STEP, 'f32', []);
  const step = counter.add(1);
  const rate = schedule(step).mul(options.rate);
  const updates: Record<string, Tensor> = { [STEP]: step };
  const state: StateSpec[] = [{ name: STEP, shape: [] }];
  trained.forEach(({ leaf, name, shape, rate: factor, decay }, i) => {
    const specs = Object.entries(optimizer.state(shape));
    const held = specs.map(
      ([key, size]) => [key, parameter(stateName(name, key), 'f32', size)] as const,
    );
    state.push(...specs.map(([key, size]) => ({ name: stateName(name, key), shape: size })));
    const next = optimizer.update({
      parameter: leaf,
      gradient: gradients[i],
      clip: kept,
      state: Object.fromEntries(held),
      step,
      rate: factor === 1 ? rate : rate.mul(factor),
      decay,
    });
    updates[name] = next.parameter;
    for (const [key] of specs) updates[stateName(name, key)] = next.state[key];
  });
  return {
    graph: graph({ loss, norm, ...metrics }, updates),
    trained: trained.map(({ name }) => name),
    frozen,
    state,
  };
}
