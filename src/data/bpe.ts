// Training byte-pair encoding (Sennrich et al. 2016) at the level of bytes. Pair counts are kept up to
// date merge by merge: only words that hold the joined pair are looked at again. Equal texts give an
// equal tokenizer: ties go to the pair with the smaller ids, as in Hugging Face's trainer.
import { createTokenizer, type TextTokenizer } from '../models/tokenizer.js';
import { AnyformerError } from '../tensor/error.js';
import { alphabet, byteCharacters, byteLevelFiles, END_OF_TEXT, PIECES } from './byte-level.js';
import { PairQueue } from './pair-queue.js';

export type BpeOptions = {
  /** Tokens in all: special ones, 256 bytes, one for each merge. */
  vocabulary: number;
  /** Pairs that occur more rarely are not joined. */
  minCount?: number;
  /** Never split and never learned from; the first ends a document. */
  special?: readonly string[];
  signal?: AbortSignal | undefined;
};

/** Longer pieces are cut for learning: they are no words. */
const LONGEST_WORD = 256;
/** Distinct words kept; of more, those seen once are dropped. */
const MOST_WORDS = 4_000_000;

/**
 * Learns a byte-level BPE from texts, which are read once; only their distinct words are kept.
 * Errors: `data/vocabulary` for a vocabulary that does not hold every byte, `data/no-rows` for no text.
 */
export async function trainBpe(
  texts: Iterable<string> | AsyncIterable<string>,
  options: BpeOptions,
): Promise<TextTokenizer> {
  const { vocabulary, minCount = 2, special = [END_OF_TEXT], signal } = options;
  const least = special.length + 256;
  if (!Number.isInteger(vocabulary) || vocabulary < least || vocabulary > 1 << 20) {
    throw new AnyformerError('data/vocabulary', {
      what: `a byte-level vocabulary of ${vocabulary} tokens`,
      expected: `a whole number from ${least} (the bytes and ${special.length} special) to ${1 << 20}`,
      found: String(vocabulary),
    });
  }
  const words = await countWords(texts, signal);
  if (words.size === 0) {
    throw new AnyformerError('data/no-rows', {
      what: 'no text to learn a tokenizer from',
      expected: 'texts that hold something',
      found: 'nothing',
    });
  }
  return createTokenizer(byteLevelFiles(learn(words, { vocabulary, minCount, special }, signal)));
}

/** How often each piece occurs. */
export async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const words = new Map<string, number>();
  for await (const text of texts) {
    signal?.throwIfAborted();
    for (const [piece] of text.matchAll(PIECES)) words.set(piece, (words.get(piece) ?? 0) + 1);
    if (words.size > MOST_WORDS) {
      for (const [word, count] of words) if (count === 1) words.delete(word);
    }
  }
  return words;
}

function learn(
  counts: ReadonlyMap<string, number>,
  options: Required<Pick<BpeOptions, 'vocabulary' | 'minCount' | 'special'>>,
  signal?: AbortSignal,
) {
  const { vocabulary: size, minCount, special } = options;
  const tokens = alphabet.map((b) => byteCharacters[b]);
  const first = special.length;
  const vocabulary = new Map(tokens.map((text, i) => [text, first + i]));
  const text = (id: number) => tokens[id - first];
  const queue = new PairQueue();
  const words = symbols(counts, first);
  words.forEach(({ ids, count }, word) => {
    for (let i = 1; i < ids.length; i++) queue.add(ids[i - 1], ids[i], count, word);
  });
  const merges: (readonly [string, string])[] = [];
  const known = new Set<string>();
  while (first + tokens.length < size) {
    if (merges.length % 64 === 0) signal?.throwIfAborted();
    const best = queue.take();
    if (!best || best.count < minCount) break;
    const { a, b } = best;
    const joined = text(a) + text(b);
    let id = vocabulary.get(joined);
    if (id === undefined) {
      id = first + tokens.length;
      tokens.push(joined);
      vocabulary.set(joined, id);
    }
    // A token made in two ways can bring a pair back; the rule for it stands already.
    const rule = `${text(a)} ${text(b)}`;
    if (!known.has(rule)) merges.push([text(a), text(b)]);
    known.add(rule);
    for (const word of best.words) merge(words[word], word, a, b, id, queue);
  }
  return { special, vocabulary, merges };
}

type Word = { ids: number[]; readonly count: number };

function symbols(counts: ReadonlyMap<string, number>, first: number): Word[] {
  const idOf = new Int32Array(256);
  alphabet.forEach((b, i) => {
    idOf[b] = first + i;
  });
  const encoder = new TextEncoder();
  const words: Word[] = [];
  for (const [word, count] of counts) {
    const ids = Array.from(encoder.encode(word), (b) => idOf[b]);
    for (let at = 0; at < ids.length; at += LONGEST_WORD) {
      words.push({ ids: ids.slice(at, at + LONGEST_WORD), count });
    }
  }
  return words;
}

/** Joins every a b of the word from the left; the pairs beside it change with it. */
function merge(word: Word, index: number, a: number, b: number, id: number, queue: PairQueue) {
  const { ids, count } = word;
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== a || ids[i + 1] !== b || i + 1 === ids.length) {
      out.push(ids[i]);
      continue;
    }
    const left = out.at(-1);
    if (left !== undefined) {
      queue.remove(left, a, count);
      queue.add(left, id, count, index);
    }
    const right = ids[i + 2];
    if (right !== undefined) {
      queue.remove(b, right, count);
      queue.add(id, right, count, index);
    }
    out.push(id);
    i++;
  }
  word.ids = out;
}
