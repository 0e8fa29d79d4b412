// Leaves: values that come from outside the graph, and the numbers written into it.
import { fromNumbers, type NDArray } from '../array.js';
import type { Dim, Shape } from '../dim.js';
import type { DType } from '../dtype.js';
import { AnyformerError } from '../error.js';
import { defineOp } from '../op.js';

export type LeafAttributes = { name: string; dtype: DType; shape: Shape };

const bound = (): never => {
  throw new AnyformerError('tensor/internal', {
    what: 'a leaf is bound by the graph writer, never lowered by itself',
  });
};

const leaf = (name: string) =>
  defineOp<LeafAttributes>({
    name,
    infer: (_, { dtype, shape }) => [{ dtype, shape }],
    lower: bound,
  });

/** Fed at every run. */
export const input = leaf('input');

/** Read from the weights: frozen into a program, or held on the device and updated in place. */
export const parameter = leaf('parameter');

/** Numbers known when the graph is built. */
export const constant = defineOp<{ value: NDArray }>({
  name: 'constant',
  infer: (_, { value }) => [{ dtype: value.dtype, shape: value.shape }],
  lower: (emit, { attributes }) => emit.constant(attributes.value),
  evaluate: (_, { value }) => [value],
});

/** 0, 1, 2, ... up to a size that may be symbolic: int64[size]. */
export const iota = defineOp<{ size: Dim }>({
  name: 'iota',
  infer: (_, { size }) => [{ dtype: 'i64', shape: [size] }],
  lower: (emit, { attributes }) =>
    emit.node('Range', [emit.scalar('i64', 0), emit.size(attributes.size), emit.scalar('i64', 1)]),
  evaluate: (_, __, [{ shape }]) => [
    fromNumbers(
      'i64',
      shape,
      Array.from({ length: shape[0] }, (_, i) => i),
    ),
  ],
});
