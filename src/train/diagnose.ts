// Where numbers stop being finite: the model and its gradients once more, with a count at every
// module. Forward in the order of the model, then backward.
import { buildProgram, type Model } from '../models/model.js';
import type { Device } from '../runtime/device.js';
import {
  castArray,
  grad,
  graph,
  isFloat,
  type NDArray,
  parameter,
  type Tensor,
  toNumbers,
} from '../tensor/index.js';
import type { Objective } from './objectives.js';
import type { Batch } from './training.js';

export type Overflow = {
  /** Module path, or the name of a parameter. */
  readonly path: string;
  readonly kind: 'parameter' | 'activation' | 'gradient' | 'gradient of a parameter';
  /** Numbers that are NaN or infinite, of how many. */
  readonly bad: number;
};

/** x * 0 is 0 for finite numbers alone. */
const notFinite = (x: Tensor): Tensor => x.mul(0).equal(0).cast('f32').neg().add(1).sum();

/**
 * The first place of a batch's forward and backward pass with numbers that are not finite: parameters,
 * activations in the order of the model, their gradients in the reverse order, the gradients of
 * parameters. Undefined where all of them are finite.
 */
export async function findOverflow(
  model: Model,
  objective: Objective,
  batch: Batch,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Overflow | undefined> {
  const { graph: forward, declarations } = buildProgram(model, (s) => ({
    loss: objective(s, model).loss,
  }));
  const loss = forward.outputs.get('loss') as Tensor;
  const order = new Map(forward.nodes.map((node, i) => [node, i]));
  const tags = [...forward.tags]
    .filter(([, tensor]) => isFloat(tensor.dtype))
    .sort(([, a], [, b]) => (order.get(a.node) ?? 0) - (order.get(b.node) ?? 0));
  const parameters = [...declarations.parameters.values()]
    .filter(({ dtype }) => isFloat(dtype))
    .map(({ name, dtype, shape }) => [name, parameter(name, dtype, shape)] as const);
  const gradients = grad(
    loss,
    [...tags, ...parameters].map(([, tensor]) => tensor),
  );
  const places: { path: string; kind: Overflow['kind']; x: Tensor }[] = [
    ...parameters.map(([path, x]) => ({ path, kind: 'parameter' as const, x })),
    ...tags.map(([path, x]) => ({ path, kind: 'activation' as const, x })),
    ...tags.map(([path], i) => ({ path, kind: 'gradient' as const, x: gradients[i] })).reverse(),
    ...parameters.map(([path], i) => ({
      path,
      kind: 'gradient of a parameter' as const,
      x: gradients[tags.length + i],
    })),
  ];
  const counts = graph(Object.fromEntries(places.map(({ x }, i) => [`bad${i}`, notFinite(x)])));
  const values = new Map<string, NDArray>();
  for (const { name, dtype } of declarations.parameters.values()) {
    values.set(name, castArray(await model.weights.read(name), dtype));
  }
  await using program = await device.compile(counts, { parameters: values, signal });
  const results = await program.run(batch, { signal });
  for (const [i, { path, kind }] of places.entries()) {
    const bad = toNumbers(results[`bad${i}`])[0];
    if (bad > 0) return { path, kind, bad };
  }
  return undefined;
}
