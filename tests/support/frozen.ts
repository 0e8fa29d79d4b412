// Parameters of a graph from what a checkpoint stores, as models load them.
import type { Declarations } from '../../src/nn/index.js';
import { AnyformerError, castArray, type Graph, type NDArray } from '../../src/tensor/index.js';

export function frozen(
  g: Graph,
  declarations: Declarations,
  stored: ReadonlyMap<string, NDArray>,
): Map<string, NDArray> {
  const read = (name: string): NDArray => {
    const array = stored.get(name);
    if (array) return array;
    throw new AnyformerError('test/stored', { what: `nothing is stored as '${name}'` });
  };
  const values = new Map<string, NDArray>();
  for (const name of g.parameters.keys()) {
    const declared = declarations.parameters.get(name);
    if (!declared) throw new AnyformerError('test/declared', { what: `'${name}' is undeclared` });
    const { derivation, dtype } = declared;
    values.set(
      name,
      derivation
        ? derivation.compute(derivation.from.map(read))
        : castArray(read(declared.name), dtype),
    );
  }
  return values;
}
