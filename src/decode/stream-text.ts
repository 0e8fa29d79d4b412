// Text of tokens as they come. A token may hold a part of a character, and its text may depend on the
// tokens before it, so what is given out is the difference between two decodings of a short window;
// it waits while the text ends in the middle of a character.
//
// Where a tokenizer rewrites text that was already given out (the clean-up of spaces before
// punctuation, if its files ask for it), the stream keeps the old text.
import type { TextTokenizer } from '../models/tokenizer.js';

export type TextStream = {
  /** The text that this token completes; `last` gives out what still waits. */
  push(id: number, last?: boolean): string;
};

/** What stands for bytes that are no character, or not yet. */
const UNFINISHED = '\ufffd';

/** Streams the continuation of a prompt: prompt and pieces join to the decoding of all tokens. */
export function streamText(
  tokenizer: Pick<TextTokenizer, 'decode'>,
  prompt: readonly number[] = [],
): TextStream {
  // The tokens since the second last piece of text; of these, `known` were given out as `before`.
  let window = [...prompt];
  let known = window.length;
  let before = tokenizer.decode(window);
  return {
    push(id, last = false) {
      window.push(id);
      const text = tokenizer.decode(window);
      if (!last && text.endsWith(UNFINISHED)) return '';
      const piece = text.slice(commonPrefix(before, text));
      if (piece === '') return '';
      window = window.slice(known);
      known = window.length;
      before = tokenizer.decode(window);
      return piece;
    },
  };
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
