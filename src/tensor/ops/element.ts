// What the element-wise rows share: which element types an operation takes, and what it costs.
import { type DType, dtypes } from '../dtype.js';
import {
  type ConcreteType,
  type Emitter,
  type LowerContext,
  type OpRow,
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';

export type Kind = 'float' | 'number' | 'integer' | 'bool' | 'any';

const accepts: Record<Kind, (dtype: DType) => boolean> = {
  float: (dtype) => dtypes[dtype].kind === 'float',
  number: (dtype) => dtypes[dtype].kind !== 'bool',
  integer: (dtype) => dtypes[dtype].kind === 'int' || dtypes[dtype].kind === 'uint',
  bool: (dtype) => dtype === 'bool',
  any: () => true,
};

export function checkKind({ dtype }: TensorType, kind: Kind): void {
  if (!accepts[kind](dtype)) {
    reject('this operation is not defined for the element type', `a ${kind} type`, dtype);
  }
}

export const count = (outputs: readonly ConcreteType[]): number =>
  outputs[0].shape.reduce((a, b) => a * b, 1);

export type Lower = string | ((emit: Emitter, context: LowerContext<object>) => ValueName);

export const lowerBy = (lower: Lower): OpRow<object>['lower'] =>
  typeof lower === 'string' ? (emit, { values }) => emit.node(lower, values) : lower;
