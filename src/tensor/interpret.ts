// The reference interpreter: runs a graph with the plain kernels of the op table, in float64
// arithmetic rounded to each value's type. Slow by intent; it defines what every device must return.
import type { NDArray } from './array.js';
import { bindShapes } from './bind.js';
import { type Bindings, type Dim, evaluateDim, evaluateShape } from './dim.js';
import { AnyformerError } from './error.js';
import type { Graph } from './graph.js';
import type { LeafAttributes } from './ops/leaf.js';
import { located, within } from './path.js';
import { concreteAttributes } from './simplify.js';
import type { Node } from './tensor.js';

type Arrays = Readonly<Record<string, NDArray>> | ReadonlyMap<string, NDArray>;

const asMap = (arrays: Arrays): ReadonlyMap<string, NDArray> =>
  arrays instanceof Map ? arrays : new Map(Object.entries(arrays));

/**
 * Outputs and next parameter values of one run. `sizes` are values of named sizes that no input's
 * shape tells.
 */
export function interpret(
  g: Graph,
  feeds: Arrays = {},
  parameters: Arrays = {},
  sizes: Bindings = {},
): { outputs: Map<string, NDArray>; updates: Map<string, NDArray> } {
  const [fed, held] = [asMap(feeds), asMap(parameters)];
  const bindings = bindShapes(g.parameters, held, bindShapes(g.inputs, fed, sizes));
  const size = (d: Dim) => evaluateDim(d, bindings);
  const values = new Map<Node, readonly NDArray[]>();
  const evaluateNode = (node: Node): readonly NDArray[] => {
    const { row, attributes } = node;
    const { name } = attributes as LeafAttributes;
    const given =
      row.name === 'input' ? fed.get(name) : row.name === 'parameter' ? held.get(name) : undefined;
    if (given) return [given];
    if (!row.evaluate) {
      throw new AnyformerError('interpret/kernel', { what: `${row.name} has no reference kernel` });
    }
    const inputs = node.inputs.map(({ node: from, index }) => (values.get(from) ?? [])[index]);
    const outputs = node.outputs.map(({ dtype, shape }) => ({
      dtype,
      shape: evaluateShape(shape, bindings),
    }));
    const { evaluate } = row;
    return within(node.path, '', () =>
      located(row.name, node.inputs, () =>
        evaluate(inputs, concreteAttributes(attributes, size), outputs),
      ),
    );
  };
  for (const node of g.nodes) values.set(node, evaluateNode(node));
  const read = (named: Graph['outputs']) =>
    new Map([...named].map(([name, x]) => [name, (values.get(x.node) ?? [])[x.index]] as const));
  return { outputs: read(g.outputs), updates: read(g.updates) };
}
