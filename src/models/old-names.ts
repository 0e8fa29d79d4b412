// Checkpoints converted from BERT's first release call the parts of a norm gamma and beta. They are
// read under the names they have had since, and written under those.
import type { FileStore } from './checkpoint.js';

const OLD = [
  ['LayerNorm.weight', 'LayerNorm.gamma'],
  ['LayerNorm.bias', 'LayerNorm.beta'],
] as const;

const changed = (name: string, way: (pair: (typeof OLD)[number]) => readonly [string, string]) => {
  for (const pair of OLD) {
    const [from, to] = way(pair);
    if (name.endsWith(from)) return name.slice(0, -from.length) + to;
  }
  return name;
};
const modern = (name: string): string => changed(name, ([now, old]) => [old, now]);
const old = (name: string): string => changed(name, ([now, before]) => [now, before]);

/** The same store under today's names; itself where it has no others. */
export function withModernNames(store: FileStore): FileStore {
  if (![...store.names()].some((name) => modern(name) !== name)) return store;
  const stored = (name: string): string => {
    const before = old(name);
    return store.has(before) ? before : name;
  };
  return {
    names: function* () {
      for (const name of store.names()) yield modern(name);
    },
    has: (name) => store.has(stored(name)),
    type: (name) => store.type(stored(name)),
    read: (name) => store.read(stored(name)),
    file: (name) => store.file?.(stored(name)),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store.close(),
  };
}
