// An n-gram model with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999, equations 24
// to 27): what counting alone says about a text, to judge a language model by. The highest order counts
// occurrences, lower ones count different predecessors; each order takes discounts D1, D2 and D3 from
// its own counts of counts and gives what they free to the next shorter context, the last to every token
// alike. The text is one stream: n-grams go over the ends of documents.
import { AnyformerError } from '../tensor/error.js';
import { type GramLevel, gramLevels } from './gram-levels.js';

export type KneserNeyOptions = {
  /** Tokens are below this; those never seen share what smoothing leaves for them. */
  vocabulary: number;
  /** Longest n-gram; 5 unless told. */
  order?: number;
  signal?: AbortSignal | undefined;
};

export type KneserNey = {
  readonly order: number;
  /** Different n-grams of each order, from 1. */
  readonly grams: readonly number[];
  /** D1, D2, D3+ of each order, from 1. */
  readonly discounts: readonly Discounts[];
  /** P(token | the last order - 1 tokens of `context`, fewer where it is shorter). */
  probability(context: ArrayLike<number>, token: number): number;
};

export type Discounts = readonly [one: number, two: number, more: number];

/**
 * What stands in where the counts of counts leave a discount undefined or out of its range (small or
 * very regular texts): KenLM's choice.
 */
const FALLBACK: Discounts = [0.5, 1, 1.5];

/** Counts a text. Memory: about 25 bytes a token at order 5. Errors: `data/ngram`. */
export function trainKneserNey(tokens: ArrayLike<number>, options: KneserNeyOptions): KneserNey {
  const { vocabulary, order = 5, signal } = options;
  check(tokens, vocabulary, order);
  const levels = gramLevels(tokens, { vocabulary, order, signal });
  const discounts = levels.map(({ counts }) => discountsOf(counts));
  const shares = levels.map((level, k) => sharesOf(level, discounts[k]));

  function probability(context: ArrayLike<number>, token: number): number {
    let p = 1 / vocabulary;
    for (let k = 0; k < order && k <= context.length; k++) {
      const level = levels[k];
      const parent = find(levels, context, context.length - k, k);
      const total = parent < 0 ? 0 : shares[k].totals[parent];
      if (total === 0) break; // nothing was seen after it, nor after any longer context
      const at = level.find(parent, token);
      const count = at < 0 ? 0 : level.counts[at];
      p = (count - discount(discounts[k], count)) / total + shares[k].left[parent] * p;
    }
    return p;
  }

  return { order, grams: levels.map(({ counts }) => counts.length), discounts, probability };
}

/** Total negative log-likelihood in nats of the tokens from `from` on, each after those before it. */
export function streamLoss(
  model: KneserNey,
  tokens: Uint16Array | Uint32Array,
  { from = 1 }: { from?: number } = {},
): number {
  let total = 0;
  for (let i = from; i < tokens.length; i++) {
    const context = tokens.subarray(Math.max(0, i - model.order + 1), i);
    total -= Math.log(model.probability(context, tokens[i]));
  }
  return total;
}

/** The node of the `length` tokens from `start`, in the level of that length; 0 for none of them. */
function find(
  levels: readonly GramLevel[],
  tokens: ArrayLike<number>,
  start: number,
  length: number,
): number {
  let node = 0;
  for (let k = 0; k < length && node >= 0; k++) node = levels[k].find(node, tokens[start + k]);
  return node;
}

const discount = ([one, two, more]: Discounts, count: number): number =>
  count > 2 ? more : count === 2 ? two : count === 1 ? one : 0;

function discountsOf(counts: Uint32Array): Discounts {
  const n = [0, 0, 0, 0, 0];
  for (const count of counts) if (count < 5) n[count]++;
  const y = n[1] / (n[1] + 2 * n[2]);
  const found: Discounts = [
    1 - (2 * y * n[2]) / n[1],
    2 - (3 * y * n[3]) / n[2],
    3 - (4 * y * n[4]) / n[3],
  ];
  const sound = found.every((d, i) => d > 0 && d <= i + 1);
  return sound ? found : FALLBACK;
}

/** Of every context: the counts after it added up, and the share that the discounts leave over. */
function sharesOf({ first, counts }: GramLevel, discounts: Discounts) {
  const totals = new Uint32Array(first.length - 1);
  const left = new Float64Array(first.length - 1);
  for (let parent = 0; parent < totals.length; parent++) {
    for (let at = first[parent]; at < first[parent + 1]; at++) {
      totals[parent] += counts[at];
      left[parent] += discount(discounts, counts[at]);
    }
    if (totals[parent] > 0) left[parent] /= totals[parent];
  }
  return { totals, left };
}

function check(tokens: ArrayLike<number>, vocabulary: number, order: number): void {
  const refuse = (what: string, expected: string, found: string) =>
    new AnyformerError('data/ngram', { what, expected, found });
  if (!Number.isInteger(order) || order < 1 || order > 32) {
    throw refuse('the order of an n-gram model', 'a whole number from 1 to 32', String(order));
  }
  if (tokens.length === 0) throw refuse('a text to count', 'at least one token', 'none');
  for (let i = 0; i < tokens.length; i++) {
    if (Number.isInteger(tokens[i]) && tokens[i] >= 0 && tokens[i] < vocabulary) continue;
    throw refuse(`token ${i} of the text`, `whole numbers below ${vocabulary}`, `${tokens[i]}`);
  }
}
