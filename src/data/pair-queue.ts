// Pairs of symbols by how often they occur: a heap whose entries are corrected when they come up.
// Counts go up and down between two takings.

/** Symbols are below 2^20, so that a pair is one number. */
const WIDTH = 2 ** 20;

type Entry = { count: number; words: number[] };

export class PairQueue {
  readonly #pairs = new Map<number, Entry>();
  /** A binary heap of keys, and the counts under which they were put there. */
  readonly #keys: number[] = [];
  readonly #counts: number[] = [];

  /** `count` more of the pair a b, in a word. */
  add(a: number, b: number, count: number, word: number): void {
    const key = a * WIDTH + b;
    let entry = this.#pairs.get(key);
    if (entry) {
      entry.count += count;
      if (entry.words.at(-1) !== word) entry.words.push(word);
    } else {
      entry = { count, words: [word] };
      this.#pairs.set(key, entry);
    }
    // One entry of the heap is never below the count that holds; those above are found stale.
    this.#push(key, entry.count);
  }

  remove(a: number, b: number, count: number): void {
    const entry = this.#pairs.get(a * WIDTH + b);
    if (entry) entry.count -= count;
  }

  /** The most frequent pair, of several the one with the smaller symbols. */
  take(): { a: number; b: number; count: number; words: readonly number[] } | undefined {
    for (;;) {
      const top = this.#pop();
      if (!top) return undefined;
      const entry = this.#pairs.get(top.key);
      if (!entry || entry.count <= 0) continue;
      if (entry.count !== top.count) {
        if (entry.count < top.count) this.#push(top.key, entry.count);
        continue;
      }
      this.#pairs.delete(top.key);
      return {
        a: Math.floor(top.key / WIDTH),
        b: top.key % WIDTH,
        count: entry.count,
        words: entry.words,
      };
    }
  }

  #before(i: number, j: number): boolean {
    const [x, y] = [this.#counts[i], this.#counts[j]];
    return x === y ? this.#keys[i] < this.#keys[j] : x > y;
  }

  #swap(i: number, j: number): void {
    const [keys, counts] = [this.#keys, this.#counts];
    [keys[i], keys[j]] = [keys[j], keys[i]];
    [counts[i], counts[j]] = [counts[j], counts[i]];
  }

  #push(key: number, count: number): void {
    let at = this.#keys.push(key) - 1;
    this.#counts.push(count);
    for (let up = (at - 1) >> 1; at > 0 && this.#before(at, up); up = (at - 1) >> 1) {
      this.#swap(at, up);
      at = up;
    }
  }

  #pop(): { key: number; count: number } | undefined {
    const last = this.#keys.length - 1;
    if (last < 0) return undefined;
    this.#swap(0, last);
    const key = this.#keys.pop() as number;
    const count = this.#counts.pop() as number;
    for (let at = 0; ; ) {
      let best = at;
      for (const below of [2 * at + 1, 2 * at + 2]) {
        if (below < last && this.#before(below, best)) best = below;
      }
      if (best === at) return { key, count };
      this.#swap(at, best);
      at = best;
    }
  }
}
