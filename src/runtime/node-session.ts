// The worker's side of the device: ONNX Runtime sessions and the buffers that outlive a run. One
// request at a time; who asks, and in which thread, is node-worker.ts's business.
import { MessageChannel } from 'node:worker_threads';
import ort from 'onnxruntime-node';
import { type DType, dtypes, type NDArray, sizeOf, type TypedArray } from '../tensor/index.js';
import { memoryPool } from './memory-pool.js';
import {
  copyOf,
  type Engine,
  type Id,
  type OutputPlan,
  type Request,
  type Value,
} from './protocol.js';
import { writeRows } from './rows.js';

export const engine: Engine = {
  name: 'onnxruntime-node',
  version: ort.env.versions.node ?? ort.env.versions.common,
};

const elementTypes: Readonly<Record<DType, ort.Tensor.Type | undefined>> = {
  f64: 'float64',
  f32: 'float32',
  f16: 'float16',
  // The Node binding has no name for it; device.ts refuses it before it comes here.
  bf16: undefined,
  i8: 'int8',
  u8: 'uint8',
  i32: 'int32',
  u32: 'uint32',
  i64: 'int64',
  u64: 'uint64',
  bool: 'bool',
};

type Held = NDArray & { readonly tensor: ort.Tensor };
type Compile = Extract<Request, { kind: 'compile' }>;
type Run = Extract<Request, { kind: 'run' }>;

function hold({ dtype, shape, data }: NDArray): Held {
  const type = elementTypes[dtype];
  if (type === undefined) throw new Error(`${dtype} cannot be held by this device`);
  return { dtype, shape, data, tensor: new ort.Tensor(type, data, shape) };
}

/**
 * Frees memory now. A collector that sees only small objects would let hundreds of megabytes wait;
 * what is moved into a port that closes is gone at once.
 */
function discard(buffers: readonly ArrayBuffer[]): void {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(undefined, [...new Set(buffers)]);
  port1.close();
  port2.close();
}

const poolBytes = 64 * 2 ** 20;

export type Sessions = {
  /** Carries out one request. Arrays in the value belong to the caller. */
  perform(request: Request): Promise<Value>;
  /** Frees native memory. */
  close(): Promise<void>;
};

export function openSessions(options: { threads: number }): Sessions {
  const sessions = new Map<Id, ort.InferenceSession>();
  const buffers = new Map<Id, Held>();
  const pool = memoryPool(poolBytes);

  const held = (id: Id): Held => {
    const buffer = buffers.get(id);
    if (!buffer) throw new Error(`buffer ${id} is not held`);
    return buffer;
  };

  async function compile(request: Compile): Promise<void> {
    const { session, model, memory, folder, double, pack } = request;
    const made = await ort.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // Plans of memory keep a second copy of the peak, and are no faster.
      enableMemPattern: false,
      // Failures are carried to the caller; nothing is printed.
      logSeverityLevel: 4,
      externalData: memory.map(({ location, data }) => ({
        path: location,
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      })),
      extra: {
        session: {
          // Threads that spin between operations take the core that the main thread needs.
          intra_op: { allow_spinning: '0' },
          ...(pack ? {} : { disable_prepacking: '1' }),
          ...(folder === undefined ? {} : { model_external_initializers_file_folder_path: folder }),
        },
        // It makes x * sigmoid(x) in f64 one node for which there is no kernel.
        optimization: double ? { disable_specified_optimizers: 'QuickGeluFusion' } : {},
      },
    });
    sessions.set(session, made);
    discard(memory.map(({ data }) => data.buffer));
  }

  async function release(id: Id): Promise<void> {
    const session = sessions.get(id);
    sessions.delete(id);
    await session?.release();
  }

  async function run({ session: id, feeds, outputs }: Run): Promise<Value> {
    const session = sessions.get(id);
    if (!session) throw new Error(`program ${id} is not held`);
    const fed: Record<string, ort.Tensor> = {};
    const moved: TypedArray[] = [];
    const readHere = new Set<Id>();
    for (const [name, feed] of Object.entries(feeds)) {
      if ('buffer' in feed) {
        readHere.add(feed.buffer);
        fed[name] = held(feed.buffer).tensor;
      } else {
        moved.push(feed.data);
        fed[name] = hold(feed).tensor;
      }
    }
    const targets = outputs.map((plan) => ({ plan, value: target(plan, readHere) }));
    try {
      const fetches = targets.map(({ plan, value }) => [plan.name, value.tensor] as const);
      await session.run(fed, Object.fromEntries(fetches));
    } finally {
      for (const data of moved) pool.give(data);
    }
    const results: Record<string, NDArray> = {};
    for (const { plan, value } of targets) {
      const { dtype, shape, data } = value;
      if (plan.to.kind === 'caller') results[plan.name] = { dtype, shape, data };
      else if (plan.to.kind === 'rows') {
        writeRows(held(plan.to.buffer), value, plan.to.axis, plan.to.start);
        pool.give(data);
      } else {
        if (held(plan.to.buffer) !== value) replace(plan.to.buffer, value);
      }
    }
    return results;
  }

  /** What ONNX Runtime writes an output to. A buffer that the run reads gets new memory instead. */
  function target({ dtype, shape, to }: OutputPlan, readHere: ReadonlySet<Id>): Held {
    if (to.kind === 'buffer' && (to.inPlace || !readHere.has(to.buffer))) return held(to.buffer);
    return hold({ dtype, shape, data: pool.take(dtype, shape) });
  }

  function replace(id: Id, value: Held | undefined): void {
    const before = buffers.get(id);
    if (value) buffers.set(id, value);
    else buffers.delete(id);
    if (before) pool.give(before.data);
  }

  async function perform(request: Request): Promise<Value> {
    switch (request.kind) {
      case 'run':
        return run(request);
      case 'compile':
        await compile(request);
        break;
      case 'release':
        await release(request.session);
        break;
      case 'put':
      case 'write':
        replace(request.buffer, hold(request.array));
        break;
      case 'allocate': {
        const { dtype, shape } = request;
        const data = new dtypes[dtype].array(sizeOf(shape));
        replace(request.buffer, hold({ dtype, shape, data }));
        break;
      }
      case 'read': {
        const { dtype, shape, data } = held(request.buffer);
        return { contents: { dtype, shape, data: copyOf({ dtype, shape, data }) } };
      }
      case 'free':
        replace(request.buffer, undefined);
    }
    return {};
  }

  return {
    perform,
    async close() {
      buffers.clear();
      await Promise.all([...sessions.keys()].map(release));
    },
  };
}
