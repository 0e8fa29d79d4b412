// The Device contract: compile a graph, hold buffers, run, read back. Memory either stays on the
// device or moves; nothing is copied behind the caller's back.
import type { DType, Graph, NDArray } from '../tensor/index.js';

/** Bytes that stay in a file until a program is compiled. */
export type FileBytes = {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly path: string;
  readonly offset: number;
  readonly length: number;
};

/** Long-lived memory on the device: parameters in training, optimiser state, caches. */
export type DeviceBuffer = AsyncDisposable & {
  readonly device: Device;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** A copy of the contents, after the runs that were asked for before. */
  read(): Promise<NDArray>;
  /** Overwrites the contents; the array's memory moves to the device. */
  write(array: NDArray): Promise<void>;
  dispose(): Promise<void>;
};

/**
 * What a parameter is to a program. Arrays and files are frozen into it (fastest to run): an array is
 * copied, stays the caller's, and is told apart by identity, so its contents must not change; big
 * weights of a file may be memory-mapped, so it must not be cut short while the program lives
 * (renaming another file over it is fine). A buffer is shared by any number of programs and may be
 * updated in place.
 */
export type ParameterValue = NDArray | FileBytes | DeviceBuffer;

export type CompileOptions = {
  /** A value for every parameter of the graph; others are not looked at. */
  parameters?: ReadonlyMap<string, ParameterValue>;
  /**
   * Whether matrices are copied into the layout that multiplies fastest, as they are unless told. With
   * `false` they stay as they lie: a program over a mapped file starts at once and holds no second copy,
   * and products of few rows (about 4 to 64) take up to twice the time.
   */
  pack?: boolean;
  signal?: AbortSignal | undefined;
};

/** New rows of a buffer: an output is written along `axis`, beginning at `start`. */
export type RowTarget = { buffer: DeviceBuffer; axis: number; start: number };

export type RunOptions = {
  /**
   * Outputs that stay on the device: written whole, or as rows of a larger buffer. The run may read
   * the same buffers as inputs: it sees what they held before.
   */
  into?: Readonly<Record<string, DeviceBuffer | RowTarget>>;
  signal?: AbortSignal | undefined;
};

export type Feeds = Readonly<Record<string, NDArray | DeviceBuffer>>;

export type Program = AsyncDisposable & {
  readonly graph: Graph;
  /**
   * Runs once. The memory of arrays in `feeds` MOVES to the device (their `data` is empty
   * afterwards); a view into a larger buffer is copied first, so that its neighbours survive. The
   * graph's updates are written in place to the parameters' buffers. Results are the caller's.
   *
   * Runs are carried out one by one, in the order of the calls. One that has begun in native code
   * cannot be interrupted: on abort the call rejects at once and the device finishes it before the
   * next; one that has not begun is dropped. After a run that failed, buffers that it was to update
   * in place hold no value in particular.
   */
  run(feeds?: Feeds, options?: RunOptions): Promise<Record<string, NDArray>>;
  dispose(): Promise<void>;
};

export type Device = AsyncDisposable & {
  readonly kind: 'cpu' | 'webgpu' | 'wasm';
  /** What executes: `{ name: 'onnxruntime-node', version: '1.30.0' }`. */
  readonly engine: { readonly name: string; readonly version: string };
  /** Threads that one run may use. */
  readonly threads: number;
  /** Equal graphs with the same frozen parameters compile once. */
  compile(graph: Graph, options?: CompileOptions): Promise<Program>;
  /** Places an array on the device; its memory moves. */
  put(array: NDArray): Promise<DeviceBuffer>;
  /** Zeros. */
  allocate(dtype: DType, shape: readonly number[]): Promise<DeviceBuffer>;
  dispose(): Promise<void>;
};
