// Long sound in pieces that a speech model can read, cut where it is quietest: between words, if
// anywhere.

export type QuietCuts = {
  /** Longest piece in samples. */
  most: number;
  /** How far back from there a quiet place is looked for. */
  search: number;
  /** Shortest piece. */
  least: number;
  /** Samples over which loudness is a mean: about as long as the gap between two words. */
  window: number;
};

/** [start, end) of each piece, together all of it. */
export function quietCuts(
  samples: Float32Array,
  { most, search, least, window }: QuietCuts,
): [start: number, end: number][] {
  const pieces: [number, number][] = [];
  let start = 0;
  while (samples.length - start > most) {
    const last = Math.min(start + most, samples.length - least);
    const cut = quietest(samples, Math.max(start + least, last - search), last, window);
    pieces.push([start, cut]);
    start = cut;
  }
  pieces.push([start, samples.length]);
  return pieces;
}

/** The middle of the window of least energy whose middle lies from `low` to `high`; the latest of equals. */
function quietest(samples: Float32Array, low: number, high: number, window: number): number {
  const half = Math.floor(window / 2);
  const square = (i: number) => (i >= 0 && i < samples.length ? samples[i] ** 2 : 0);
  let energy = 0;
  for (let i = low - half; i < low + half; i++) energy += square(i);
  let [best, least] = [low, energy];
  for (let middle = low + 1; middle <= high; middle++) {
    energy += square(middle + half - 1) - square(middle - 1 - half);
    if (energy <= least) [best, least] = [middle, energy];
  }
  return best;
}
