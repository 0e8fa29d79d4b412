// What a program's parameters are to the runtime: bytes that stay in their file where the program reads
// them as they lie there, so that the runtime maps them and the weights are in memory once; arrays where
// they are converted or computed first.
import type { ParameterValue } from '../runtime/device.js';
import { castArray, dtypes, sizeOf } from '../tensor/index.js';
import type { Built, Model } from './model.js';

/** The frozen parameters of a program, for `Device.compile`. */
export async function programParameters(
  { weights }: Model,
  { graph, declarations }: Built,
): Promise<Map<string, ParameterValue>> {
  const values = new Map<string, ParameterValue>();
  for (const name of graph.parameters.keys()) {
    const declared = declarations.parameters.get(name);
    if (!declared) continue;
    const { derivation, dtype, shape } = declared;
    if (derivation) {
      const stored = await Promise.all(derivation.from.map((from) => weights.read(from)));
      values.set(name, derivation.compute(stored));
      continue;
    }
    const place = weights.type(name).dtype === dtype ? weights.file?.(name) : undefined;
    const whole = place?.length === sizeOf(shape) * dtypes[dtype].bytes;
    if (place && whole) values.set(name, { dtype, shape, ...place });
    else values.set(name, castArray(await weights.read(name), dtype));
  }
  return values;
}
