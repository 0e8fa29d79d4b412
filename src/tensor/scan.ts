// scan: a recurrence. States go from step to step, inputs are taken apart along one axis, outputs are
// stacked along it; the body is an ordinary function of symbolic tensors. Short scans are unrolled,
// long ones become one node whose body is a graph (ONNX Scan, about 20 us a node and step).
//
// Back-propagation through time goes back over the saved states, and is a scan itself, so that it can
// be differentiated again (scan-row.ts). With `truncate` = k no gradient crosses from a step whose
// number is a multiple of k to the one before (Williams and Peng 1990).
import { type Dim, type DimLike, dim, sameDim } from './dim.js';
import { AnyformerError } from './error.js';
import { concat, iota } from './leaves.js';
import { axisOf, reject } from './op.js';
import { located } from './path.js';
import { checkStates, closeBody, type Step, type StepFunction } from './scan-body.js';
import { buildScan } from './scan-row.js';
import type { Tensor } from './tensor.js';

export type ScanOptions = {
  /** Before the first step. */
  states: readonly Tensor[];
  /** Taken apart along the axis. */
  inputs?: readonly Tensor[];
  /** How many steps; needed only without inputs. */
  length?: DimLike;
  /** Of inputs and outputs; 0 by default. */
  axis?: number;
  /** From the last step to the first. */
  reverse?: boolean;
  /** Steps that a gradient goes back at most. */
  truncate?: number;
  /** The longest scan that is written out step by step. */
  unrollUpTo?: number;
  /** One step: `states` come back in the types that they went in. */
  step: StepFunction;
};

/** The states after the last step, and every output stacked along the axis. */
export function scan(options: ScanOptions): Step {
  const { states, axis = 0, reverse = false, truncate, unrollUpTo = 16, step } = options;
  if (truncate !== undefined && !(Number.isSafeInteger(truncate) && truncate >= 1)) {
    throw new AnyformerError('tensor/scan', {
      what: `a gradient cannot go back ${truncate} steps`,
      expected: 'a whole number of steps >= 1',
      found: String(truncate),
    });
  }
  const { inputs, length } = located('scan', options.inputs ?? [], () => stepsOf(options));
  if (typeof length === 'number' && length <= unrollUpTo && length > 0) {
    return unrolled({ states, inputs, axis, reverse, truncate, step }, length);
  }
  const rows = inputs.map((x) => moveAxis(x, axisOf(axis, x.rank), 0));
  // A scan of ONNX has inputs; the number of the step is one that nobody reads.
  const scanned = rows.length === 0 ? [iota(length)] : rows;
  const types = scanned.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }));
  const { body, captured } = closeBody(states, types, step);
  const results = buildScan(body, [...states, ...scanned, ...captured], { reverse, truncate });
  const { outputs } = body.parts;
  const stacked = results.slice(states.length, states.length + outputs.length);
  return {
    states: results.slice(0, states.length),
    outputs: stacked.map((y) => moveAxis(y, 0, axisOf(axis, y.rank))),
  };
}

/** The inputs, and how long all of them are along the axis. */
function stepsOf({ inputs = [], length, axis = 0 }: ScanOptions): {
  inputs: readonly Tensor[];
  length: Dim;
} {
  const lengths = inputs.map((x) => x.shape[axisOf(axis, x.rank)]);
  const found = length === undefined ? lengths[0] : dim(length);
  if (found === undefined) reject('nothing tells how many steps', 'inputs, or a length', 'neither');
  const other = lengths.find((size) => !sameDim(size, found));
  if (other !== undefined) reject('every input has as many steps', `${found}`, `${other}`);
  return { inputs, length: found };
}

function moveAxis(x: Tensor, from: number, to: number): Tensor {
  if (from === to) return x;
  const order = x.shape.map((_, i) => i).filter((i) => i !== from);
  order.splice(to, 0, from);
  return x.transpose(...order);
}

type Unrolled = Omit<ScanOptions, 'inputs' | 'axis'> & { inputs: readonly Tensor[]; axis: number };

function unrolled(
  { inputs, axis, reverse, truncate, step, ...given }: Unrolled,
  length: number,
): Step {
  let states = given.states;
  const outputs: (readonly Tensor[])[] = [];
  for (let count = 0; count < length; count++) {
    const at = reverse ? length - 1 - count : count;
    const here = inputs.map((x) => x.slice(axis, at, at + 1).squeeze(axis));
    const cut = truncate !== undefined && count > 0 && count % truncate === 0;
    const before = cut ? states.map((x) => x.stopGradient()) : states;
    const made = step(before, here);
    checkStates(states, made.states);
    states = made.states;
    outputs[at] = made.outputs.map((y) => y.unsqueeze(axis));
  }
  return {
    states,
    outputs: outputs[0].map((_, i) =>
      concat(
        outputs.map((y) => y[i]),
        axis,
      ),
    ),
  };
}
