// Tensor: a symbolic value, one output of a node in a static graph. Immutable; methods append nodes.
// The methods are thin: rules and kernels stand in the op table (`ops/`).
import { fromNumbers, holds, type NDArray } from './array.js';
import { ceilDiv, type Dim, type DimLike, dim, type Shape, subDims } from './dim.js';
import type { DType } from './dtype.js';
import { AnyformerError } from './error.js';
import {
  type Attributes,
  axesOf,
  axisOf,
  type OpRow,
  reject,
  showType,
  type TensorType,
} from './op.js';
import { binaryRows } from './ops/binary.js';
import * as convolution from './ops/conv.js';
import * as indexing from './ops/indexing.js';
import * as leaf from './ops/leaf.js';
import * as matrix from './ops/matmul.js';
import * as norm from './ops/norm.js';
import * as pooling from './ops/pool.js';
import * as quantized from './ops/quantized.js';
import * as reduce from './ops/reduce.js';
import * as select from './ops/select.js';
import * as shaping from './ops/shape.js';
import type { SlidingOptions } from './ops/sliding.js';
import { unaryRows } from './ops/unary.js';
import { currentPath, located } from './path.js';

/** One operation of a graph. */
export type Node = {
  readonly id: number;
  readonly row: OpRow;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly outputs: readonly TensorType[];
  /** One tensor for each output. */
  readonly tensors: readonly Tensor[];
  /** Module path in which it was created. */
  readonly path: string;
};

/** A number stands for a constant of the other operand's element type. */
export type Operand = Tensor | number;

type Elementwise = Record<keyof typeof unaryRows, () => Tensor> &
  Record<keyof typeof binaryRows, (other: Operand) => Tensor>;

/** One method for each row of the element-wise tables: `x.exp()`, `x.add(y)`, `x.mul(0.5)`. */
const Elementwise = (() => {
  class Methods {}
  const install = (name: string, method: (this: Tensor, other: Operand) => Tensor) =>
    Object.defineProperty(Methods.prototype, name, { value: method });
  for (const [name, row] of Object.entries(unaryRows)) {
    install(name, function () {
      return build(row, [this])[0];
    });
  }
  for (const [name, row] of Object.entries(binaryRows)) {
    install(name, function (other) {
      return build(row, [this, located(name, [this], () => this.operand(other))])[0];
    });
  }
  return Methods as unknown as new () => Elementwise;
})();

export class Tensor extends Elementwise {
  readonly node: Node;
  readonly index: number;

  constructor(node: Node, index: number) {
    super();
    this.node = node;
    this.index = index;
  }

  get dtype(): DType {
    return this.node.outputs[this.index].dtype;
  }

  get shape(): Shape {
    return this.node.outputs[this.index].shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Size of one axis; negative axes count from the end. */
  size(axis: number): Dim {
    return this.shape[axisOf(axis, this.rank)];
  }

  override toString(): string {
    return showType(this);
  }

  /** The other side of a binary operation: a tensor, or a number as a constant of this type. */
  operand(other: Operand): Tensor {
    return other instanceof Tensor ? other : scalar(this.dtype, other);
  }

  /** scale * this @ other over the last two axes; leading axes broadcast. */
  matmul(other: Tensor, options: Partial<matrix.MatmulAttributes> = {}): Tensor {
    const { transposeA = false, transposeB = false, scale = 1 } = options;
    return build(matrix.matmul, [this, other], { transposeA, transposeB, scale })[0];
  }

  /** this @ W^T for a matrix of packed 4- or 8-bit codes. */
  matmulNBits(codes: Tensor, scales: Tensor, attributes: quantized.NBitsAttributes): Tensor {
    return build(quantized.matmulNBits, [this, codes, scales], attributes)[0];
  }

  /** this @ W for int8 codes [columns, rows], this rounded to uint8 at run time. */
  dynamicQuantizeMatmul(codes: Tensor, scales: Tensor): Tensor {
    return build(quantized.dynamicQuantizeMatmul, [this, codes, scales])[0];
  }

  /** this @ other for 8-bit integers of either sign, summed exactly: i32. */
  matmulInteger(other: Tensor): Tensor {
    return build(quantized.matmulInteger, [this, other])[0];
  }

  /** this ? a : b, for a bool tensor. */
  where(a: Operand, b: Operand): Tensor {
    const typed = a instanceof Tensor ? a : b;
    if (!(typed instanceof Tensor)) {
      throw new AnyformerError('tensor/dtype', {
        what: 'where needs one branch that is a tensor',
        expected: 'a tensor, whose element type the other branch takes',
        found: `${a} and ${b}`,
      });
    }
    return build(select.where, [this, typed.operand(a), typed.operand(b)])[0];
  }

  clip(min: number, max: number): Tensor {
    return build(select.clip, [this], { min, max })[0];
  }

  cast(to: DType): Tensor {
    return to === this.dtype ? this : build(select.cast, [this], { to })[0];
  }

  /** Another shape over the same elements; one -1 is computed from the rest. */
  reshape(...sizes: readonly DimLike[]): Tensor {
    const shape = located('reshape', [this], () => shaping.fillShape(this.shape, sizes));
    return build(shaping.reshape, [this], { shape })[0];
  }

  /** Axes in the given order. */
  transpose(...order: readonly number[]): Tensor {
    return build(shaping.transpose, [this], { order: this.#axes('transpose', order) })[0];
  }

  /** Exchanges two axes. */
  swap(a: number, b: number): Tensor {
    const order = this.shape.map((_, i) => i);
    const [x, y] = [this.#axis('swap', a), this.#axis('swap', b)];
    [order[x], order[y]] = [y, x];
    return this.transpose(...order);
  }

  broadcastTo(...sizes: readonly DimLike[]): Tensor {
    return build(shaping.broadcastTo, [this], { shape: sizes.map(dim) })[0];
  }

  /** Adds axes of size 1 at these places of the result. */
  unsqueeze(...axes: readonly number[]): Tensor {
    const rank = this.rank + axes.length;
    const added = new Set(this.#axes('unsqueeze', axes, rank));
    const kept = [...this.shape];
    const shape = Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (kept.shift() ?? 1)));
    return this.reshape(...shape);
  }

  /** Removes axes of size 1. */
  squeeze(...axes: readonly number[]): Tensor {
    const gone = new Set(this.#axes('squeeze', axes));
    return this.reshape(...this.shape.filter((_, i) => !gone.has(i)));
  }

  /** Elements start..end (end excluded) of one axis; negative bounds count from the end. */
  slice(axis: number, start: DimLike, end?: DimLike, step = 1): Tensor {
    const at = this.#axis('slice', axis);
    const full = this.shape[at];
    const bound = (value: DimLike): Dim =>
      typeof value === 'number' && value < 0 ? subDims(full, -value) : dim(value);
    const from = bound(start);
    const size = ceilDiv(subDims(end === undefined ? full : bound(end), from), step);
    return build(shaping.slice, [this], { axis: at, start: from, size, step })[0];
  }

  /** Consecutive parts of one axis, of the given sizes. */
  split(axis: number, sizes: readonly number[]): Tensor[] {
    let start = 0;
    return sizes.map((size) => {
      start += size;
      return this.slice(axis, start - size, start);
    });
  }

  flip(axis: number): Tensor {
    return build(shaping.flip, [this], { axis: this.#axis('flip', axis) })[0];
  }

  /** Adds `before` and `after` places around one axis. */
  pad(axis: number, before: DimLike, after: DimLike, value = 0): Tensor {
    const at = this.#axis('pad', axis);
    const around = (size: DimLike) => this.shape.map((_, i) => (i === at ? dim(size) : 0));
    const attributes = { before: around(before), after: around(after), value };
    return build(shaping.pad, [this], attributes)[0];
  }

  sum(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.sum, [this], this.#reduced('sum', axes, keep))[0];
  }

  mean(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.mean, [this], this.#reduced('mean', axes, keep))[0];
  }

  max(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.max, [this], this.#reduced('max', axes, keep))[0];
  }

  min(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.min, [this], this.#reduced('min', axes, keep))[0];
  }

  prod(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.prod, [this], this.#reduced('prod', axes, keep))[0];
  }

  sumSquares(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.sumSquares, [this], this.#reduced('sumSquares', axes, keep))[0];
  }

  logSumExp(axes?: number | readonly number[], keep = false): Tensor {
    return build(reduce.logSumExp, [this], this.#reduced('logSumExp', axes, keep))[0];
  }

  #reduced(
    op: string,
    axes: number | readonly number[] | undefined,
    keep: boolean,
  ): reduce.ReduceAttributes {
    const list = axes === undefined ? this.shape.map((_, i) => i) : [axes].flat();
    return { axes: this.#axes(op, list), keep };
  }

  #axis(op: string, axis: number): number {
    return located(op, [this], () => axisOf(axis, this.rank));
  }

  #axes(op: string, axes: readonly number[], rank = this.rank): number[] {
    return located(op, [this], () => axesOf(axes, rank));
  }

  argMax(axis = -1, keep = false): Tensor {
    return build(reduce.argMax, [this], { axis: this.#axis('argMax', axis), keep })[0];
  }

  argMin(axis = -1, keep = false): Tensor {
    return build(reduce.argMin, [this], { axis: this.#axis('argMin', axis), keep })[0];
  }

  cumsum(axis: number, { exclusive = false, reverse = false } = {}): Tensor {
    const at = this.#axis('cumsum', axis);
    return build(reduce.cumsum, [this], { axis: at, exclusive, reverse })[0];
  }

  softmax(axis = -1): Tensor {
    return build(norm.softmax, [this], { axis: this.#axis('softmax', axis) })[0];
  }

  logSoftmax(axis = -1): Tensor {
    return build(norm.logSoftmax, [this], { axis: this.#axis('logSoftmax', axis) })[0];
  }

  /** Over the last axis; `gain` and `bias` are [width]. */
  layerNorm(gain: Tensor, bias: Tensor | undefined, eps: number): Tensor {
    const inputs = bias ? [this, gain, bias] : [this, gain];
    return build(norm.layerNorm, inputs, { eps })[0];
  }

  rmsNorm(gain: Tensor, eps: number): Tensor {
    return build(norm.rmsNorm, [this, gain], { eps })[0];
  }

  /**
   * Convolution of [batch, channels, ...spatial] (one or two spatial axes) by weights
   * [out, channels / groups, ...kernel]; the bias is [out].
   */
  conv(weight: Tensor, bias?: Tensor, options: convolution.ConvOptions = {}): Tensor {
    const inputs = bias ? [this, weight, bias] : [this, weight];
    const attributes = located('conv', inputs, () =>
      convolution.convAttributes(this, weight, options),
    );
    return build(convolution.conv, inputs, attributes)[0];
  }

  /**
   * A convolution by this weight [out, channels / groups, ...kernel], transposed: [batch, out, ...] to
   * [batch, channels, ...sizes], without `sizes` the smallest. Its gradient, and an upsampling.
   */
  convTranspose(weight: Tensor, options: convolution.ConvTransposeOptions = {}): Tensor {
    const inputs = [this, weight];
    const attributes = located('convTranspose', inputs, () =>
      convolution.convTransposeAttributes(this, weight, options),
    );
    return build(convolution.convTranspose, inputs, attributes)[0];
  }

  /** dL/dweight of a convolution of this by a kernel of this size, from g = dL/dresult. */
  convKernel(g: Tensor, kernel: readonly number[], options: convolution.ConvOptions = {}): Tensor {
    const attributes = located('convKernel', [this, g], () =>
      convolution.convAttributes(this, { dtype: this.dtype, shape: [1, 1, ...kernel] }, options),
    );
    return build(convolution.convKernel, [this, g], attributes)[0];
  }

  /** The largest element of every window; windows do not overlap unless a stride says so. */
  maxPool(kernel: number | readonly number[], options: SlidingOptions = {}): Tensor {
    const attributes = located('maxPool', [this], () =>
      pooling.poolAttributes(this, kernel, { stride: kernel, ...options }),
    );
    return build(pooling.maxPool, [this], attributes)[0];
  }

  /** Where `maxPool` finds each window's largest element in the flattened tensor (i64). */
  maxPoolIndices(kernel: number | readonly number[], options: SlidingOptions = {}): Tensor {
    const attributes = located('maxPoolIndices', [this], () =>
      pooling.poolAttributes(this, kernel, { stride: kernel, ...options }),
    );
    return build(pooling.maxPoolIndices, [this], attributes)[0];
  }

  /** The mean of every window; `countPadding` counts padding as zeros. */
  averagePool(
    kernel: number | readonly number[],
    { countPadding = false, ...options }: SlidingOptions & { countPadding?: boolean } = {},
  ): Tensor {
    const attributes = located('averagePool', [this], () =>
      pooling.poolAttributes(this, kernel, { stride: kernel, ...options }),
    );
    return build(pooling.averagePool, [this], { ...attributes, countPadding })[0];
  }

  /** Whole slices of an axis by position: an embedding look-up is `table.gather(ids)`. */
  gather(indices: Tensor, axis = 0): Tensor {
    return build(indexing.gather, [this, indices], { axis: this.#axis('gather', axis) })[0];
  }

  gatherElements(indices: Tensor, axis = -1): Tensor {
    const at = this.#axis('gatherElements', axis);
    return build(indexing.gatherElements, [this, indices], { axis: at })[0];
  }

  gatherNd(indices: Tensor, batch = 0): Tensor {
    return build(indexing.gatherNd, [this, indices], { batch })[0];
  }

  scatterElements(
    indices: Tensor,
    updates: Tensor,
    axis = -1,
    reduction: indexing.Scatter['reduction'] = 'none',
  ): Tensor {
    const attributes = { axis: this.#axis('scatterElements', axis), reduction };
    return build(indexing.scatterElements, [this, indices, updates], attributes)[0];
  }

  scatterNd(
    indices: Tensor,
    updates: Tensor,
    reduction: indexing.Scatter['reduction'] = 'none',
  ): Tensor {
    return build(indexing.scatterNd, [this, indices, updates], { reduction })[0];
  }

  /** The k largest along an axis, sorted, and their positions. */
  topK(k: DimLike, axis = -1, largest = true): { values: Tensor; indices: Tensor } {
    const attributes = { k: dim(k), axis: this.#axis('topK', axis), largest };
    const [values, indices] = build(indexing.topK, [this], attributes);
    return { values, indices };
  }

  /** Names this activation for `tap` and `patch`. */
  tag(path: string): Tensor {
    return build(shaping.tag, [this], { path })[0];
  }

  /** The value, through which no gradient flows. */
  stopGradient(): Tensor {
    return build(shaping.stopGradient, [this])[0];
  }
}

let nextId = 0;

/**
 * Appends one operation. This is the only place that makes nodes; a refusal by the row's rule is
 * completed with the module path and the operand types.
 */
export function build<A extends object>(
  row: OpRow<A>,
  inputs: readonly Tensor[],
  attributes: A = {} as A,
  path: string = currentPath(),
): readonly Tensor[] {
  const tensors: Tensor[] = [];
  const node: Node = {
    id: nextId++,
    row: row as unknown as OpRow,
    inputs,
    attributes: attributes as Attributes,
    outputs: located(row.name, inputs, () => row.infer(inputs, attributes)),
    tensors,
    path,
  };
  for (const index of node.outputs.keys()) tensors.push(new Tensor(node, index));
  return tensors;
}

export function constant(value: NDArray): Tensor {
  return build(leaf.constant, [], { value })[0];
}

/** A 0-D constant; an integer type must hold the value exactly. */
export function scalar(dtype: DType, value: number): Tensor {
  if (!holds(dtype, value)) {
    const expected = `a value that ${dtype} holds exactly`;
    reject(`${dtype} does not hold ${value}`, expected, String(value), 'cast the tensor to f32');
  }
  return constant(fromNumbers(dtype, [], [value]));
}
