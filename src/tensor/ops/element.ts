// What the element-wise rows share: which element types an operation takes, and what it costs.
import { holds } from '../array.js';
import { type Shape, sameDim, sameShape } from '../dim.js';
import { type DType, dtypes, isInteger } from '../dtype.js';
import {
  type ConcreteType,
  type Emitter,
  type LowerContext,
  type OpRow,
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';
import type { Tensor } from '../tensor.js';

export type Kind = 'float' | 'number' | 'integer' | 'unsigned' | 'bool' | 'any';

const accepts: Record<Kind, (dtype: DType) => boolean> = {
  float: (dtype) => dtypes[dtype].kind === 'float',
  number: (dtype) => dtypes[dtype].kind !== 'bool',
  integer: isInteger,
  unsigned: (dtype) => dtypes[dtype].kind === 'uint',
  bool: (dtype) => dtype === 'bool',
  any: () => true,
};

export function checkKind({ dtype }: TensorType, kind: Kind): void {
  if (!accepts[kind](dtype)) {
    reject('this operation is not defined for the element type', `${kind} types`, dtype);
  }
}

/** Refuses a number that would wrap in the element type: -1 for u8, 0.5 for i64. */
export function checkHolds({ dtype }: TensorType, value: number): void {
  if (!holds(dtype, value)) {
    reject(`${dtype} does not hold ${value}`, `a value that ${dtype} holds exactly`, `${value}`);
  }
}

/** The larger and the smaller of two exact integers (`Math.max` takes numbers only). */
export const larger = (x: bigint, y: bigint): bigint => [x, y][Number(y > x)];
export const smaller = (x: bigint, y: bigint): bigint => [x, y][Number(y < x)];

export const count = (outputs: readonly ConcreteType[]): number =>
  outputs[0].shape.reduce((a, b) => a * b, 1);

export type Lower = string | ((emit: Emitter, context: LowerContext<object>) => ValueName);

export const lowerBy = (lower: Lower): OpRow<object>['lower'] =>
  typeof lower === 'string' ? (emit, { values }) => emit.node(lower, values) : lower;

/** The gradient of what was broadcast: summed over the axes that were repeated. */
export function unbroadcast(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const repeated = g.shape.flatMap((d, i) =>
    i < lead || (shape[i - lead] === 1 && !sameDim(d, 1)) ? [i] : [],
  );
  return g.sum(repeated, true).reshape(...shape);
}
