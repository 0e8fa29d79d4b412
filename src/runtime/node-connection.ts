// The caller's end of the line to the worker thread: requests with answers, abort, and what happens
// to everybody who waits when the worker goes away.
import { Worker } from 'node:worker_threads';
import { AnyformerError } from '../tensor/index.js';
import { disposed } from './checks.js';
import { WorkerFailure } from './native-error.js';
import type { FromWorker, Id, Request, ToWorker, Value, WorkerData } from './protocol.js';

export type Connection = {
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

/** Starts the worker at `file`; resolves when it can take requests. */
export async function connect(
  file: string,
  workerData: WorkerData,
  signal?: AbortSignal,
): Promise<Connection> {
  signal?.throwIfAborted();
  const worker = new Worker(file, { workerData, name: 'anyformer cpu' });
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
      end(crashed(`exit code ${code}`));
      resolve();
    });
  });
  worker.on('error', (error) => end(crashed(error)));
  worker.on('messageerror', (error) => end(crashed(error)));

  const ready = new Promise<void>((resolve, reject) => {
    const id = nextId++;
    waiting.set(id, { resolve: () => resolve(), reject });
    const aborted = () => {
      settle(id);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', aborted, { once: true });
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') {
        signal?.removeEventListener('abort', aborted);
        settle(id)?.resolve({});
      } else if (message.kind === 'done') settle(message.id)?.resolve(message.value);
      else settle(message.id)?.reject(new WorkerFailure(message.failure));
    });
  });
  try {
    await ready;
  } catch (error) {
    await worker.terminate();
    throw error;
  }

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

  return {
    request,
    async close() {
      if (!ended) {
        end(disposed('the device'));
        worker.ref();
        send({ kind: 'close' });
      }
      await exited;
    },
  };
}
