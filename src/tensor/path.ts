// The module path in which operations are being created: `layers.3.attention`. Building a model is
// synchronous, so one stack serves; errors and the cost model read it.

type Frame = { path: string; kind: string };
const stack: Frame[] = [];

/** The path of the innermost module, '' outside any. */
export const currentPath = (): string => stack.at(-1)?.path ?? '';

/** `layers.3.attention > probsparse > matmul`: where an operation stands, for error messages. */
export function trail(op: string): string {
  const kinds = stack.map(({ kind }) => kind).filter((kind) => kind !== '');
  return [currentPath(), ...kinds.slice(-2), op].filter((part) => part !== '').join(' > ');
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
