// Reductions, extremes and their positions, sorting, prefix sums. Axes moved from an attribute to an
// input (ReduceSum at opset 13, the others at 18).
import { isFloat, type Tensor } from '../../tensor/index.js';
import type { Builder, NodeReader } from './node-reader.js';

type Reduce = (x: Tensor, axes: readonly number[], keep: boolean) => Tensor;

const over =
  (reduce: Reduce): Builder =>
  (n) => {
    const x = n.tensor(0);
    const keep = n.flag('keepdims', true);
    const idle = n.flag('noop_with_empty_axes');
    const axes = n.intsOrInput('axes', 1) ?? [];
    if (axes.length > 0) return reduce(x, axes, keep);
    return idle
      ? reduce(x, [], true)
      : reduce(
          x,
          x.shape.map((_, i) => i),
          keep,
        );
  };

/** Through float64, for integers of functions that floats have. */
const asFloat =
  (reduce: Reduce): Reduce =>
  (x, axes, keep) =>
    isFloat(x.dtype) ? reduce(x, axes, keep) : reduce(x.cast('f64'), axes, keep).cast(x.dtype);

/** Extremes of bool are those of 0 and 1. */
const numeric =
  (reduce: Reduce): Reduce =>
  (x, axes, keep) =>
    x.dtype === 'bool' ? reduce(x.cast('u8'), axes, keep).cast('bool') : reduce(x, axes, keep);

function extreme(find: (x: Tensor, axis: number, keep: boolean) => Tensor): Builder {
  return (n) => {
    const x = n.tensor(0);
    const axis = n.int('axis', 0);
    const keep = n.flag('keepdims', true);
    if (!n.flag('select_last_index')) return find(x, axis, keep);
    // The last of equals is the first from the other end.
    const size = x.size(axis);
    if (typeof size !== 'number') {
      return n.refuse({
        what: 'select_last_index = 1 is supported for a fixed size only',
        expected: 'a number',
        found: `${size}`,
        hint: 'give options.sizes',
      });
    }
    return find(x.flip(axis), axis, keep)
      .neg()
      .add(size - 1);
  };
}

function topK(n: NodeReader): Tensor[] {
  const [k] = n.has('k') ? [n.int('k', 0)] : n.sizes(1);
  n.ignore('sorted');
  const { values, indices } = n.tensor(0).topK(k, n.int('axis', -1), n.flag('largest', true));
  return [values, indices];
}

export const reductions: Readonly<Record<string, Builder>> = {
  ReduceSum: over((x, axes, keep) => x.sum(axes, keep)),
  ReduceMean: over((x, axes, keep) => x.mean(axes, keep)),
  ReduceMax: over(numeric((x, axes, keep) => x.max(axes, keep))),
  ReduceMin: over(numeric((x, axes, keep) => x.min(axes, keep))),
  ReduceProd: over((x, axes, keep) => x.prod(axes, keep)),
  ReduceL1: over((x, axes, keep) => x.abs().sum(axes, keep)),
  ReduceL2: over(asFloat((x, axes, keep) => x.mul(x).sum(axes, keep).sqrt())),
  ReduceSumSquare: over((x, axes, keep) => x.mul(x).sum(axes, keep)),
  ReduceLogSum: over(asFloat((x, axes, keep) => x.sum(axes, keep).log())),
  ReduceLogSumExp: over(asFloat((x, axes, keep) => x.logSumExp(axes, keep))),
  ArgMax: extreme((x, axis, keep) => x.argMax(axis, keep)),
  ArgMin: extreme((x, axis, keep) => x.argMin(axis, keep)),
  TopK: topK,
  CumSum: (n) =>
    n.tensor(0).cumsum(n.number(1), {
      exclusive: n.flag('exclusive'),
      reverse: n.flag('reverse'),
    }),
};
