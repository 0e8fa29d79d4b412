// The caller's end of the line to the worker thread: requests with answers, abort, and what happens
// to everybody who waits when the worker goes away.
import { Worker } from 'node:worker_threads';
import { AnyformerError } from '../tensor/index.js';
import { disposed } from './checks.js';
import { type ExitGate, exitGate, shut } from './exit-gate.js';
import { WorkerFailure } from './native-error.js';
import type { Engine, FromWorker, Id, Request, ToWorker, Value, WorkerData } from './protocol.js';
import { abortable } from './waiting.js';

export type Connection = {
  readonly engine: Engine;
  /**
   * Sends a request; what is in `transfer` moves at once, even when the request is later cancelled.
   * On abort the promise rejects with the signal's reason; a request that has not begun is dropped.
   */
  request(request: Request, transfer?: Iterable<ArrayBuffer>, signal?: AbortSignal): Promise<Value>;
  /** Lets the request in hand finish, frees native memory, ends the thread. */
  close(): Promise<void>;
};

type Waiting = { resolve(value: Value): void; reject(reason: unknown): void };

const crashed = (cause: unknown) =>
  new AnyformerError('runtime/crashed', {
    what: "the device's worker thread ended by itself",
    found: cause instanceof Error ? cause.message : String(cause),
    hint: 'open a new device with cpuDevice(); what this one held is lost',
    cause,
  });

const gates = new Set<ExitGate>();
process.on('exit', () => gates.forEach(shut));

/** Starts the worker at `file`; resolves when it can take requests. */
export async function connect(
  file: string,
  { threads }: { threads: number },
  signal?: AbortSignal,
): Promise<Connection> {
  signal?.throwIfAborted();
  const gate = exitGate();
  const workerData: WorkerData = { threads, gate };
  // ONNX Runtime 1.30 sends usage data unless it is told not to; it reads the process's environment,
  // which a worker's copy does not reach.
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  // The process's own options (`--input-type`, loaders) are for its own program.
  const worker = new Worker(file, { workerData, name: 'anyformer cpu', execArgv: [] });
  gates.add(gate);
  const waiting = new Map<Id, Waiting>();
  let nextId = 0;
  let ended: AnyformerError | undefined;

  // Only while somebody waits does the thread keep the process alive.
  const settle = (id: Id): Waiting | undefined => {
    const found = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    return found;
  };
  const end = (reason: AnyformerError) => {
    ended ??= reason;
    for (const id of [...waiting.keys()]) settle(id)?.reject(ended);
  };
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      gates.delete(gate);
      end(crashed(`exit code ${code}`));
      resolve();
    });
  });
  worker.on('error', (error) => end(crashed(error)));
  worker.on('messageerror', (error) => end(crashed(error)));

  let engine: Engine = { name: '', version: '' };
  const ready = new Promise<Value>((resolve, reject) => {
    waiting.set(nextId++, { resolve, reject });
  });
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') {
      engine = message.engine;
      settle(0)?.resolve({});
    } else if (message.kind === 'done') settle(message.id)?.resolve(message.value);
    else settle(message.id)?.reject(new WorkerFailure(message.failure));
  });

  const send = (message: ToWorker, transfer: Iterable<ArrayBuffer> = []) =>
    worker.postMessage(message, [...transfer]);

  function request(what: Request, transfer?: Iterable<ArrayBuffer>, abort?: AbortSignal) {
    return new Promise<Value>((resolve, reject) => {
      abort?.throwIfAborted();
      if (ended) throw ended;
      const id = nextId++;
      const onAbort = () => {
        send({ kind: 'cancel', id });
        settle(id)?.reject(abort?.reason);
      };
      const forget = () => abort?.removeEventListener('abort', onAbort);
      send({ kind: 'request', id, request: what }, transfer);
      if (waiting.size === 0) worker.ref();
      waiting.set(id, {
        resolve: (value) => {
          forget();
          resolve(value);
        },
        reject: (reason) => {
          forget();
          reject(reason);
        },
      });
      abort?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async function close(): Promise<void> {
    if (!ended) {
      end(disposed('the device'));
      worker.ref();
      send({ kind: 'close' });
    }
    await exited;
  }

  try {
    await abortable(ready, signal);
  } catch (error) {
    // Not `terminate`: a thread that is torn down while it loads native code takes the process along.
    void close();
    throw error;
  }
  return { engine, request, close };
}
