// Recomputation (Chen et al. 2016, "Training deep nets with sublinear memory cost"): what stands
// between two places of a graph is not kept for the gradient but computed a second time when the
// gradient arrives. Memory falls from everything inside to the edge; the forward arithmetic doubles.
import { isFloat } from './dtype.js';
import { identity, pullback, withGradient } from './gradient.js';
import { after as afterRow } from './ops/shape.js';
import { schedule } from './schedule.js';
import { build, type Tensor } from './tensor.js';

/** `x`, to be had only once all `tokens` are: see the row. */
export const after = (x: Tensor, ...tokens: readonly Tensor[]): Tensor =>
  tokens.length === 0 ? x : build(afterRow, [x, ...tokens])[0];

/**
 * `y`, whose gradient computes again what stands between `x` and `y` instead of keeping it. Everything
 * else that flows into it (parameters, tensors from elsewhere) is kept, and gets its gradient.
 */
export function recompute(x: Tensor, y: Tensor): Tensor {
  const edge = [x, ...others(x, y)];
  return withGradient(y, [y, ...edge], (g, [now, start, ...rest]) => {
    const fresh = after(start, g);
    const again = replay(start, fresh, now);
    const [through, ...kept] = pullback([again], [g], [fresh, ...rest], { cut: true });
    // On to what comes before only when nothing here is needed any more: then it is freed.
    const done = kept.filter((gradient) => gradient !== undefined);
    return [undefined, through && after(through, ...done), ...kept];
  });
}

/** Floats that the nodes between x and y read besides x and what they make themselves: each once. */
function others(x: Tensor, y: Tensor): Tensor[] {
  const inside = new Set<Tensor>([x]);
  const read = new Map<unknown, Tensor>();
  for (const node of schedule([y], new Set([x]))) {
    if (!node.inputs.some((input) => inside.has(input))) continue;
    for (const tensor of node.tensors) inside.add(tensor);
    for (const input of node.inputs) read.set(identity(input), input);
  }
  return [...read.values()].filter((input) => !inside.has(input) && isFloat(input.dtype));
}

/** `y` with `fresh` in the place of `x`: copies of the nodes between, without their tags. */
function replay(x: Tensor, fresh: Tensor, y: Tensor): Tensor {
  const copies = new Map<Tensor, Tensor>([[x, fresh]]);
  const now = (tensor: Tensor): Tensor => copies.get(tensor) ?? tensor;
  for (const node of schedule([y], new Set([x]))) {
    if (!node.inputs.some((input) => copies.has(input))) continue;
    const inputs = node.inputs.map(now);
    const made =
      node.row.name === 'tag' ? [inputs[0]] : build(node.row, inputs, node.attributes, node.path);
    node.tensors.forEach((tensor, i) => {
      copies.set(tensor, made[i]);
    });
  }
  return now(y);
}
