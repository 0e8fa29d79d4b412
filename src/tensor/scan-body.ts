// The body of a scan: a graph from states and the inputs of one step to the next states and the
// outputs of the step. It is closed: what it reads of the graph around is an input like the others
// (`captured`), computed once, so that rewrites and gradients of that graph see it.
import { dimNames, sameShape } from './dim.js';
import { AnyformerError } from './error.js';
import { type Graph, graph } from './graph.js';
import { input } from './leaves.js';
import { showType, type TensorType } from './op.js';
import { schedule } from './schedule.js';
import { concreteAttributes } from './simplify.js';
import { build, type Node, type Tensor } from './tensor.js';

export type Step = { states: readonly Tensor[]; outputs: readonly Tensor[] };
export type StepFunction = (states: readonly Tensor[], inputs: readonly Tensor[]) => Step;

type BodyParts = {
  /** Leaves that stand for what the body is given. */
  states: readonly Tensor[];
  inputs: readonly Tensor[];
  captured: readonly Tensor[];
  /** One for each state, of its type. */
  next: readonly Tensor[];
  outputs: readonly Tensor[];
};

/** An instance, and so opaque as an attribute: equal only to itself. */
export class ScanBody {
  readonly parts: BodyParts;
  /** Outputs `next 0`, ... and `output 0`, ... */
  readonly graph: Graph;
  /** The named sizes that it uses. */
  readonly sizes: ReadonlySet<string>;

  constructor(parts: BodyParts) {
    this.parts = parts;
    const named = (kind: string, tensors: readonly Tensor[]) =>
      tensors.map((tensor, i) => [`${kind} ${i}`, tensor] as const);
    this.graph = graph(new Map([...named('next', parts.next), ...named('output', parts.outputs)]));
    const sizes = new Set<string>();
    for (const { attributes, outputs } of this.graph.nodes) {
      concreteAttributes({ attributes, outputs }, (d) => {
        for (const name of dimNames(d)) sizes.add(name);
        return 0;
      });
    }
    this.sizes = sizes;
  }
}

type Formal = 'state' | 'input' | 'captured';

/** A leaf that stands for the i-th state, input or captured tensor of a body. */
export const formal = (kind: Formal, i: number, { dtype, shape }: TensorType): Tensor =>
  input(`${kind} ${i}`, dtype, shape);

/** The body that a function builds, and the tensors around it that it reads. */
export function closeBody(
  states: readonly TensorType[],
  inputs: readonly TensorType[],
  step: StepFunction,
): { body: ScanBody; captured: readonly Tensor[] } {
  const given = {
    states: states.map((type, i) => formal('state', i, type)),
    inputs: inputs.map((type, i) => formal('input', i, type)),
  };
  const made = step(given.states, given.inputs);
  checkStates(states, made.states);
  const results = [...made.states, ...made.outputs];
  const nodes = schedule(results);
  const inside = new Set<Node>([...given.states, ...given.inputs].map(({ node }) => node));
  const captured = new Map<Tensor, Tensor>();
  const capture = (tensor: Tensor) => {
    const { node } = tensor;
    // Numbers stay: rewrites of the body look for them.
    const number = node.row.name === 'constant' && tensor.rank === 0;
    if (inside.has(node) || captured.has(tensor) || number) return;
    captured.set(tensor, formal('captured', captured.size, tensor));
  };
  for (const node of nodes) {
    if (!inside.has(node) && !node.inputs.some((x) => inside.has(x.node))) continue;
    inside.add(node);
    node.inputs.forEach(capture);
  }
  results.forEach(capture);
  const moved = transplant(results, captured);
  const body = new ScanBody({
    ...given,
    captured: [...captured.values()],
    next: moved.slice(0, states.length),
    outputs: moved.slice(states.length),
  });
  return { body, captured: [...captured.keys()] };
}

export function checkStates(states: readonly TensorType[], next: readonly Tensor[]): void {
  const fits =
    next.length === states.length &&
    next.every((x, i) => x.dtype === states[i].dtype && sameShape(x.shape, states[i].shape));
  if (fits) return;
  throw new AnyformerError('tensor/scan', {
    what: 'a step gives back every state in its type',
    expected: states.map(showType).join(', ') || 'no states',
    found: next.map(showType).join(', ') || 'no states',
  });
}

/** The same computation over other tensors: what depends on a key of `places` is built anew. */
export function transplant(
  results: readonly Tensor[],
  places: ReadonlyMap<Tensor, Tensor>,
): Tensor[] {
  const rebuilt = new Map<Node, readonly Tensor[]>();
  const moved = (x: Tensor): Tensor => places.get(x) ?? rebuilt.get(x.node)?.[x.index] ?? x;
  for (const node of schedule(results)) {
    const inputs = node.inputs.map(moved);
    if (inputs.every((x, i) => x === node.inputs[i])) continue;
    rebuilt.set(node, build(node.row, inputs, node.attributes, node.path));
  }
  return results.map(moved);
}
