// The module path in which operations are being created: `layers.3.attention`. Building a model is
// synchronous, so one stack serves; errors and the cost model read it.

import { AnyformerError } from './error.js';

type Frame = { path: string; kind: string };
const stack: Frame[] = [];

/** The path of the innermost module, '' outside any. */
export const currentPath = (): string => stack.at(-1)?.path ?? '';

/** `layers.3.attention > probsparse > matmul`: where an operation stands, for error messages. */
export function trail(op: string): string {
  const here = currentPath();
  const kinds = stack.filter(({ path }) => path === here).map(({ kind }) => kind);
  return [here, ...kinds.slice(-2), op].filter((part) => part !== '').join(' > ');
}

/** Completes a refusal with the place and the operands of the operation that refuses. */
export function located<T>(op: string, operands: readonly unknown[], run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof AnyformerError)) throw error;
    const where = [trail(op), operands.map(String).join(' x ')].filter((part) => part !== '');
    throw new AnyformerError(error.code, {
      what: [...where, error.what].join(': '),
      expected: error.expected,
      found: error.found,
      hint: error.hint,
      cause: error.cause,
    });
  }
}

/** Runs `build` with `path` as the module path; `kind` names the function in errors. */
export function within<T>(path: string, kind: string, build: () => T): T {
  stack.push({ path, kind });
  try {
    return build();
  } finally {
    stack.pop();
  }
}
