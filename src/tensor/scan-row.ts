// The row of scans: a body (see scan-body.ts) run once for each place along axis 0 of its inputs.
// Results are the last states, the stacked outputs, and every state as it was before each step.
//
// Its gradient is a scan in the other direction over those states, which computes each step anew:
//   ds_t, dx_t, dc += pullback of (s_t+1, y_t) = body(s_t, x_t, c) at (ds_t+1, dy_t)
// It stands above the op table, for its kernel and its gradient need the interpreter and `pullback`.
import { type NDArray, ndarray, sizeOf, zerosOf } from './array.js';
import { cost } from './cost.js';
import { type Dim, dim, sameDim, sameShape } from './dim.js';
import { isFloat } from './dtype.js';
import { pullback } from './gradient.js';
import { interpret } from './interpret.js';
import { defineOp, type GradientRule, int, ints, reject, showType, type TensorType } from './op.js';
import { formal, ScanBody, transplant } from './scan-body.js';
import { build, iota, scalar, type Tensor } from './tensor.js';

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
  infer: (given, { body }) => {
    const { states, inputs, captured, outputs } = body.parts;
    const length = given[states.length].shape[0];
    const expected = [...states, ...inputs.map((x) => rows(length, x)), ...captured];
    const wrong = expected.findIndex(
      ({ dtype, shape }, i) => given[i].dtype !== dtype || !sameShape(given[i].shape, shape),
    );
    if (wrong >= 0) {
      reject('what a scan is given does not fit its body', showType(expected[wrong]), showType(given[wrong]));
    }
    const stacked = [...outputs, ...states].map((y) => rows(length, y));
    return [...states.map(({ dtype, shape }) => ({ dtype, shape })), ...stacked];
  },
  flops: (given, _, { body, sizes }) =>
    given[body.parts.states.length].shape[0] * cost(body.graph, numbersOf(sizes)).flops,
  lower: (emit, { attributes: { body, reverse }, values, used }) => {
    const [initial, inputs, captured] = sorted(body, values);
    const { states, next, outputs } = body.parts;
    const [finals, ...stacks] = [states, outputs, states].map((_, k) => {
      const from = k === 0 ? 0 : k === 1 ? states.length : states.length + outputs.length;
      return (i: number) => used[from + i];
    });
    const [output, before] = stacks;
    const kept = neededStates(body, (i) => finals(i) || before(i), output);
    const written = outputs.map((_, i) => i).filter(output);
    const saved = states.map((_, i) => i).filter(before);
    const results = [
      ...kept.map((i) => next[i]),
      ...written.map((i) => outputs[i]),
      ...saved.map((i) => states[i]),
    ];
    const outer = new Map(body.parts.captured.map((leaf, i) => [leaf, captured[i]]));
    const leaves = [...kept.map((i) => states[i]), ...body.parts.inputs];
    const stacked = written.length + saved.length;
    const direction = reverse ? 1 : 0;
    const names = emit.nodes(
      'Scan',
      [...kept.map((i) => initial[i]), ...inputs],
      results.length,
      {
        body: emit.body(leaves, results, outer),
        num_scan_inputs: int(inputs.length),
        scan_input_directions: ints(inputs.map(() => direction)),
        scan_output_directions: ints(Array<number>(stacked).fill(direction)),
      },
    );
    const places = [
      ...states.map((_, i) => kept.indexOf(i)),
      ...outputs.map((_, i) => written.indexOf(i) + kept.length),
      ...states.map((_, i) => saved.indexOf(i) + kept.length + written.length),
    ];
    // What nothing reads has no value: its name is never asked for.
    return places.map((place, i) => (used[i] ? names[place] : ''));
  },
  evaluate: (given, { body, reverse, sizes }, types) => {
    const [initial, inputs, captured] = sorted(body, given);
    const { states, outputs } = body.parts;
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
  gradient: (context) => scanGradient(context),
});
