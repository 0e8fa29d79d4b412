// Small tools for promises that others hold.
import { AnyformerError } from '../tensor/index.js';

/** The promise, or a rejection with the signal's reason as soon as it aborts. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Freeing what a closed or crashed device held is no error: it is gone. */
export async function released(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    const gone = error instanceof AnyformerError && error.code.startsWith('runtime/');
    if (!gone) throw error;
  }
}
