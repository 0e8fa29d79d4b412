// Slice and Pad: bounds that may be symbolic, negative, beyond the end, or running backwards.
import {
  addDims,
  concat,
  constant,
  type Dim,
  fromNumbers,
  subDims,
  type Tensor,
} from '../../tensor/index.js';
import { axisOf } from '../../tensor/op.js';
import { isEndless, surelyAtMost, surelyLess } from './dims.js';
import type { Builder, NodeReader } from './node-reader.js';
import { knownLimit } from './value.js';

/**
 * A bound counted from the front and limited to 0..size. Where symbolic sizes leave open which is
 * smaller, the bound is taken to lie inside the axis, as the exporter's example did.
 */
function bound(value: Dim, size: Dim): Dim {
  if (isEndless(value)) return typeof value === 'number' && value < 0 ? 0 : size;
  const fromFront = surelyLess(value, 0) ? addDims(size, value) : value;
  if (surelyAtMost(size, fromFront)) return size;
  return surelyLess(fromFront, 0) ? 0 : fromFront;
}

function sliceAxis(x: Tensor, axis: number, start: Dim, end: Dim, step: number): Tensor {
  const size = x.size(axis);
  if (step > 0) {
    const [from, to] = [bound(start, size), bound(end, size)];
    if (surelyAtMost(to, from)) return x.slice(axis, 0, 0);
    return from === 0 && to === size && step === 1 ? x : x.slice(axis, from, to, step);
  }
  // Backwards: element i is element size - 1 - i of the reversed axis. `end` is excluded, and a
  // bound before the first element means that the first is taken.
  const place = (value: Dim): Dim => {
    if (isEndless(value)) return typeof value === 'number' && value < 0 ? -1 : subDims(size, 1);
    const fromFront = surelyLess(value, 0) ? addDims(size, value) : value;
    if (surelyAtMost(size, fromFront)) return subDims(size, 1);
    return surelyLess(fromFront, 0) ? -1 : fromFront;
  };
  const mirrored = (value: Dim): Dim => subDims(subDims(size, 1), place(value));
  const [from, to] = [mirrored(start), mirrored(end)];
  const reversed = x.flip(axis);
  if (surelyAtMost(to, from)) return reversed.slice(axis, 0, 0);
  return from === 0 && to === size && step === -1
    ? reversed
    : reversed.slice(axis, from, to, -step);
}

function slice(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const [starts, ends] = [n.ints('starts') ?? n.sizes(1), n.ints('ends') ?? n.sizes(2)];
  const axes = n.intsOrInput('axes', 3) ?? starts.map((_, i) => i);
  const steps = n.optionalValue(4) ? n.numbers(4) : starts.map(() => 1);
  return axes.reduce((sliced, axis, i) => sliceAxis(sliced, axis, starts[i], ends[i], steps[i]), x);
}

/** Which element of an axis stands at each place of the padded axis. */
const sources: Readonly<Record<string, (place: number, size: number) => number>> = {
  edge: (place, size) => Math.min(Math.max(place, 0), size - 1),
  wrap: (place, size) => ((place % size) + size) % size,
  reflect: (place, size) => {
    const period = Math.max(1, 2 * (size - 1));
    const at = ((place % period) + period) % period;
    return at < size ? at : period - at;
  },
};

function padAxis(
  n: NodeReader,
  x: Tensor,
  axis: number,
  [before, after]: readonly [Dim, Dim],
  mode: string,
  value: number,
): Tensor {
  if (before === 0 && after === 0) return x;
  const size = x.size(axis);
  if (mode === 'constant') {
    // Negative padding cuts.
    const cut = (d: Dim): Dim => (surelyLess(d, 0) ? subDims(0, d) : 0);
    const added = (d: Dim): Dim => (surelyLess(d, 0) ? 0 : d);
    const kept =
      cut(before) === 0 && cut(after) === 0
        ? x
        : x.slice(axis, cut(before), subDims(size, cut(after)));
    return added(before) === 0 && added(after) === 0
      ? kept
      : kept.pad(axis, added(before), added(after), value);
  }
  if (!Object.hasOwn(sources, mode)) {
    n.refuse({
      what: 'this padding is not supported',
      expected: 'constant, edge, reflect or wrap',
      found: mode,
    });
  }
  if (typeof size !== 'number' || typeof before !== 'number' || typeof after !== 'number') {
    return n.refuse({
      what: `padding by ${mode} needs fixed sizes`,
      expected: 'numbers',
      found: `${before} and ${after} around ${size}`,
      hint: 'give options.sizes',
    });
  }
  const total = before + size + after;
  if (total > knownLimit) {
    n.refuse({
      what: `padding by ${mode} is too wide`,
      expected: `at most ${knownLimit}`,
      found: `${total}`,
    });
  }
  const places = Array.from({ length: total }, (_, i) => sources[mode](i - before, size));
  return x.gather(constant(fromNumbers('i64', [total], places)), axis);
}

function pad(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const mode = n.text('mode', 'constant');
  const pads = n.ints('pads') ?? n.ints('paddings') ?? n.sizes(1);
  const value = n.has('value') || !n.optionalValue(2) ? n.float('value', 0) : n.number(2);
  const axes = n.optionalValue(3) ? n.numbers(3) : x.shape.map((_, i) => i);
  return axes.reduce(
    (padded, axis, i) =>
      padAxis(n, padded, axisOf(axis, x.rank), [pads[i], pads[i + axes.length]], mode, value),
    x,
  );
}

/** Rows of a batch reversed up to each row's own length. */
function reverseSequence(n: NodeReader): Tensor {
  const [x, lengths] = [n.tensor(0), n.numbers(1)];
  const [time, batch] = [n.int('time_axis', 0), n.int('batch_axis', 1)];
  const size = x.size(time);
  const rows = lengths.map((length, row) => {
    const one = x.slice(batch, row, row + 1);
    return concat([one.slice(time, 0, length).flip(time), one.slice(time, length, size)], time);
  });
  return concat(rows, batch);
}

export const slicing: Readonly<Record<string, Builder>> = {
  Slice: slice,
  Pad: pad,
  ReverseSequence: reverseSequence,
};
