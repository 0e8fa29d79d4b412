// Reading and writing by computed positions.
import {
  fromIntegers,
  fromNumbers,
  type NDArray,
  ndarray,
  sizeOf,
  toIntegers,
  toNumbers,
  zerosOf,
} from '../array.js';
import { type Dim, type Shape, sameDim, sameShape, showShape } from '../dim.js';
import { isInteger } from '../dtype.js';
import { AnyformerError } from '../error.js';
import { axisOf, defineOp, int, reject, type TensorType, text } from '../op.js';
import { around, coordinates, strides } from '../strides.js';
import type { Tensor } from '../tensor.js';
import { checkKind, larger, smaller } from './element.js';

const checkIndices = ({ dtype }: TensorType): void => {
  if (dtype !== 'i64' && dtype !== 'i32') reject('positions are integers', 'i64 or i32', dtype);
};

/** A position within 0..size-1; negative ones count from the end, as in ONNX. */
function position(value: number | bigint, size: number): number {
  const index = Number(value) < 0 ? Number(value) + size : Number(value);
  if (index < 0 || index >= size) {
    throw new AnyformerError('tensor/index', {
      what: `position ${value} is outside an axis of ${size}`,
      expected: `${-size}..${size - 1}`,
      found: String(value),
    });
  }
  return index;
}

/** Whole slices of one axis: out[.., i.., ..] = x[.., indices[i..], ..]. */
export const gather = defineOp<{ axis: number }>({
  name: 'gather',
  infer: ([x, indices], { axis }) => {
    checkIndices(indices);
    const at = axisOf(axis, x.shape.length);
    const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
    return [{ dtype: x.dtype, shape }];
  },
  lower: (emit, { values, attributes }) =>
    emit.node('Gather', values, { axis: int(attributes.axis) }),
  evaluate: ([x, indices], { axis }, [{ dtype, shape }]) => {
    const [before, size, after] = around(x.shape, axisOf(axis, x.shape.length));
    const out = zerosOf(dtype, shape);
    const count = indices.data.length;
    for (let i = 0; i < before; i++) {
      for (let j = 0; j < count; j++) {
        const from = (i * size + position(indices.data[j], size)) * after;
        const to = (i * count + j) * after;
        for (let k = 0; k < after; k++) out.data[to + k] = x.data[from + k];
      }
    }
    return [out];
  },
  gradient: ({ inputs: [x, indices], gradients: [g], attributes: { axis } }) => {
    if (!g) return [];
    // The axis comes first, so that whole slices are added where they were taken.
    const rest = x.shape.map((_, i) => i).filter((i) => i !== axis);
    const taken = indices.shape.map((_, i) => axis + i);
    const others = g.shape.map((_, i) => i).filter((i) => !taken.includes(i));
    const empty = x.operand(0).broadcastTo(...[axis, ...rest].map((i) => x.shape[i]));
    const updates = axis === 0 ? g : g.transpose(...taken, ...others);
    const sums = empty.scatterNd(indices.unsqueeze(-1), updates, 'add');
    return [
      axis === 0 ? sums : sums.transpose(...x.shape.map((_, i) => [axis, ...rest].indexOf(i))),
    ];
  },
});

/** One element per position: out[.., i, ..] = x[.., indices[.., i, ..], ..]. */
export const gatherElements = defineOp<{ axis: number }>({
  name: 'gatherElements',
  infer: ([x, indices], { axis }) => {
    checkIndices(indices);
    checkElementwise(x.shape, indices.shape, axis);
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  lower: (emit, { values, attributes }) =>
    emit.node('GatherElements', values, { axis: int(attributes.axis) }),
  evaluate: ([x, indices], { axis }, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    visitElements(x.shape, indices, axis, (at, i) => {
      out.data[i] = x.data[at];
    });
    return [out];
  },
  gradient: ({ inputs: [x, indices], gradients: [g], attributes: { axis } }) =>
    g ? [zerosLike(x).scatterElements(indices, g, axis, 'add')] : [],
});

const zerosLike = (x: Tensor): Tensor => x.operand(0).broadcastTo(...x.shape);

function checkElementwise(x: Shape, indices: Shape, axis: number): void {
  const at = axisOf(axis, x.length);
  const fits = indices.length === x.length && x.every((d, i) => i === at || fitsIn(indices[i], d));
  if (!fits) {
    reject(
      'positions have the shape of the tensor in all but one axis',
      `${showShape(x)} up to axis ${at}`,
      showShape(indices),
    );
  }
}

const fitsIn = (small: Dim, large: Dim): boolean =>
  typeof small === 'number' && typeof large === 'number' ? small <= large : sameDim(small, large);

/** Calls back with the flat place in `shape` that each element of `indices` names. */
function visitElements(
  shape: readonly number[],
  indices: NDArray,
  axis: number,
  visit: (at: number, i: number) => void,
): void {
  const along = axisOf(axis, shape.length);
  const steps = strides(shape);
  let i = 0;
  for (const place of coordinates(indices.shape)) {
    let at = 0;
    for (let d = 0; d < place.length; d++) {
      at += (d === along ? position(indices.data[i], shape[d]) : place[d]) * steps[d];
    }
    visit(at, i++);
  }
}

export type Scatter = { reduction: 'none' | 'add' | 'max' | 'min' | 'mul' };

type Combine<V> = Record<Scatter['reduction'], (old: V, value: V) => V>;

const floats: Combine<number> = {
  none: (_, value) => value,
  add: (old, value) => old + value,
  mul: (old, value) => old * value,
  max: Math.max,
  min: Math.min,
};

const integers: Combine<bigint> = {
  none: (_, value) => value,
  add: (old, value) => old + value,
  mul: (old, value) => old * value,
  max: larger,
  min: smaller,
};

/** x after `visit` has named, for element i of `updates`, the place that it goes to. */
function scattered(
  x: NDArray,
  updates: NDArray,
  reduction: Scatter['reduction'],
  visit: (write: (to: number, i: number) => void) => void,
): NDArray {
  const run = <V>(old: ArrayLike<V>, values: ArrayLike<V>, combine: Combine<V>): V[] => {
    const out = Array.from(old);
    visit((to, i) => {
      out[to] = combine[reduction](out[to], values[i]);
    });
    return out;
  };
  return isInteger(x.dtype)
    ? fromIntegers(x.dtype, x.shape, run(toIntegers(x), toIntegers(updates), integers))
    : fromNumbers(x.dtype, x.shape, run(toNumbers(x), toNumbers(updates), floats));
}

function checkReduction(x: TensorType, { reduction }: Scatter): void {
  if (reduction !== 'none') checkKind(x, 'number');
}

/** x with elements replaced (or combined) at positions along one axis. */
export const scatterElements = defineOp<Scatter & { axis: number }>({
  name: 'scatterElements',
  infer: ([x, indices, updates], { axis, reduction }) => {
    checkReduction(x, { reduction });
    checkIndices(indices);
    checkElementwise(x.shape, indices.shape, axis);
    if (updates.dtype !== x.dtype || !sameShape(updates.shape, indices.shape)) {
      reject(
        'one update for every position',
        `${x.dtype}${showShape(indices.shape)}`,
        `${updates.dtype}${showShape(updates.shape)}`,
      );
    }
    return [x];
  },
  flops: ([, , updates], _, { reduction }) => (reduction === 'none' ? 0 : sizeOf(updates.shape)),
  lower: (emit, { values, attributes: { axis, reduction } }) =>
    emit.node('ScatterElements', values, { axis: int(axis), reduction: text(reduction) }),
  evaluate: ([x, indices, updates], { axis, reduction }) => [
    scattered(x, updates, reduction, (write) => visitElements(x.shape, indices, axis, write)),
  ],
  gradient: ({ inputs: [, indices, updates], gradients: [g], attributes: { axis, reduction } }) => {
    if (!g) return [];
    const old = () => g.scatterElements(indices, zerosLike(updates), axis);
    return [reachesOld(reduction) ? g : old(), undefined, g.gatherElements(indices, axis)];
  },
});

/** Whether what was there stays part of the result; products and extremes have no rule yet. */
function reachesOld(reduction: Scatter['reduction']): boolean {
  if (reduction === 'add' || reduction === 'none') return reduction === 'add';
  throw new AnyformerError('gradient/none', {
    what: `a scatter that takes the ${reduction} has no gradient rule`,
    expected: "reduction 'none' or 'add'",
    found: reduction,
  });
}

/** The static length of the last axis of index tuples, which name at most `axes` axes. */
function tupleLength(indices: TensorType, axes: number): number {
  checkIndices(indices);
  const length = indices.shape.at(-1);
  if (typeof length !== 'number') {
    reject('the last axis of positions holds tuples', 'a fixed length', showShape(indices.shape));
  }
  if (length > axes) reject('index tuples are too long', `at most ${axes}`, `${length}`);
  return length;
}

/** Slices named by index tuples: indices [..., k] name the first k axes after `batch` shared ones. */
export const gatherNd = defineOp<{ batch: number }>({
  name: 'gatherNd',
  infer: ([x, indices], { batch }) => {
    const tuple = tupleLength(indices, x.shape.length - batch);
    const shared = indices.shape.slice(0, -1).slice(0, batch);
    if (batch < 0 || !sameShape(shared, x.shape.slice(0, batch))) {
      reject(
        `the first ${batch} axes are shared by the tensor and the positions`,
        showShape(x.shape.slice(0, batch)),
        showShape(shared),
      );
    }
    return [
      { dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + tuple)] },
    ];
  },
  lower: (emit, { values, inputs, attributes: { batch } }) => {
    const wide = emit.cast(values[1], inputs[1].dtype, 'i64');
    return emit.node('GatherND', [values[0], wide], { batch_dims: int(batch) });
  },
  evaluate: ([x, indices], { batch }, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    visitTuples(x.shape, indices, batch, (from, run, i) => {
      for (let k = 0; k < run; k++) out.data[i * run + k] = x.data[from + k];
    });
    return [out];
  },
  gradient: ({ inputs: [x, indices], gradients: [g], attributes: { batch } }) => {
    if (!g) return [];
    if (batch === 0) return [zerosLike(x).scatterNd(indices, g, 'add')];
    throw new AnyformerError('gradient/none', {
      what: 'gatherNd over shared axes has no gradient rule',
      expected: 'batch 0',
      found: `batch ${batch}`,
    });
  },
});

/** Calls back with the start and length of the slice of `shape` that each index tuple names. */
function visitTuples(
  shape: readonly number[],
  indices: NDArray,
  batch: number,
  visit: (from: number, run: number, i: number) => void,
): void {
  const tuple = indices.shape[indices.shape.length - 1];
  const steps = strides(shape);
  const run = sizeOf(shape.slice(batch + tuple));
  const places = indices.shape.slice(0, -1);
  let i = 0;
  for (const place of coordinates(places)) {
    let from = 0;
    for (let b = 0; b < batch; b++) from += place[b] * steps[b];
    for (let t = 0; t < tuple; t++) {
      from += position(indices.data[i * tuple + t], shape[batch + t]) * steps[batch + t];
    }
    visit(from, run, i++);
  }
}

/** x with slices replaced (or combined) at index tuples [..., k] over the first k axes. */
export const scatterNd = defineOp<Scatter>({
  name: 'scatterNd',
  infer: ([x, indices, updates], { reduction }) => {
    checkReduction(x, { reduction });
    const tuple = tupleLength(indices, x.shape.length);
    const expected = [...indices.shape.slice(0, -1), ...x.shape.slice(tuple)];
    if (updates.dtype !== x.dtype || !sameShape(updates.shape, expected)) {
      reject(
        'one update slice for every tuple',
        `${x.dtype}${showShape(expected)}`,
        `${updates.dtype}${showShape(updates.shape)}`,
      );
    }
    return [x];
  },
  flops: ([, , updates], _, { reduction }) => (reduction === 'none' ? 0 : sizeOf(updates.shape)),
  lower: (emit, { values, inputs, attributes: { reduction } }) => {
    const wide = emit.cast(values[1], inputs[1].dtype, 'i64');
    return emit.node('ScatterND', [values[0], wide, values[2]], { reduction: text(reduction) });
  },
  evaluate: ([x, indices, updates], { reduction }) => [
    scattered(x, updates, reduction, (write) =>
      visitTuples(x.shape, indices, 0, (from, run, i) => {
        for (let k = 0; k < run; k++) write(from + k, i * run + k);
      }),
    ),
  ],
  gradient: ({ inputs: [, indices, updates], gradients: [g], attributes: { reduction } }) => {
    if (!g) return [];
    const old = () => g.scatterNd(indices, zerosLike(updates));
    return [reachesOld(reduction) ? g : old(), undefined, g.gatherNd(indices)];
  },
});

function checkCount(k: number, size: number, axis: number): void {
  if (k > size) reject(`there are no ${k} elements along axis ${axis}`, `k <= ${size}`, `${k}`);
}

/** The k largest (or smallest) elements along an axis, sorted, with their positions (i64). */
export const topK = defineOp<{ k: Dim; axis: number; largest: boolean }>({
  name: 'topK',
  infer: ([x], { k, axis }) => {
    checkKind(x, 'number');
    const at = axisOf(axis, x.shape.length);
    const size = x.shape[at];
    if (typeof k === 'number' && typeof size === 'number') checkCount(k, size, axis);
    const shape = x.shape.map((d, i) => (i === at ? k : d));
    return [
      { dtype: x.dtype, shape },
      { dtype: 'i64', shape },
    ];
  },
  flops: ([{ shape }], _, { axis }) =>
    sizeOf(shape) * Math.ceil(Math.log2(Math.max(2, shape[axisOf(axis, shape.length)]))),
  lower: (emit, { values, attributes: { k, axis, largest } }) =>
    emit.nodes('TopK', [values[0], emit.sizes([k])], 2, {
      axis: int(axis),
      largest: int(largest ? 1 : 0),
      sorted: int(1),
    }),
  evaluate: ([x], { axis, largest }, [{ shape }]) => {
    const at = axisOf(axis, x.shape.length);
    const [before, size, after] = around(x.shape, at);
    const taken = shape[at];
    checkCount(taken, size, axis);
    const values = zerosOf(x.dtype, shape);
    const indices = new BigInt64Array(sizeOf(shape));
    const numbers = isInteger(x.dtype) ? toIntegers(x) : toNumbers(x);
    for (let i = 0; i < before; i++) {
      for (let k = 0; k < after; k++) {
        const place = (j: number) => (i * size + j) * after + k;
        const order = Array.from({ length: size }, (_, j) => j).sort((a, b) => {
          const [p, q] = [numbers[place(a)], numbers[place(b)]];
          const ascending = Number(p > q) - Number(p < q);
          return (largest ? -ascending : ascending) || a - b;
        });
        for (let j = 0; j < taken; j++) {
          const to = (i * taken + j) * after + k;
          values.data[to] = x.data[place(order[j])];
          indices[to] = BigInt(order[j]);
        }
      }
    }
    return [values, ndarray('i64', shape, indices)];
  },
  gradient: ({ inputs: [x], outputs: [, indices], gradients: [g], attributes: { axis } }) =>
    g ? [zerosLike(x).scatterElements(indices, g, axis, 'add')] : [],
});
