// One step over several batches that would not fit together: one program adds each batch's gradients
// to sums on the device, another applies the sums. Batches count by what their losses are means over
// (tokens, rows), so that the result is the step of the big batch, padding or not.
import {
  type Graph,
  grad,
  graph,
  input,
  parameter,
  scalar,
  type Tensor,
  withGradient,
} from '../tensor/index.js';
import type { StateSpec } from './step.js';

/** f32 scalar input of the summing program: 0 at the first batch of a step, 1 after. */
export const KEEP = 'train.keep';

const LOSS = 'loss';
const WEIGHT = 'weight';
const sumName = (name: string): string => `train.sum:${name}`;
const metricName = (name: string): string => `metric ${name}`;

const sumOf = ({ name, shape }: StateSpec): Tensor => parameter(sumName(name), 'f32', shape);
const ofScalar = (name: string): StateSpec => ({ name, shape: [] });

/** The buffers that the sums need, all of zeros. */
export const sumSpecs = (
  trained: readonly StateSpec[],
  metrics: readonly string[],
): readonly StateSpec[] =>
  [...trained, ...[LOSS, WEIGHT, ...metrics.map(metricName)].map(ofScalar)].map((spec) => ({
    ...spec,
    name: sumName(spec.name),
  }));

/** Adds the gradients of a batch, its loss and its metrics, times its weight. Output: `loss`. */
export function sumGraph(
  { loss, weight, metrics }: SumParts,
  trained: readonly StateSpec[],
): Graph {
  const keep = input(KEEP, 'f32', []);
  const counts = weight.stopGradient();
  const leaves = trained.map(({ name, shape }) => parameter(name, 'f32', shape));
  const gradients = grad(loss.mul(counts), leaves);
  const updates: Record<string, Tensor> = {};
  const add = (spec: StateSpec, value: Tensor) => {
    updates[sumName(spec.name)] = sumOf(spec).mul(keep).add(value);
  };
  trained.forEach((spec, i) => {
    add(spec, gradients[i]);
  });
  add(ofScalar(LOSS), loss.mul(counts));
  add(ofScalar(WEIGHT), counts);
  for (const [name, value] of Object.entries(metrics)) {
    add(ofScalar(metricName(name)), value.mul(counts));
  }
  return graph({ loss }, updates);
}

export type SumParts = {
  loss: Tensor;
  weight: Tensor;
  metrics: Readonly<Record<string, Tensor>>;
};

/**
 * The mean loss and metrics over the sums. The gradients of this loss are not computed: they are the
 * summed ones over the summed weights, so that any step graph over it applies them.
 */
export function summedLoss(
  trained: readonly StateSpec[],
  metrics: readonly string[],
): { loss: Tensor; metrics: Record<string, Tensor> } {
  // No batch may count anything; then every gradient is zero.
  const share = sumOf(ofScalar(WEIGHT)).maximum(scalar('f32', 1e-30)).reciprocal();
  const mean = (name: string) => sumOf(ofScalar(name)).mul(share);
  const leaves = trained.map(({ name, shape }) => parameter(name, 'f32', shape));
  const loss = withGradient(mean(LOSS), leaves, () =>
    trained.map((spec) => sumOf(spec).mul(share)),
  );
  return {
    loss,
    metrics: Object.fromEntries(metrics.map((name) => [name, mean(metricName(name))])),
  };
}
