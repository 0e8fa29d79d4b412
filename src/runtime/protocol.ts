// What the device and its worker say to each other. Arrays in messages are moved, never cloned:
// whoever posts one lists its buffer for transfer (`moveOut`) and does not touch it again.
import { type DType, dtypes, type NDArray, type TypedArray } from '../tensor/index.js';
import type { ExitGate } from './exit-gate.js';

/** Sessions and buffers are named by the device, so that nobody waits for an answer to go on. */
export type Id = number;

/** Weights handed over as memory, under the `location` that the model's initializers name. */
export type MemoryWeights = { location: string; data: TypedArray };

export type OutputPlan = {
  name: string;
  dtype: DType;
  shape: readonly number[];
  to:
    | { kind: 'caller' }
    /** `inPlace`: the run may read the old contents, and it is known that all reads come first. */
    | { kind: 'buffer'; buffer: Id; inPlace: boolean }
    | { kind: 'rows'; buffer: Id; axis: number; start: number };
};

export type Feed = NDArray | { buffer: Id };

export type Request =
  | {
      kind: 'compile';
      session: Id;
      model: Uint8Array<ArrayBuffer>;
      memory: readonly MemoryWeights[];
      /** Where external files lie that are to be memory-mapped. */
      folder: string | undefined;
      /** Some value is f64. */
      double: boolean;
      /** Matrices are copied into the layout that multiplies fastest. */
      pack: boolean;
    }
  | { kind: 'release'; session: Id }
  | { kind: 'put' | 'write'; buffer: Id; array: NDArray }
  | { kind: 'allocate'; buffer: Id; dtype: DType; shape: readonly number[] }
  | { kind: 'read' | 'free'; buffer: Id }
  | {
      kind: 'run';
      session: Id;
      feeds: Readonly<Record<string, Feed>>;
      outputs: readonly OutputPlan[];
    };

export type ToWorker =
  | { kind: 'request'; id: Id; request: Request }
  /** Drops a request that has not begun. */
  | { kind: 'cancel'; id: Id }
  | { kind: 'close' };

/** A failure as data: `text` is the native library's own message. */
export type Failure = { text: string; node: string | undefined };

/** Outputs by name; for `read` one array called `contents`. */
export type Value = Record<string, NDArray>;

/** The native library and its version. */
export type Engine = { name: string; version: string };

export type FromWorker =
  | { kind: 'ready'; engine: Engine }
  | { kind: 'done'; id: Id; value: Value }
  | { kind: 'failed'; id: Id; failure: Failure };

/** What the worker thread is started with. */
export type WorkerData = { threads: number; gate: ExitGate };

/**
 * The array as it goes over: its own memory where it fills a buffer of its own (noted in `transfer`,
 * and empty here afterwards), else a copy, so that its neighbours in a larger buffer survive.
 */
export function moveOut(array: NDArray, transfer: Set<ArrayBuffer>): NDArray {
  const { dtype, shape, data } = array;
  const alone = data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength;
  const moved = alone ? data : copyOf(array);
  transfer.add(moved.buffer);
  return { dtype, shape, data: moved };
}

/** The same elements in memory of their own. */
export function copyOf({ dtype, data }: NDArray): TypedArray {
  const copy = new dtypes[dtype].array(data.length);
  (copy as Float32Array).set(data as Float32Array);
  return copy;
}
