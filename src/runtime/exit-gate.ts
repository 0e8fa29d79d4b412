// Why `process.exit()` must wait for native code: a thread that is torn down while ONNX Runtime runs
// in it returns into an environment that is gone, and the native binding aborts the process. The
// exit would wait for the thread in any case, so nothing is lost by waiting a moment earlier.
//
// Two flags in shared memory, in the order of Dekker's algorithm: each side raises its own flag
// before it looks at the other's.

export type ExitGate = Int32Array<SharedArrayBuffer>;

const BUSY = 0;
const EXITING = 1;

export const exitGate = (): ExitGate => new Int32Array(new SharedArrayBuffer(8));

/** The worker's side: false when the process is going away and nothing may begin. */
export function enter(gate: ExitGate): boolean {
  Atomics.store(gate, BUSY, 1);
  if (Atomics.load(gate, EXITING) === 0) return true;
  leave(gate);
  return false;
}

export function leave(gate: ExitGate): void {
  Atomics.store(gate, BUSY, 0);
  Atomics.notify(gate, BUSY);
}

/** The other side: blocks until nothing runs; nothing begins afterwards. */
export function shut(gate: ExitGate): void {
  Atomics.store(gate, EXITING, 1);
  while (Atomics.load(gate, BUSY) === 1) Atomics.wait(gate, BUSY, 1);
}
