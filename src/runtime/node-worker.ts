// The worker thread of the Node CPU device: takes requests from its port, carries them out one by
// one, and moves the results back. ONNX Runtime's `run` blocks this thread, not the caller's.
import { parentPort, workerData } from 'node:worker_threads';
import { enter, leave } from './exit-gate.js';
import { engine, openSessions } from './node-session.js';
import type { Failure, FromWorker, Id, Request, ToWorker, Value, WorkerData } from './protocol.js';

if (!parentPort) throw new Error('node-worker.js runs in a worker thread only');
const port = parentPort;

const { threads, gate } = workerData as WorkerData;
const sessions = openSessions({ threads });
const queue: { id: Id; request: Request }[] = [];
const cancelled = new Set<Id>();
let busy = false;
let closing = false;

const post = (message: FromWorker, transfer: ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

port.on('message', (message: ToWorker) => {
  if (message.kind === 'cancel') cancelled.add(message.id);
  else if (message.kind === 'close') closing = true;
  else queue.push({ id: message.id, request: message.request });
  if (!busy) void drain();
});

async function drain(): Promise<void> {
  busy = true;
  for (let next = queue.shift(); next && !closing; next = queue.shift()) {
    if (!cancelled.delete(next.id)) {
      if (!enter(gate)) return;
      await answer(next.id, next.request);
      leave(gate);
    }
    // A cancellation may have arrived while native code held this thread: let it in first.
    if (queue.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }
  cancelled.clear();
  busy = false;
  if (closing && enter(gate)) {
    await sessions.close();
    leave(gate);
    port.close();
  }
}

async function answer(id: Id, request: Request): Promise<void> {
  try {
    const value = await sessions.perform(request);
    post({ kind: 'done', id, value }, buffersOf(value));
  } catch (error) {
    post({ kind: 'failed', id, failure: failureOf(error) });
  }
}

const buffersOf = (value: Value): ArrayBuffer[] =>
  Object.values(value).map(({ data }) => data.buffer);

/** ONNX Runtime names the node in some of its messages, in one of these ways. */
const namesNode = /Name:'([^']*)'|node with name '([^']*)'|In Node, \("([^"]*)"/;

function failureOf(error: unknown): Failure {
  const text = error instanceof Error ? error.message : String(error);
  const [, ran, unimplemented, invalid] = namesNode.exec(text) ?? [];
  return { text, node: ran ?? unimplemented ?? invalid };
}

post({ kind: 'ready', engine });
