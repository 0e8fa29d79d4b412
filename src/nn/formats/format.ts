// The contract of a weight format: how a matrix is stored, multiplied with, looked up in, made and
// undone. A `linear` asks its scope which format stands there, so whatever compresses a matrix works
// in every model. Formats are listed in `registry.ts`.
import type { ZodType } from 'zod';
import type { NDArray, Tensor } from '../../tensor/index.js';
import type { Scope } from '../scope.js';

/** A format by name with its options, as `config.json` keeps it. */
export type MatrixSpec = { readonly format: string } & Readonly<Record<string, unknown>>;

export type MatrixSize = {
  /** Output features, or vocabulary entries. */
  readonly rows: number;
  /** Input features, or embedding width. */
  readonly columns: number;
};

/** Stored tensors by suffix: `weight`, or `qweight` and `scales`. */
export type StoredTensors = Readonly<Record<string, NDArray>>;

export type Encoding = {
  /** How much each input feature weighs: its mean square on calibration data, [columns]. */
  importance?: ArrayLike<number> | undefined;
};

/** Products and look-ups of matrices inside a format: a factor may have a format of its own. */
export type Nested = {
  product(s: Scope, x: Tensor, size: MatrixSize): Tensor;
  lookup(s: Scope, ids: Tensor, size: MatrixSize): Tensor;
};

export type WeightFormat<O = Readonly<Record<string, unknown>>> = {
  readonly name: string;
  readonly options: ZodType<O>;
  /** x[..., columns] -> [..., rows]: x @ W^T. Declares what it stores in the scope. */
  product(s: Scope, x: Tensor, size: MatrixSize, options: O, nested: Nested): Tensor;
  /** Rows of W by position: ids[...] -> [..., columns]. */
  lookup(s: Scope, ids: Tensor, size: MatrixSize, options: O, nested: Nested): Tensor;
  /** What stands for a float32 matrix [rows, columns]. */
  encode(matrix: NDArray, options: O, encoding?: Encoding): StoredTensors;
  /** The matrix that stored tensors stand for: float32 [rows, columns]. */
  decode(stored: StoredTensors, size: MatrixSize, options: O): NDArray;
  /**
   * Bound on |executed - decoded product| / |decoded product| (2-norms) for well-scaled inputs:
   * rounding of activations inside the kernel, not of the weights.
   */
  executionError(options: O): number;
};

export const defineFormat = <O>(format: WeightFormat<O>): WeightFormat<O> => format;
