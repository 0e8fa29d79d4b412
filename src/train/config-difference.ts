// Whether two configurations are the same, and if not, the first key in which they differ.
import { AnyformerError } from '../tensor/index.js';

export type Difference = { key: string; was: unknown; is: unknown };

/** The first difference in the order of keys; keys that are undefined do not count. */
export function firstDifference(was: unknown, is: unknown, key = ''): Difference | undefined {
  if (isTree(was) && isTree(is) && Array.isArray(was) === Array.isArray(is)) {
    const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort();
    for (const name of keys) {
      const below = key === '' ? name : `${key}.${name}`;
      const found = firstDifference(own(was, name), own(is, name), below);
      if (found) return found;
    }
    return undefined;
  }
  return Object.is(was, is) ? undefined : { key, was, is };
}

type Tree = Readonly<Record<string, unknown>>;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null;
const own = (tree: Tree, name: string): unknown =>
  Object.hasOwn(tree, name) ? tree[name] : undefined;

/** Throws `config/changed`, naming the key, where a run would go on under another configuration. */
export function checkUnchanged(was: unknown, is: unknown, path: string): void {
  // As JSON, since one of them comes from a file.
  const difference = firstDifference(was, JSON.parse(JSON.stringify(is)));
  if (!difference) return;
  const show = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  throw new AnyformerError('config/changed', {
    what: `the key ${difference.key} has changed since the checkpoint ${path}`,
    expected: show(difference.was),
    found: show(difference.is),
    hint: 'put it back, or begin a new run in another folder',
  });
}
