// Random numbers as a pure function of (seed, index): the same on every machine, with no state to
// save. A 32-bit mix with the finaliser constants of MurmurHash3; good for shuffles and samples, not
// for secrets.

/** 32 well-mixed bits of (seed, index). */
export function bitsAt(seed: number, index: number): number {
  return mix(mix(seed ^ 0x9e3779b9) + Math.imul(index, 0x85ebca77));
}

function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A number in [0, 1). */
export const uniformAt = (seed: number, index: number): number => bitsAt(seed, index) / 2 ** 32;

/** The numbers 0..count-1 in an order that depends on `seed` alone (Fisher-Yates). */
export function permutation(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniformAt(seed, i) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** `count` different numbers below `total`, ascending; all of them where `count >= total`. */
export function sampleIndices(total: number, count: number, seed: number): number[] {
  return permutation(total, seed)
    .slice(0, Math.max(0, count))
    .sort((a, b) => a - b);
}

/** A normally distributed number (Box-Muller over two uniform ones). */
export function normalAt(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(seed, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniformAt(seed, 2 * index + 1));
}

/** 32 bits of a text, to give each name a stream of its own. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** Where a sequence of random words begins: two keys of 32 bits, from (seed, step, path). */
export type RandomKeys = { readonly first: number; readonly second: number };

/** Keys of the sequence that the name `path` has under `seed`, before any step. */
export function pathKeys(seed: number, path: string): RandomKeys {
  const high = Math.floor(seed / 2 ** 32);
  return {
    first: bitsAt(seed, hashText(path)),
    second: bitsAt(seed ^ bitsAt(high, 1), hashText(`\u0001${path}`)),
  };
}

/** Keys of one step: bijective in the step, so that no two steps share them. */
export function stepKeys({ first, second }: RandomKeys, step: number): RandomKeys {
  const key = mix(first + Math.imul(step, 0x9e3779b1));
  return { first: key, second: (key ^ second) >>> 0 };
}

/**
 * 32 bits at a place of the sequence: `bitsAt`'s mix with the second key inside, so that sequences
 * whose places overlap still differ.
 */
export function wordAt({ first, second }: RandomKeys, index: number): number {
  let x = (Math.imul(index, 0x85ebca77) + first) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13) ^ second, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
