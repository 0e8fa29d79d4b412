// Failures of the native library as errors that name the place in the model.
import { AnyformerError } from '../tensor/index.js';
import type { Failure } from './protocol.js';

/** A failure that the worker sent back, before the device knows what was being done. */
export class WorkerFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.text);
    this.failure = failure;
  }
}

const doing: Readonly<Record<string, string>> = {
  'runtime/compile': 'the runtime refused the graph',
  'runtime/run': 'the run failed',
};

/** The worker's failure as a typed error with the native text as its cause; others as they are. */
export function nativeError(error: unknown, code: 'runtime/compile' | 'runtime/run'): unknown {
  if (!(error instanceof WorkerFailure)) return error;
  const { node, text } = error.failure;
  // Nodes are named `module.path/Op_12`.
  return new AnyformerError(code, {
    what: `${doing[code]}${node ? ` at ${node}` : ''}`,
    found: text,
    cause: error,
  });
}
