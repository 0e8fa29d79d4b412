// The Node CPU device: ONNX Runtime in a worker thread that owns sessions and long-lived buffers, so
// that the event loop of the caller never waits for native code. Requests are carried out one by
// one, in the order in which they were made.
import { createRequire } from 'node:module';
import { parallelism } from '#platform';
import { AnyformerError, type DType, type Graph, ndarray } from '../tensor/index.js';
import { checkMemory, checkSizes, checkType, refuseBfloat } from './checks.js';
import { type Prepared, prepare } from './compile.js';
import type { CompileOptions, Device, DeviceBuffer, ParameterValue, Program } from './device.js';
import { nativeError } from './native-error.js';
import { type Connection, connect } from './node-connection.js';
import { placeFile, readFileBytes } from './node-files.js';
import { openProgram } from './program.js';
import { copyOf, type Id, moveOut } from './protocol.js';
import { abortable, released } from './waiting.js';

export type CpuOptions = {
  /** Threads that one run may use; the machine's parallelism unless told. */
  threads?: number;
  signal?: AbortSignal;
};

/**
 * Opens a device. Errors: `runtime/threads`; afterwards `runtime/compile`, `runtime/run` (ONNX
 * Runtime's own text is the cause), `runtime/dtype`, `runtime/disposed`, `runtime/crashed`.
 */
export async function cpuDevice(options: CpuOptions = {}): Promise<Device> {
  const { threads = parallelism(), signal } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new AnyformerError('runtime/threads', {
      what: 'a device needs a number of threads',
      expected: 'a whole number from 1 to 1024',
      found: String(threads),
    });
  }
  const worker = createRequire(import.meta.url).resolve('#node-worker');
  return openDevice(await connect(worker, { threads }, signal), threads);
}

/** One compiled session and how many programs share it. */
type Compiled = { key: string; session: Id; programs: number; done: Promise<unknown> };

/** The device at the end of a connection. */
export function openDevice(connection: Connection, threads: number): Device {
  const ids = new WeakMap<object, Id>();
  const compiled = new Map<string, Compiled>();
  let nextId = 0;

  const bufferId = (buffer: DeviceBuffer, label: string): Id => {
    const id = ids.get(buffer);
    if (id !== undefined) return id;
    const elsewhere = buffer.device !== device;
    throw new AnyformerError(elsewhere ? 'runtime/device' : 'runtime/disposed', {
      what: `${label} is a buffer ${elsewhere ? 'of another device' : 'that was disposed of'}`,
      expected: 'a live buffer of this device',
      found: elsewhere ? `a buffer of a ${buffer.device.kind} device` : 'a disposed buffer',
    });
  };

  function makeBuffer(dtype: DType, shape: readonly number[]): [DeviceBuffer, Id] {
    const id = nextId++;
    const buffer: DeviceBuffer = {
      device,
      dtype,
      shape: [...shape],
      async read() {
        const held = bufferId(buffer, 'what is read');
        const { contents } = await connection.request({ kind: 'read', buffer: held });
        return ndarray(contents.dtype, contents.shape, contents.data);
      },
      async write(array) {
        const held = bufferId(buffer, 'what is written');
        checkType('what is written', array, buffer);
        checkMemory('what is written', array);
        const transfer = new Set<ArrayBuffer>();
        const moved = moveOut(array, transfer);
        await connection.request({ kind: 'write', buffer: held, array: moved }, transfer);
      },
      async dispose() {
        if (!ids.delete(buffer)) return;
        await released(connection.request({ kind: 'free', buffer: id }));
      },
      [Symbol.asyncDispose]: () => buffer.dispose(),
    };
    ids.set(buffer, id);
    return [buffer, id];
  }

  const host = {
    isBuffer: (value: ParameterValue): value is DeviceBuffer => 'device' in value,
    read: readFileBytes,
    place: placeFile,
  };

  async function compile(graph: Graph, options: CompileOptions = {}): Promise<Program> {
    const { parameters = new Map(), pack = true, signal } = options;
    signal?.throwIfAborted();
    for (const [name, { dtype }] of [...graph.inputs, ...graph.outputs, ...graph.updates]) {
      refuseBfloat(`'${name}'`, dtype);
    }
    const prepared = await prepare(graph, parameters, host);
    const key = `${prepared.key} ${pack}`;
    signal?.throwIfAborted();
    for (const [name, buffer] of prepared.buffers) bufferId(buffer, `the parameter '${name}'`);
    const shared = compiled.get(key) ?? start(prepared, key, pack);
    shared.programs++;
    const release = () => leave(shared);
    try {
      await abortable(shared.done, signal);
    } catch (error) {
      await release();
      throw nativeError(error, 'runtime/compile');
    }
    return openProgram({
      graph,
      simplified: prepared.graph,
      buffers: prepared.buffers,
      bindings: prepared.bindings,
      session: shared.session,
      request: connection.request,
      bufferId,
      release,
    });
  }

  async function leave(shared: Compiled): Promise<void> {
    shared.programs--;
    if (shared.programs > 0) return;
    if (compiled.get(shared.key) === shared) compiled.delete(shared.key);
    await released(connection.request({ kind: 'release', session: shared.session }));
  }

  function start(prepared: Prepared, key: string, pack: boolean): Compiled {
    const { model, memory, folder, double } = prepared;
    const session = nextId++;
    const transfer = new Set<ArrayBuffer>([model.buffer]);
    // The caller keeps its weights; the copies live until the session has taken them in.
    const copies = memory.map(({ location, array }) => ({ location, data: copyOf(array) }));
    for (const { data } of copies) transfer.add(data.buffer);
    const done = connection.request(
      { kind: 'compile', session, model, memory: copies, folder, double, pack },
      transfer,
    );
    const entry: Compiled = { key, session, programs: 0, done };
    compiled.set(key, entry);
    done.catch(() => {
      if (compiled.get(key) === entry) compiled.delete(key);
    });
    return entry;
  }

  const device: Device = {
    kind: 'cpu',
    engine: connection.engine,
    threads,
    compile,
    async put(array) {
      checkMemory('the array', array);
      const [buffer, id] = makeBuffer(array.dtype, array.shape);
      const transfer = new Set<ArrayBuffer>();
      const moved = moveOut(array, transfer);
      await connection.request({ kind: 'put', buffer: id, array: moved }, transfer);
      return buffer;
    },
    async allocate(dtype, shape) {
      refuseBfloat('the buffer', dtype);
      checkSizes('the buffer', shape);
      const [buffer, id] = makeBuffer(dtype, shape);
      await connection.request({ kind: 'allocate', buffer: id, dtype, shape });
      return buffer;
    },
    dispose: () => connection.close(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
  return device;
}
