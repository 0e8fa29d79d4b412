// Where graphs begin and tensors come together: inputs, parameters, counters, joins.
import { type DimLike, dim } from './dim.js';
import type { DType } from './dtype.js';
import { axisOf } from './op.js';
import * as leaf from './ops/leaf.js';
import { concat as concatRow } from './ops/shape.js';
import { located } from './path.js';
import { build, type Tensor } from './tensor.js';

/** A value fed at every run. */
export function input(name: string, dtype: DType, shape: readonly DimLike[]): Tensor {
  return build(leaf.input, [], { name, dtype, shape: shape.map(dim) })[0];
}

/** A weight, by its name in the checkpoint. */
export function parameter(name: string, dtype: DType, shape: readonly DimLike[]): Tensor {
  return build(leaf.parameter, [], { name, dtype, shape: shape.map(dim) })[0];
}

/** 0, 1, 2, ... as int64[size]. */
export function iota(size: DimLike): Tensor {
  return build(leaf.iota, [], { size: dim(size) })[0];
}

export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  if (tensors.length === 1) return tensors[0];
  const at = located('concat', tensors, () => axisOf(axis, tensors[0]?.rank ?? 0));
  return build(concatRow, tensors, { axis: at })[0];
}
