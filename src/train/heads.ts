// Parameters that an objective needs and the model does not have: heads, projections.
import { layeredStore, memoryStore } from '../models/checkpoint.js';
import { initialValue } from '../models/initial.js';
import type { Model } from '../models/model.js';
import { Scope } from '../nn/index.js';
import type { Objective } from './objectives.js';

/** The model with fresh values for what the objective declares besides; the rest stays as it is. */
export function withHeads(
  model: Model,
  objective: Objective,
  { seed = 0 }: { seed?: number } = {},
): Model {
  const { weights } = model;
  // Families ask the checkpoint under which prefix their tensors stand.
  const type = (name: string) => (weights.has(name) ? weights.type(name) : undefined);
  const scope = Scope.root({ type });
  objective(scope, model);
  const fresh = [...scope.declarations.stored.values()]
    .filter(({ name }) => !weights.has(name))
    .map((one) => [one.name, initialValue(one, seed)] as const);
  if (fresh.length === 0) return model;
  return { ...model, weights: layeredStore(memoryStore(new Map(fresh)), weights) };
}
