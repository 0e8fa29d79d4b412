// The row of scans: a body (see scan-body.ts) run once for each place along axis 0 of its inputs.
// Results are the last states, the stacked outputs, and every state as it was before each step.
//
// Its gradient is a scan in the other direction over those states, which computes each step anew:
//   ds_t, dx_t, dc += pullback of (s_t+1, y_t) = body(s_t, x_t, c) at (ds_t+1, dy_t)
// It stands above the op table, for its kernel and its gradient need the interpreter and `pullback`.
import { type NDArray, ndarray, sizeOf, zerosOf } from './array.js';
import { cost } from './cost.js';
import { type Bindings, type Dim, dim, sameShape } from './dim.js';
import { isFloat } from './dtype.js';
import { pullback } from './gradient.js';
import { interpret } from './interpret.js';
import { iota } from './leaves.js';
import { defineOp, type GradientRule, int, ints, reject, showType, type TensorType } from './op.js';
import type { LeafAttributes } from './ops/leaf.js';
import { formal, ScanBody, transplant } from './scan-body.js';
import { schedule } from './schedule.js';
import { build, scalar, type Tensor } from './tensor.js';

export type ScanAttributes = {
  body: ScanBody;
  reverse: boolean;
  /** Steps that a gradient goes back at most; 0: all. */
  truncate: number;
  /** The named sizes of the body, which a device or an interpreter gives numbers for. */
  sizes: Readonly<Record<string, Dim>>;
};

/** One node: initial states, inputs, captured tensors -> last states, outputs, states before. */
export function buildScan(
  body: ScanBody,
  given: readonly Tensor[],
  { reverse = false, truncate = 0 },
): readonly Tensor[] {
  const sizes = Object.fromEntries([...body.sizes].map((name) => [name, dim(name)]));
  return build(scanRow, given, { body, reverse, truncate, sizes });
}

/** Three lists, after the body's numbers of states, inputs and captured tensors. */
function sorted<T>({ parts }: ScanBody, given: readonly T[]): [T[], T[], T[]] {
  const [a, b] = [parts.states.length, parts.states.length + parts.inputs.length];
  return [given.slice(0, a), given.slice(a, b), given.slice(b)];
}

const rows = (length: Dim, { dtype, shape }: TensorType): TensorType => ({
  dtype,
  shape: [length, ...shape],
});

export const scanRow = defineOp<ScanAttributes>({
  name: 'scan',
  onDemand: true,
  infer: (given, { body }) => {
    const { states, inputs, captured, outputs } = body.parts;
    const length = given[states.length].shape[0];
    const expected = [...states, ...inputs.map((x) => rows(length, x)), ...captured];
    const wrong = expected.findIndex(
      ({ dtype, shape }, i) => given[i].dtype !== dtype || !sameShape(given[i].shape, shape),
    );
    if (wrong >= 0) {
      reject(
        'what a scan is given does not fit its body',
        showType(expected[wrong]),
        showType(given[wrong]),
      );
    }
    const stacked = [...outputs, ...states].map((y) => rows(length, y));
    return [...states.map(({ dtype, shape }) => ({ dtype, shape })), ...stacked];
  },
  flops: (given, _, { body, sizes }) =>
    given[body.parts.states.length].shape[0] * cost(body.graph, numbersOf(sizes)).flops,
  lower: (emit, { attributes: { body, reverse }, values, used }) => {
    const [initial, inputs, captured] = sorted(body, values);
    const { states, next, outputs } = body.parts;
    const [finals, written, saved] = indices([states.length, outputs.length, states.length], used);
    const kept = neededStates(body, [...finals, ...saved], written);
    const results = [
      ...kept.map((i) => next[i]),
      ...written.map((i) => outputs[i]),
      ...saved.map((i) => states[i]),
    ];
    const leaves = [...kept.map((i) => states[i]), ...body.parts.inputs];
    const outer = new Map(body.parts.captured.map((leaf, i) => [leaf, captured[i]]));
    const direction = reverse ? 1 : 0;
    const stacked = written.length + saved.length;
    const given = [...kept.map((i) => initial[i]), ...inputs];
    const names = emit.nodes('Scan', given, results.length, {
      body: emit.body(leaves, results, outer),
      num_scan_inputs: int(inputs.length),
      scan_input_directions: ints(inputs.map(() => direction)),
      scan_output_directions: ints(Array<number>(stacked).fill(direction)),
    });
    // What nothing reads is not computed, and its name never asked for.
    const named = (list: readonly number[], start: number) => (i: number) =>
      names[start + list.indexOf(i)] ?? '';
    return [
      ...states.map((_, i) => named(kept, 0)(i)),
      ...outputs.map((_, i) => named(written, kept.length)(i)),
      ...states.map((_, i) => named(saved, kept.length + written.length)(i)),
    ];
  },
  evaluate: (given, { body, reverse, sizes }, types) => {
    const [initial, inputs, captured] = sorted(body, given);
    const { states } = body.parts;
    const count = inputs[0].shape[0];
    const results = types.slice(states.length).map(({ dtype, shape }) => zerosOf(dtype, shape));
    const bindings = numbersOf(sizes);
    let at: readonly NDArray[] = initial;
    for (let step = 0; step < count; step++) {
      const t = reverse ? count - 1 - step : step;
      const made = runBody(body, [...at, ...inputs.map((x) => rowOf(x, t)), ...captured], bindings);
      [...made.slice(states.length), ...at].forEach((value, i) => {
        (results[i].data as Float32Array).set(value.data as Float32Array, t * value.data.length);
      });
      at = made.slice(0, states.length);
    }
    return [...at, ...results];
  },
  gradient: scanGradient,
});

/** Which of several lists' entries are used, where `used` speaks of one list after the other. */
function indices(lengths: readonly number[], used: readonly boolean[]): number[][] {
  let start = 0;
  return lengths.map((length) => {
    const part = used.slice(start, start + length);
    start += length;
    return part.flatMap((yes, i) => (yes ? [i] : []));
  });
}

/** The states that results depend on; the others are not carried along. */
function neededStates(
  { parts: { states, next, outputs } }: ScanBody,
  asked: readonly number[],
  written: readonly number[],
): number[] {
  const needed = new Set(asked);
  for (let before = -1; before < needed.size; ) {
    before = needed.size;
    const results = [...[...needed].map((i) => next[i]), ...written.map((i) => outputs[i])];
    const reached = new Set(schedule(results));
    states.forEach(({ node }, i) => {
      if (reached.has(node)) needed.add(i);
    });
  }
  return [...needed].sort((a, b) => a - b);
}

const numbersOf = (sizes: Readonly<Record<string, Dim>>): Bindings =>
  Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, Number(size)]));

/** One step of the reference kernel: next states, then outputs. */
function runBody(body: ScanBody, given: readonly NDArray[], sizes: Bindings): NDArray[] {
  const { states, inputs, captured, next, outputs } = body.parts;
  const feeds = new Map<string, NDArray>();
  [...states, ...inputs, ...captured].forEach((leaf, i) => {
    const { name } = leaf.node.attributes as LeafAttributes;
    if (body.graph.inputs.has(name)) feeds.set(name, given[i]);
  });
  const results = interpret(body.graph, feeds, {}, sizes).outputs;
  const named = [...next.map((_, i) => `next ${i}`), ...outputs.map((_, i) => `output ${i}`)];
  return named.map((name) => results.get(name) as NDArray);
}

function rowOf(x: NDArray, t: number): NDArray {
  const shape = x.shape.slice(1);
  const size = sizeOf(shape);
  return ndarray(x.dtype, shape, x.data.slice(t * size, (t + 1) * size));
}

const zeros = ({ dtype, shape }: TensorType): Tensor => scalar(dtype, 0).broadcastTo(...shape);

/** Reads the gradients of a scan's results off a scan in the other direction. */
function scanGradient({
  attributes: { body, reverse, truncate },
  inputs: given,
  outputs: results,
  gradients,
}: Parameters<GradientRule<ScanAttributes>>[0]): (Tensor | undefined)[] {
  const { states, inputs, captured, next, outputs } = body.parts;
  const [initial, scanned, outer] = sorted(body, given);
  const befores = results.slice(states.length + outputs.length);
  const ofStates = gradients.slice(0, states.length);
  const ofOutputs = gradients.slice(states.length, states.length + outputs.length);
  const ofBefores = gradients.slice(states.length + outputs.length);

  // The reverse body's inputs: a row of each of these.
  const taken: Tensor[] = [];
  const leaves: Tensor[] = [];
  const take = (x: Tensor, type: TensorType): Tensor => {
    const leaf = formal('input', taken.length, type);
    taken.push(x);
    leaves.push(leaf);
    return leaf;
  };
  const at = {
    states: states.map((leaf, i) => take(befores[i], leaf)),
    inputs: inputs.map((leaf, i) => take(scanned[i], leaf)),
    captured,
  };
  const dOutputs = outputs.map((y, i) => ofOutputs[i] && take(ofOutputs[i], y));
  const dBefores = states.map((s, i) => ofBefores[i] && take(ofBefores[i], s));
  const length = scanned[0].shape[0];
  const through =
    truncate > 0
      ? take(goesBack(length, reverse, truncate), { dtype: 'bool', shape: [] })
      : undefined;

  // The step anew, and its pullback.
  const places = new Map(
    [...states, ...inputs].map((leaf, i) => [leaf, [...at.states, ...at.inputs][i]]),
  );
  const moved = transplant([...next, ...outputs], places);
  const carried = states.flatMap((s, i) => (isFloat(s.dtype) ? [i] : []));
  const dStates = carried.map((i, k) => formal('state', k, states[i]));
  const answered = outputs.flatMap((_, i) => {
    const d = dOutputs[i];
    return d ? [{ y: moved[states.length + i], d }] : [];
  });
  const floats = (list: readonly Tensor[]) => list.filter(({ dtype }) => isFloat(dtype));
  const wrt = [at.states, at.inputs, at.captured].map(floats);
  const slopes = pullback(
    [...carried.map((i) => moved[i]), ...answered.map(({ y }) => y)],
    [...dStates, ...answered.map(({ d }) => d)],
    wrt.flat(),
  );
  const slope = new Map(wrt.flat().map((x, i) => [x, slopes[i]]));

  const dNext = carried.map((i) => {
    const back = slope.get(at.states[i]) ?? zeros(states[i]);
    const more = dBefores[i];
    const all = more ? back.add(more) : back;
    return through ? through.where(all, 0) : all;
  });
  // Gradients of what every step reads add up; those of inputs are stacked.
  const shared = captured.flatMap((c, i) => {
    const d = slope.get(c);
    return d ? [{ i, d, type: c }] : [];
  });
  const sums = shared.map(({ type }, k) => formal('state', carried.length + k, type));
  const apart = inputs.flatMap((_, i) => {
    const d = slope.get(at.inputs[i]);
    return d ? [{ i, d }] : [];
  });
  const reverseBody = new ScanBody({
    states: [...dStates, ...sums],
    inputs: leaves,
    captured,
    next: [...dNext, ...shared.map(({ d }, k) => sums[k].add(d))],
    outputs: apart.map(({ d }) => d),
  });
  const start = [
    ...carried.map((i) => ofStates[i] ?? zeros(states[i])),
    ...shared.map(({ type }) => zeros(type)),
  ];
  const back = buildScan(reverseBody, [...start, ...taken, ...outer], { reverse: !reverse });
  const answers: (Tensor | undefined)[] = given.map(() => undefined);
  carried.forEach((i, k) => {
    answers[i] = back[k];
  });
  shared.forEach(({ i }, k) => {
    answers[initial.length + inputs.length + i] = back[carried.length + k];
  });
  apart.forEach(({ i }, k) => {
    answers[initial.length + i] = back[start.length + k];
  });
  return answers;
}

/** Whether a gradient may leave each step backwards: bool[length]. */
function goesBack(length: Dim, reverse: boolean, truncate: number): Tensor {
  const places = iota(length);
  const count = reverse ? places.flip(0) : places;
  return count.mod(truncate).equal(0).not().or(count.equal(0));
}
