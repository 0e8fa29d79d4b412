// The different n-grams of a text, order by order, as a trie in flat arrays. Sorting is by counting: the
// places of a text are sorted by their n-grams, then by the next token and stably by the n-gram again,
// which takes time linear in the text for each order.

export type GramLevel = {
  /** Last token of each n-gram; n-grams are sorted by the n-gram before, then by this. */
  readonly tokens: Uint32Array;
  /** n-grams `first[p]` to `first[p + 1] - 1` continue n-gram p of the order below. */
  readonly first: Uint32Array;
  /** Occurrences at the highest order, different tokens before it at the others. */
  readonly counts: Uint32Array;
  /** The n-gram that continues `parent` with `token`; -1 where there is none. */
  find(parent: number, token: number): number;
};

type Options = { vocabulary: number; order: number; signal?: AbortSignal | undefined };

/**
 * Levels of orders 1 to `order`; the one n-gram of order 0 has number 0. What stands before the text's
 * first token counts as one more different token.
 */
export function gramLevels(
  text: ArrayLike<number>,
  { vocabulary, order, signal }: Options,
): GramLevel[] {
  const length = text.length;
  const levels: GramLevel[] = [];
  // The n-gram of the order below that begins at each place.
  let ids = new Uint32Array(length);
  let below = 1;
  let places = Uint32Array.from({ length }, (_, p) => p);
  for (let k = 1; k <= order; k++) {
    signal?.throwIfAborted();
    const count = Math.max(0, length - k + 1);
    const ends = new Uint32Array(count);
    for (let p = 0; p < count; p++) ends[p] = text[p + k - 1];
    places = sortedBy(
      sortedBy(
        places.filter((p) => p < count),
        ends,
        vocabulary,
      ),
      ids,
      below,
    );
    const { level, ids: found, representatives } = distinct(places, ids, ends, below);
    const predecessors = levels.at(-1)?.counts;
    if (predecessors) countPredecessors(predecessors, representatives, ids);
    levels.push(level);
    ids = found;
    below = level.tokens.length;
  }
  return levels;
}

/** The places sorted stably by `key[place]`, whose values are below `keys`. */
function sortedBy(places: Uint32Array, key: Uint32Array, keys: number): Uint32Array<ArrayBuffer> {
  const starts = new Uint32Array(keys + 1);
  for (const p of places) starts[key[p] + 1]++;
  for (let i = 0; i < keys; i++) starts[i + 1] += starts[i];
  const sorted = new Uint32Array(places.length);
  for (const p of places) sorted[starts[key[p]]++] = p;
  return sorted;
}

/** Runs of equal n-grams among the sorted places become one n-gram each. */
function distinct(places: Uint32Array, parents: Uint32Array, ends: Uint32Array, below: number) {
  const tokens = new Uint32Array(places.length);
  const counts = new Uint32Array(places.length);
  const representatives = new Uint32Array(places.length);
  const first = new Uint32Array(below + 1);
  const ids = new Uint32Array(ends.length);
  let size = 0;
  let [parent, token] = [-1, -1];
  for (const p of places) {
    if (parents[p] !== parent || ends[p] !== token) {
      [parent, token] = [parents[p], ends[p]];
      tokens[size] = token;
      representatives[size] = p;
      first[parent + 1]++;
      size++;
    }
    counts[size - 1]++;
    ids[p] = size - 1;
  }
  for (let i = 0; i < below; i++) first[i + 1] += first[i];
  const held = { tokens: tokens.slice(0, size), first, counts: counts.slice(0, size) };
  const find = (at: number, wanted: number) =>
    search(held.tokens, first[at], first[at + 1], wanted);
  const level: GramLevel = { ...held, find };
  return { level, ids, representatives: representatives.subarray(0, size) };
}

/** Each different longer n-gram is one different token before the n-gram that it ends with. */
function countPredecessors(counts: Uint32Array, longer: Uint32Array, ids: Uint32Array): void {
  counts.fill(0);
  for (const p of longer) counts[ids[p + 1]]++;
  if (ids.length > 0) counts[ids[0]]++; // the n-gram that begins the text
}

/** Place of `wanted` in the sorted part [from, to); -1 where it is not. */
function search(sorted: Uint32Array, from: number, to: number, wanted: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low < to && sorted[low] === wanted ? low : -1;
}
