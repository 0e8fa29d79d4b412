// Stored bytes and arithmetic of a model by module path, for reports and `inspect`.
import { type Bindings, cost, dtypes } from '../tensor/index.js';
import { declare, encoderProgram, fullDecoderProgram, isEncoder, type Model } from './model.js';

export type ModuleCost = { readonly path: string; readonly bytes: number; readonly flops: number };

/** One row a module that stores tensors or computes, for a run with the given sizes. */
export function moduleCosts(model: Model, sizes: Bindings): ModuleCost[] {
  const rows = new Map<string, { bytes: number; flops: number }>();
  const at = (path: string) => {
    const row = rows.get(path) ?? { bytes: 0, flops: 0 };
    rows.set(path, row);
    return row;
  };
  for (const name of declare(model).stored.keys()) {
    const { dtype, shape } = model.weights.type(name);
    const elements = shape.reduce((a, b) => a * b, 1);
    at(name.slice(0, Math.max(0, name.lastIndexOf('.')))).bytes += elements * dtypes[dtype].bytes;
  }
  const { graph } = isEncoder(model) ? encoderProgram(model) : fullDecoderProgram(model);
  for (const [path, { flops }] of cost(graph, sizes).byPath) at(path).flops += flops;
  return [...rows].map(([path, row]) => ({ path: path || 'outside modules', ...row }));
}
