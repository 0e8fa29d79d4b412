// A value of the ONNX graph being imported. Besides its tensor it carries what is known of its
// contents at import time: numbers (constants, weights), or sizes that may be symbolic (`Shape` of
// an input with named dimensions). Shape arithmetic runs on the latter and never reaches the graph.
import {
  addDims,
  concat,
  constant,
  type Dim,
  type DType,
  dim,
  foldDim,
  fromNumbers,
  iota,
  type NDArray,
  ndarray,
  type Shape,
  sizeOf,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';

/** Contents as numbers and sizes, row-major. */
export type Known = {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly items: readonly Dim[];
};

/** Arrays beyond this many elements are never looked into at import time. */
export const knownLimit = 65_536;

export class Value {
  /** Its numbers, where they are known. */
  readonly array: NDArray | undefined;
  /** Known and not a weight: whatever is computed from it alone may be computed at once. */
  readonly constant: boolean;
  readonly #sizes: Known | undefined;
  #tensor: Tensor | undefined;

  private constructor(
    tensor: Tensor | undefined,
    array: NDArray | undefined,
    sizes: Known | undefined,
    isConstant: boolean,
  ) {
    this.#tensor = tensor;
    this.array = array;
    this.#sizes = sizes;
    this.constant = isConstant;
  }

  static of(tensor: Tensor): Value {
    return new Value(tensor, undefined, undefined, false);
  }

  static constant(array: NDArray): Value {
    return new Value(undefined, array, undefined, true);
  }

  /** A parameter of the graph: known to those who must, but not folded away. */
  static weight(tensor: Tensor, array: NDArray | undefined): Value {
    return new Value(tensor, array, undefined, false);
  }

  static sizes(known: Known): Value {
    const numbers = known.items.filter((item) => typeof item === 'number');
    return numbers.length === known.items.length
      ? Value.constant(fromNumbers(known.dtype, known.shape, numbers))
      : new Value(undefined, undefined, known, false);
  }

  get tensor(): Tensor {
    this.#tensor ??= this.array
      ? constant(this.array)
      : materialise(this.#sizes ?? { dtype: 'i64', shape: [0], items: [] });
    return this.#tensor;
  }

  get shape(): Shape {
    return (this.#sizes ?? this.array ?? this.tensor).shape;
  }

  get dtype(): DType {
    return (this.#sizes ?? this.array ?? this.tensor).dtype;
  }

  /** Whether a symbolic size is among the contents. */
  get symbolic(): boolean {
    return this.#sizes !== undefined;
  }

  /** The contents, of small values only. */
  get known(): Known | undefined {
    const { array } = this;
    if (array === undefined || array.data.length > knownLimit) return this.#sizes;
    return { dtype: array.dtype, shape: array.shape, items: Array.from(toNumbers(array)) };
  }
}

/** Sizes as data: where an exporter computes with them (positions, scales) and not only on shapes. */
function materialise({ dtype, shape, items }: Known): Tensor {
  const vector = (...numbers: readonly number[]) =>
    constant(ndarray('i64', [numbers.length], BigInt64Array.from(numbers, BigInt)));
  const parts = items.map((item) =>
    foldDim<Tensor>(item, {
      constant: (number) => vector(number),
      // The last of 0, 1, ..., size.
      name: (name) => iota(addDims(dim(name), 1)).slice(0, name),
      add: (a, b) => a.add(b),
      mul: (a, b) => a.mul(b),
      floorDiv: (a, divisor) => a.div(vector(divisor)),
      min: (a, b) => a.minimum(b),
      max: (a, b) => a.maximum(b),
      ceilLog: (a, factor) => a.maximum(1).cast('f64').log().mul(factor).ceil().cast('i64'),
    }),
  );
  const data = parts.length === 0 ? vector() : concat(parts, 0);
  return data.reshape(...shape).cast(dtype);
}

export const elementsOf = ({ shape }: Tensor): number | undefined => {
  const numbers = shape.filter((d) => typeof d === 'number');
  return numbers.length === shape.length ? sizeOf(numbers) : undefined;
};
