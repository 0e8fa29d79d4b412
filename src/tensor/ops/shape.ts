// Operations that move data without arithmetic.
import { fromNumbers, type NDArray, ndarray, zerosOf } from '../array.js';
import {
  addDims,
  type Dim,
  type DimLike,
  dim,
  exactDiv,
  mulDims,
  type Shape,
  sameDim,
  shapeSize,
  showShape,
  subDims,
} from '../dim.js';
import {
  axisOf,
  defineOp,
  type Emitter,
  flat,
  type GradientRule,
  int,
  ints,
  reject,
  type ValueName,
} from '../op.js';
import { around, broadcastIndex, coordinates, strides } from '../strides.js';
import type { Tensor } from '../tensor.js';
import { checkHolds, unbroadcast } from './element.js';

const sameData = (
  [x]: readonly NDArray[],
  _: unknown,
  [{ shape }]: readonly { shape: readonly number[] }[],
) => [ndarray(x.dtype, shape, x.data)];

/** Another shape over the same elements. */
export const reshape = defineOp<{ shape: Shape }>({
  name: 'reshape',
  view: true,
  infer: ([x], { shape }) => {
    if (!sameDim(shapeSize(x.shape), shapeSize(shape))) {
      reject(
        `${showShape(x.shape)} does not have as many elements as ${showShape(shape)}`,
        `${shapeSize(x.shape)} elements`,
        `${shapeSize(shape)} elements`,
      );
    }
    return [{ dtype: x.dtype, shape }];
  },
  lower: (emit, { values, inputs, attributes: { shape } }) => {
    const target = reshapeTarget(emit, inputs[0].shape, shape);
    return target === undefined
      ? emit.node('Reshape', [values[0], emit.sizes(shape)], { allowzero: int(1) })
      : emit.node('Reshape', [values[0], target]);
  },
  evaluate: sameData,
  gradient: ({ inputs: [x], gradients: [g] }) => (g ? [g.reshape(...x.shape)] : []),
});

/** The sizes of a new shape; one -1 among them is computed from the elements of `from`. */
export function fillShape(from: Shape, sizes: readonly DimLike[]): Shape {
  const at = sizes.indexOf(-1);
  if (at < 0) return sizes.map(dim);
  const known = shapeSize(sizes.filter((_, i) => i !== at).map(dim));
  const missing = exactDiv(shapeSize(from), known);
  if (missing === undefined) {
    reject('the size -1 cannot be computed', `a divisor of ${shapeSize(from)}`, `${known}`);
  }
  return sizes.map((size, i) => (i === at ? missing : dim(size)));
}

/**
 * ONNX's target vector: 0 copies the size at the same place, one -1 is computed from the rest; only
 * with two or more sizes left unknown (or a size of 0) is the vector that of the sizes themselves.
 */
function reshapeTarget(emit: Emitter, from: Shape, to: Shape): ValueName | undefined {
  const short = to.map((d, i) =>
    typeof d === 'number' ? d : i < from.length && sameDim(d, from[i]) ? 0 : -1,
  );
  const literalZero = to.some((d) => d === 0);
  if (literalZero || short.filter((d) => d === -1).length > 1) return undefined;
  return emit.constant(
    ndarray('i64', [to.length], BigInt64Array.from(short.map((d) => BigInt(d)))),
  );
}

/** Axes in another order: output axis i is input axis `order[i]`. */
export const transpose = defineOp<{ order: readonly number[] }>({
  name: 'transpose',
  infer: ([x], { order }) => {
    const seen = new Set(order);
    if (order.length !== x.shape.length || seen.size !== order.length) {
      reject(
        `[${order.join(', ')}] is not an order of the axes of ${showShape(x.shape)}`,
        `each of 0..${x.shape.length - 1} once`,
        `[${order.join(', ')}]`,
      );
    }
    return [{ dtype: x.dtype, shape: order.map((axis) => x.shape[axisOf(axis, x.shape.length)]) }];
  },
  lower: (emit, { values, attributes }) =>
    emit.node('Transpose', values, { perm: ints(attributes.order) }),
  evaluate: ([x], { order }, [{ shape }]) => {
    const out = zerosOf(x.dtype, shape);
    const source = strides(x.shape);
    const steps = order.map((axis) => source[axis]);
    let at = 0;
    for (const place of coordinates(shape)) {
      let from = 0;
      for (let i = 0; i < steps.length; i++) from += place[i] * steps[i];
      out.data[at++] = x.data[from];
    }
    return [out];
  },
  gradient: ({ gradients: [g], attributes: { order } }) =>
    g ? [g.transpose(...order.map((_, axis) => order.indexOf(axis)))] : [],
});

/** Repeats axes of size 1, and adds axes in front. */
export const broadcastTo = defineOp<{ shape: Shape }>({
  name: 'broadcastTo',
  infer: ([x], { shape }) => {
    const lead = shape.length - x.shape.length;
    const fits = lead >= 0 && x.shape.every((d, i) => d === 1 || sameDim(d, shape[lead + i]));
    if (!fits) {
      reject('the shape does not broadcast', showShape(shape), showShape(x.shape));
    }
    return [{ dtype: x.dtype, shape }];
  },
  lower: (emit, { values, attributes }) =>
    emit.node('Expand', [values[0], emit.sizes(attributes.shape)]),
  evaluate: ([x], _, [{ shape }]) => {
    const out = zerosOf(x.dtype, shape);
    const index = broadcastIndex(x.shape, shape);
    for (let i = 0; i < out.data.length; i++) out.data[i] = x.data[index(i)];
    return [out];
  },
  gradient: ({ inputs: [x], gradients: [g] }) => (g ? [unbroadcast(g, x.shape)] : []),
});

/** Joins tensors along one axis. */
export const concat = defineOp<{ axis: number }>({
  name: 'concat',
  infer: (inputs, { axis }) => {
    const [first] = inputs;
    if (!first) reject('nothing to join', 'at least one tensor', 'none');
    const at = axisOf(axis, first.shape.length);
    let size: Dim = 0;
    for (const { dtype, shape } of inputs) {
      const agrees =
        dtype === first.dtype &&
        shape.length === first.shape.length &&
        shape.every((d, i) => i === at || sameDim(d, first.shape[i]));
      if (!agrees) {
        reject(
          'joined tensors agree in all but one axis',
          `${first.dtype}${showShape(first.shape)} up to axis ${at}`,
          `${dtype}${showShape(shape)}`,
        );
      }
      size = addDims(size, shape[at]);
    }
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === at ? size : d)) }];
  },
  lower: (emit, { values, attributes }) =>
    emit.node('Concat', values, { axis: { kind: 'int', value: attributes.axis } }),
  evaluate: (inputs, { axis }, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    const at = axisOf(axis, shape.length);
    const [before, total, after] = around(shape, at);
    let offset = 0;
    for (const x of inputs) {
      const run = x.shape[at] * after;
      for (let i = 0; i < before; i++) {
        for (let j = 0; j < run; j++) {
          out.data[i * total * after + offset + j] = x.data[i * run + j];
        }
      }
      offset += run;
    }
    return [out];
  },
  gradient: ({ inputs, gradients: [g], attributes: { axis } }) => {
    if (!g) return [];
    let start: Dim = 0;
    return inputs.map((x) => {
      const end: Dim = addDims(start, x.size(axis));
      const part = g.slice(axis, start, end);
      start = end;
      return part;
    });
  },
});

export type SliceAttributes = {
  axis: number;
  start: Dim;
  size: Dim;
  /** Elements between two that are taken. */
  step: number;
};

function checkSlice(
  full: number,
  { axis, start, size, step }: SliceAttributes & { start: number; size: number },
): void {
  if (start < 0 || size < 0 || (size > 0 && start + (size - 1) * step >= full)) {
    reject(
      `a slice of axis ${axis} leaves the tensor`,
      `elements within 0..${full - 1}`,
      `${size} from ${start}, step ${step}`,
    );
  }
}

/** `size` elements of one axis: start, start + step, ... */
export const slice = defineOp<SliceAttributes>({
  name: 'slice',
  infer: ([x], { axis, start, size, step }) => {
    const full = x.shape[axisOf(axis, x.shape.length)];
    if (!Number.isInteger(step) || step < 1) reject('a slice goes forward', 'step >= 1', `${step}`);
    if (typeof full === 'number' && typeof start === 'number' && typeof size === 'number') {
      checkSlice(full, { axis, start, size, step });
    }
    const at = axisOf(axis, x.shape.length);
    return [{ dtype: x.dtype, shape: x.shape.map((d, i) => (i === at ? size : d)) }];
  },
  lower: (emit, { values, attributes: { axis, start, size, step } }) => {
    const end = addDims(start, mulDims(size, step));
    return emit.node('Slice', [
      values[0],
      emit.sizes([start]),
      emit.sizes([end]),
      emit.sizes([axis]),
      emit.sizes([step]),
    ]);
  },
  evaluate: ([x], { axis, step, start }, [{ dtype, shape }]) => {
    const at = axisOf(axis, shape.length);
    const out = zerosOf(dtype, shape);
    const [before, taken, after] = around(shape, at);
    const full = x.shape[at];
    const first = Number(start);
    checkSlice(full, { axis, start: first, size: taken, step });
    for (let i = 0; i < before; i++) {
      for (let j = 0; j < taken; j++) {
        const from = (i * full + first + j * step) * after;
        const to = (i * taken + j) * after;
        for (let k = 0; k < after; k++) out.data[to + k] = x.data[from + k];
      }
    }
    return [out];
  },
  gradient: ({ inputs: [x], gradients: [g], attributes: { axis, start, size, step } }) => {
    if (!g) return [];
    const full = x.size(axis);
    if (step === 1) return [g.pad(axis, start, subDims(full, addDims(start, size)))];
    // Zeros between the elements that were taken; the last ones may stand beyond the end.
    const spread = g.unsqueeze(axis + 1).pad(axis + 1, 0, step - 1);
    const shape = g.shape.map((d, i) => (i === axis ? mulDims(size, step) : d));
    const wide = spread.reshape(...shape).pad(axis, start, full);
    return [wide.slice(axis, 0, full)];
  },
});

/** One axis in reverse order. */
export const flip = defineOp<{ axis: number }>({
  name: 'flip',
  infer: ([x], { axis }) => {
    axisOf(axis, x.shape.length);
    return [x];
  },
  lower: (emit, { values, attributes: { axis } }) => {
    const one = (value: number) =>
      emit.constant(ndarray('i64', [1], BigInt64Array.of(BigInt(value))));
    return emit.node('Slice', [values[0], one(-1), one(-(2 ** 31)), one(axis), one(-1)]);
  },
  evaluate: ([x], { axis }, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    const [before, size, after] = around(shape, axisOf(axis, shape.length));
    for (let i = 0; i < before; i++) {
      for (let j = 0; j < size; j++) {
        const from = (i * size + size - 1 - j) * after;
        const to = (i * size + j) * after;
        for (let k = 0; k < after; k++) out.data[to + k] = x.data[from + k];
      }
    }
    return [out];
  },
  gradient: ({ gradients: [g], attributes: { axis } }) => (g ? [g.flip(axis)] : []),
});

/** Fills `before[i]` and `after[i]` places around axis i with one value. */
export const pad = defineOp<{ before: readonly Dim[]; after: readonly Dim[]; value: number }>({
  name: 'pad',
  infer: ([x], { before, after, value }) => {
    checkHolds(x, value);
    if (before.length !== x.shape.length || after.length !== x.shape.length) {
      reject(
        'padding is given for every axis',
        `${x.shape.length} axes`,
        `${before.length} and ${after.length}`,
      );
    }
    const shape = x.shape.map((d, i) => addDims(addDims(before[i], d), after[i]));
    return [{ dtype: x.dtype, shape }];
  },
  lower: (emit, { values, inputs, attributes: { before, after, value } }) =>
    emit.node('Pad', [
      values[0],
      emit.sizes([...before, ...after]),
      emit.scalar(inputs[0].dtype, value),
    ]),
  evaluate: ([x], { before, value }, [{ dtype, shape }]) => {
    const out = zerosOf(dtype, shape);
    const [filler] = fromNumbers(dtype, [], [value]).data;
    (out.data as Float32Array).fill(filler as number);
    const steps = strides(shape);
    let at = 0;
    for (const place of coordinates(x.shape)) {
      let to = 0;
      for (let i = 0; i < place.length; i++) to += (place[i] + Number(before[i])) * steps[i];
      out.data[to] = x.data[at++];
    }
    return [out];
  },
  gradient: ({ inputs: [x], gradients: [g], attributes: { before } }) => {
    const inside = (part: Tensor, axis: number): Tensor =>
      before[axis] === 0 && sameDim(part.size(axis), x.size(axis))
        ? part
        : part.slice(axis, before[axis], addDims(before[axis], x.size(axis)));
    return g ? [x.shape.reduce<Tensor>((part, _, axis) => inside(part, axis), g)] : [];
  },
});

const passThrough = <A extends object>(name: string, gradient: GradientRule<A>) =>
  defineOp<A>({
    gradient,
    mark: true,
    name,
    view: true,
    infer: ([x]) => [x],
    lower: (_, { values }) => values[0],
    evaluate: sameData,
  });

/** Names an activation so that `tap` and `patch` find it; costs nothing at run time. */
export const tag = passThrough<{ path: string }>('tag', ({ gradients }) => gradients);

/** The value, through which no gradient flows. */
export const stopGradient = passThrough<object>('stopGradient', flat);

/**
 * The first input's value, with a gradient of the caller's for the others: `rule` takes dL/dy and
 * gives one gradient for each of them (straight-through, surrogate derivatives).
 */
export const withGradient = defineOp<{
  rule: (g: Tensor, inputs: readonly Tensor[]) => readonly (Tensor | undefined)[];
}>({
  name: 'withGradient',
  view: true,
  mark: true,
  infer: ([y]) => [y],
  lower: (_, { values }) => values[0],
  evaluate: sameData,
  gradient: ({ inputs: [, ...inputs], gradients: [g], attributes: { rule } }) =>
    g ? [undefined, ...rule(g, inputs)] : [],
});

/**
 * The first input's value, not to be had before the others are: it keeps what is computed from it from
 * running early, and from being shared with an equal computation that does. No data are moved.
 */
export const after = defineOp<object>({
  name: 'after',
  view: true,
  infer: ([x]) => [x],
  lower: (emit, { values: [x, ...tokens], inputs: [{ shape }, ...types] }) => {
    // The shape plus 0 times an element of each token: a reshape in place that has to wait.
    const sizes = tokens.reduce((sum, token, i) => {
      const flat = emit.node('Reshape', [token, emit.sizes([-1])]);
      const one = emit.node('Gather', [flat, emit.scalar('i64', 0)]);
      const whole = emit.cast(one, types[i].dtype, 'i64');
      return emit.node('Add', [sum, emit.node('Mul', [whole, emit.scalar('i64', 0)])]);
    }, emit.sizes(shape));
    return emit.node('Reshape', [x, sizes]);
  },
  evaluate: sameData,
  gradient: ({ gradients: [g] }) => [g],
});
