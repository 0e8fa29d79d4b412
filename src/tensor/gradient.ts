// Reverse-mode differentiation by the gradient column of the op table. The result is more graph over
// the same nodes: it can be costed, simplified, compiled, and differentiated again.

import { isFloat } from './dtype.js';
import { AnyformerError } from './error.js';
import { showType } from './op.js';
import { withGradient as withGradientRow } from './ops/shape.js';
import { within } from './path.js';
import { schedule } from './schedule.js';
import { build, type Node, scalar, type Tensor } from './tensor.js';

/**
 * dL/dx for each x of `wrt`, in its shape: parameters, inputs, or any activation. A parameter or input
 * that the graph reads in several places (tied weights) gets the sum over all of them. `loss` is a
 * scalar, unless `seed` gives dL'/dloss for an outer L'. Gradients that do not reach an x are zeros.
 *
 * Errors: `gradient/loss` for a loss that is not a float scalar, `gradient/none` for an operation
 * without a derivative on the way.
 */
export function grad(loss: Tensor, wrt: readonly Tensor[], seed?: Tensor): Tensor[] {
  if (!isFloat(loss.dtype) || (loss.rank !== 0 && !seed)) {
    throw new AnyformerError('gradient/loss', {
      what: 'gradients are of one number',
      expected: 'a float scalar',
      found: showType(loss),
      hint: 'take the mean or the sum of the losses first',
    });
  }
  const gradients = pullback([loss], [seed ?? scalar(loss.dtype, 1)], wrt);
  return wrt.map((x, i) => gradients[i] ?? scalar(x.dtype, 0).broadcastTo(...x.shape));
}

/**
 * dL/dx for each x of `wrt`, from dL/dy of several tensors y (`seeds`); undefined where none flows.
 * With `cut` none flows past x: what x itself was computed from counts as given. For rules over
 * bodies of graphs; everybody else has one loss and takes `grad`.
 */
export function pullback(
  results: readonly Tensor[],
  seeds: readonly Tensor[],
  wrt: readonly Tensor[],
  { cut = false } = {},
): (Tensor | undefined)[] {
  const nodes = schedule(results, cut ? new Set(wrt) : undefined);
  const wanted = new Set(wrt.map(identity));
  const leads = leadingTo(nodes, wanted);
  const gradients = new Map<Tensor, Tensor>();
  const sums = new Map<unknown, Tensor>();
  const add = (tensor: Tensor, g: Tensor) => {
    const before = gradients.get(tensor);
    gradients.set(tensor, before ? before.add(g) : g);
  };
  results.forEach((tensor, i) => {
    add(tensor, seeds[i]);
  });
  const settle = (tensor: Tensor) => {
    const g = gradients.get(tensor);
    const key = identity(tensor);
    if (!g || !wanted.has(key)) return;
    const before = sums.get(key);
    sums.set(key, before ? before.add(g) : g);
  };
  const past = new Set(nodes);
  for (const node of nodes.reverse()) {
    if (!node.tensors.some(leads)) continue;
    node.tensors.forEach(settle);
    const given = node.tensors.map((tensor) =>
      cut && wanted.has(tensor) ? undefined : gradients.get(tensor),
    );
    if (given.every((g) => g === undefined)) continue;
    within(node.path, `gradient of ${node.row.name}`, () => {
      inputGradients(node, given, leads).forEach((g, i) => {
        if (g) add(node.inputs[i], g);
      });
    });
  }
  // What lies at the cut was not passed through.
  for (const tensor of new Set(wrt)) if (!past.has(tensor.node)) settle(tensor);
  return wrt.map((x) => sums.get(identity(x)));
}

/** Leaves of one name are one variable, wherever they stand. */
export function identity(tensor: Tensor): unknown {
  const { row, attributes } = tensor.node;
  const leaf = row.name === 'parameter' || row.name === 'input';
  return leaf ? `${row.name} ${(attributes as { name: string }).name}` : tensor;
}

/** Whether a tensor is wanted or computed from one that is. */
function leadingTo(nodes: readonly Node[], wanted: ReadonlySet<unknown>): (x: Tensor) => boolean {
  const found = new Set<Node>();
  const leads = (x: Tensor) => found.has(x.node) || wanted.has(identity(x));
  for (const node of nodes) {
    if (node.inputs.some(leads) || node.tensors.some(leads)) found.add(node);
  }
  return leads;
}

function inputGradients(
  node: Node,
  gradients: readonly (Tensor | undefined)[],
  leads: (x: Tensor) => boolean,
): readonly (Tensor | undefined)[] {
  const { row, inputs, tensors: outputs, attributes } = node;
  if (!inputs.some(leads)) return [];
  if (!row.gradient) {
    throw new AnyformerError('gradient/none', {
      what: `${node.path ? `${node.path} > ` : ''}${row.name} has no gradient`,
      expected: 'operations with a derivative between the loss and what is asked for',
      found: row.name,
      hint: 'stopGradient() before it, or withGradient() with a rule of your own',
    });
  }
  const result = row.gradient({ attributes, inputs, outputs, gradients });
  return inputs.map((x, i) => (leads(x) && isFloat(x.dtype) ? result[i] : undefined));
}

/**
 * `value`, with a gradient of your own for `inputs`: `rule` takes dL/dvalue and returns one gradient
 * for each input. None flows into what `value` was computed from.
 */
export function withGradient(
  value: Tensor,
  inputs: readonly Tensor[],
  rule: (g: Tensor, inputs: readonly Tensor[]) => readonly (Tensor | undefined)[],
): Tensor {
  return build(withGradientRow, [value, ...inputs], { rule })[0];
}

/** `value` forwards, the identity backwards (Bengio et al. 2013): rounding that still learns. */
export const straightThrough = (value: Tensor, x: Tensor): Tensor =>
  withGradient(value, [x], (g) => [g]);
