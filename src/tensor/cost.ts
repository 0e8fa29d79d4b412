// The cost model: what a graph costs before anything runs. Arithmetic by the op table, parameter
// bytes by their types, peak activation bytes by liveness over the schedule.
import { type Bindings, evaluateDim, evaluateShape } from './dim.js';
import { dtypes } from './dtype.js';
import type { Graph } from './graph.js';
import type { ConcreteType, TensorType } from './op.js';
import { concreteAttributes } from './simplify.js';
import type { Node, Tensor } from './tensor.js';

export type PathCost = {
  /** Floating-point (or integer) operations; a multiply and an add count as two. */
  flops: number;
  parameters: number;
  parameterBytes: number;
};

export type Cost = PathCost & {
  /**
   * Largest sum of live intermediate results, in bytes. Inputs, parameters, constants and the next
   * values of parameters (written over the old ones) are not counted; an element-wise result takes over
   * the buffer of an operand that ends there.
   */
  peakActivationBytes: number;
  /** By the module path in which operations and parameters stand. */
  byPath: ReadonlyMap<string, PathCost>;
};

const bytesOf = ({ dtype, shape }: ConcreteType): number =>
  shape.reduce((a, b) => a * b, dtypes[dtype].bytes);

/** Cost of one run with the given sizes. */
export function cost(g: Graph, bindings: Bindings = {}): Cost {
  const concrete = ({ dtype, shape }: TensorType): ConcreteType => ({
    dtype,
    shape: evaluateShape(shape, bindings),
  });
  const byPath = new Map<string, PathCost>();
  const at = (path: string): PathCost => {
    const known = byPath.get(path) ?? { flops: 0, parameters: 0, parameterBytes: 0 };
    byPath.set(path, known);
    return known;
  };
  for (const node of g.nodes) {
    if (!node.row.flops) continue;
    const attributes = concreteAttributes(node.attributes, (d) => evaluateDim(d, bindings));
    at(node.path).flops += node.row.flops(
      node.inputs.map(concrete),
      node.outputs.map(concrete),
      attributes,
    );
  }
  for (const [name, tensor] of g.parameters) {
    const entry = at(name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '');
    const type = concrete(tensor);
    entry.parameters += type.shape.reduce((a, b) => a * b, 1);
    entry.parameterBytes += bytesOf(type);
  }
  const total = { flops: 0, parameters: 0, parameterBytes: 0 };
  for (const entry of byPath.values()) {
    total.flops += entry.flops;
    total.parameters += entry.parameters;
    total.parameterBytes += entry.parameterBytes;
  }
  const peakActivationBytes = peakBytes(g, (tensor) => bytesOf(concrete(tensor)));
  return { ...total, peakActivationBytes, byPath };
}

const leaves = new Set(['input', 'parameter', 'constant']);

/** The tensor whose memory a value lives in: itself, or what it is a view of. */
function owner(tensor: Tensor): Tensor {
  let at = tensor;
  while (at.node.row.view) at = at.node.inputs[0];
  return at;
}

function peakBytes(g: Graph, bytes: (tensor: Tensor) => number): number {
  const lastUse = new Map<Tensor, number>();
  g.nodes.forEach((node, i) => {
    for (const tensor of node.inputs) lastUse.set(owner(tensor), i);
  });
  for (const tensor of [...g.outputs.values(), ...g.updates.values()]) {
    lastUse.set(owner(tensor), g.nodes.length);
  }
  const endsAt = new Map<number, Tensor[]>();
  for (const [tensor, i] of lastUse) endsAt.set(i, [...(endsAt.get(i) ?? []), tensor]);

  let live = 0;
  let peak = 0;
  const inPlace = new Set([...g.updates.values()].map((tensor) => owner(tensor).node));
  const counted = (node: Node): boolean =>
    !leaves.has(node.row.name) && !node.row.view && !inPlace.has(node);
  g.nodes.forEach((node, i) => {
    const ending = (endsAt.get(i) ?? []).filter(({ node: from }) => counted(from));
    if (counted(node)) {
      const tensors = node.row.onDemand
        ? node.tensors.filter((tensor) => lastUse.has(tensor))
        : node.tensors;
      const made = tensors.reduce((sum, tensor) => sum + bytes(tensor), 0);
      const reused =
        node.row.elementwise &&
        ending.some(
          (tensor) => bytes(tensor) === made && node.inputs.some((x) => owner(x) === tensor),
        );
      live += made;
      peak = Math.max(peak, reused ? live - made : live);
      for (const tensor of tensors) if (!lastUse.has(tensor)) live -= bytes(tensor);
    }
    for (const tensor of ending) live -= bytes(tensor);
  });
  return peak;
}
