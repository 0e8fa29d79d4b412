// What a program's parameters are to whoever runs it: arrays, or bytes that stay in their file where the
// program reads them as they lie there, so that the runtime maps them and the weights are in memory once.
import type { ParameterDeclaration } from '../nn/index.js';
import type { FileBytes, ParameterValue } from '../runtime/device.js';
import { castArray, dtypes, type NDArray, sizeOf } from '../tensor/index.js';
import type { WeightStore } from './checkpoint.js';
import type { Built, Model } from './model.js';

/** The program's frozen parameters: stored tensors at the graph's type, derived ones computed. */
export const parameterValues = async (model: Model, built: Built): Promise<Map<string, NDArray>> =>
  await eachParameter(built, async (declared) => await stored(model.weights, declared));

/** The same for `Device.compile`: mapped from their file where nothing is to be converted. */
export const programParameters = async (
  { weights }: Model,
  built: Built,
): Promise<Map<string, ParameterValue>> =>
  await eachParameter<ParameterValue>(
    built,
    async (declared) => mapped(weights, declared) ?? (await stored(weights, declared)),
  );

async function eachParameter<V>(
  { graph, declarations }: Built,
  read: (declared: ParameterDeclaration) => Promise<V>,
): Promise<Map<string, V>> {
  const values = new Map<string, V>();
  for (const name of graph.parameters.keys()) {
    const declared = declarations.parameters.get(name);
    if (declared) values.set(name, await read(declared));
  }
  return values;
}

async function stored(
  weights: WeightStore,
  { name, dtype, derivation }: ParameterDeclaration,
): Promise<NDArray> {
  if (!derivation) return castArray(await weights.read(name), dtype);
  return derivation.compute(await Promise.all(derivation.from.map((from) => weights.read(from))));
}

/** Where a parameter lies in a file, whole and in the type that the program reads. */
function mapped(
  weights: WeightStore,
  { name, dtype, shape, derivation }: ParameterDeclaration,
): FileBytes | undefined {
  if (derivation || weights.type(name).dtype !== dtype) return undefined;
  const place = weights.file?.(name);
  const whole = place?.length === sizeOf(shape) * dtypes[dtype].bytes;
  return place && whole ? { dtype, shape, ...place } : undefined;
}
