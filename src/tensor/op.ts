// The op table's row: everything the library knows about one operation stands in one place.
//
//   infer     shape and element-type rule, run when the graph is built
//   flops     arithmetic it costs (multiply and add count as two)
//   lower     how it is written in ONNX
//   evaluate  a slow, plain reference kernel: the definition that tests hold every device to
//   gradient  how it is differentiated, as more graph
//
// Rows know the types of tensors only, never how tensors are made: that keeps the table free of
// circular imports.
import type { NDArray } from './array.js';
import type { Dim, Shape } from './dim.js';
import type { DType } from './dtype.js';
import { AnyformerError } from './error.js';
import type { Tensor } from './tensor.js';

export type TensorType = { readonly dtype: DType; readonly shape: Shape };
export type ConcreteType = { readonly dtype: DType; readonly shape: readonly number[] };

/** An attribute of an ONNX node. */
export type OnnxAttribute =
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'ints'; value: readonly number[] }
  | { kind: 'floats'; value: readonly number[] }
  | { kind: 'graph'; value: OnnxBody };

/** A graph that a node runs, as the ONNX layer holds it. */
export type OnnxBody = { readonly name: string };

export const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
export const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });
export const text = (value: string): OnnxAttribute => ({ kind: 'string', value });

/** Names a value inside the ONNX graph being written. '' is ONNX's "absent optional input". */
export type ValueName = string;

/** What a row's `lower` writes with. Implemented by the ONNX layer. */
export type Emitter = {
  /** Emits a node with one output. */
  node(
    op: string,
    inputs: readonly ValueName[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string,
  ): ValueName;
  /** Emits a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly ValueName[],
    outputs: number,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string,
  ): ValueName[];
  constant(array: NDArray): ValueName;
  /** A one-element or empty-shaped constant of the given type. */
  scalar(dtype: DType, value: number): ValueName;
  /** A 1-D int64 value holding these sizes, computed at run time where they are symbolic. */
  sizes(dims: readonly Dim[]): ValueName;
  /** A 0-D int64 value holding one size. */
  size(dim: Dim): ValueName;
  /** A cast; the same name when the types agree. */
  cast(value: ValueName, from: DType, to: DType): ValueName;
  /**
   * A graph for a node's attribute, with these leaves for inputs. The other leaves that `results`
   * reach stand in `outer`, with the values of the graph around that they are.
   */
  body(
    leaves: readonly Tensor[],
    results: readonly Tensor[],
    outer: ReadonlyMap<Tensor, ValueName>,
  ): OnnxAttribute;
};

/**
 * Numbers, text, sizes, arrays, and lists and records of them. Anything else (a function, a Map, an
 * instance) is opaque: handed to the row as it is, equal only to itself.
 */
export type Attributes = Readonly<Record<string, unknown>>;

export type LowerContext<A> = {
  attributes: A;
  inputs: readonly TensorType[];
  outputs: readonly TensorType[];
  /** The value name of each input. */
  values: readonly ValueName[];
  /** Whether anything reads each output; trailing ones that nothing reads need not be written. */
  used: readonly boolean[];
};

/** Gradients of the inputs, given those of the outputs; undefined where none flows. */
export type GradientRule<A> = (context: {
  attributes: A;
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  gradients: readonly (Tensor | undefined)[];
}) => readonly (Tensor | undefined)[];

export type OpRow<A extends object = Attributes> = {
  readonly name: string;
  infer(inputs: readonly TensorType[], attributes: A): readonly TensorType[];
  /** Defaults to 0: operations that only move data. */
  flops?(inputs: readonly ConcreteType[], outputs: readonly ConcreteType[], attributes: A): number;
  /** Outputs that nothing reads are not made: they cost no bytes. */
  readonly onDemand?: true;
  /** The output shares its input's memory: it costs no bytes. */
  readonly view?: true;
  /** The output IS the first input: a mark for rewrites and gradients, gone before execution. */
  readonly mark?: true;
  /** Writes element i after reading only elements i: safe as the last reader of a buffer it fills. */
  readonly elementwise?: true;
  lower(emit: Emitter, context: LowerContext<A>): ValueName | readonly ValueName[];
  /** Absent only for leaves, whose values come from outside. */
  evaluate?(
    inputs: readonly NDArray[],
    attributes: A,
    outputs: readonly ConcreteType[],
  ): readonly NDArray[];
  /** Absent where the operation has no derivative that is written down yet. */
  gradient?: GradientRule<A>;
};

/** The rule of piecewise constant operations: no gradient flows. */
export const flat = (): readonly undefined[] => [];

export const defineOp = <A extends object>(row: OpRow<A>): OpRow<A> => row;

/** A refusal by a shape or type rule; the builder adds the module path and the op's name. */
export function reject(what: string, expected: string, found: string, hint?: string): never {
  throw new AnyformerError('tensor/shape', { what, expected, found, ...(hint ? { hint } : {}) });
}

export const showType = (type: TensorType): string =>
  `${type.dtype}[${type.shape.map(String).join(', ')}]`;

/** Axes counted from the front, each named once. */
export function axesOf(axes: readonly number[], rank: number): number[] {
  const out = axes.map((axis) => axisOf(axis, rank));
  if (new Set(out).size !== out.length) {
    reject('an axis is named twice', 'each axis once', `[${axes.join(', ')}]`);
  }
  return out;
}

/** Counts a possibly negative axis from the front. */
export function axisOf(axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || index < 0 || index >= rank) {
    reject(`axis ${axis} is outside a tensor of rank ${rank}`, `-${rank}..${rank - 1}`, `${axis}`);
  }
  return index;
}
