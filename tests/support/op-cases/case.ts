// One case of one row of the op table: arrays in, a graph, and the values that an independent
// definition gives. The reference kernels are tested against it, and devices can be.
import type { DimLike, NDArray, Tensor } from '../../../src/tensor/index.js';

export type OpCase = {
  /** The row under test; it stands in the graph that `build` makes. */
  row: string;
  what: string;
  inputs: Readonly<Record<string, NDArray>>;
  /** Shapes with named sizes, for inputs that do not use their array's. */
  shapes?: Readonly<Record<string, readonly DimLike[]>>;
  build(inputs: Readonly<Record<string, Tensor>>): Tensor | readonly Tensor[];
  /** For each output its type, as `showType` writes it, and its values. */
  type: string | readonly string[];
  values: readonly (number | bigint)[] | readonly (readonly (number | bigint)[])[];
  tolerance?: number;
};

/** What a row refuses when the graph is built. */
export type OpRefusal = {
  row: string;
  what: string;
  build(): unknown;
  /** What the message names. */
  message: RegExp;
};
