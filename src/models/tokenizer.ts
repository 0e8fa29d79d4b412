// Tokenizers are @huggingface/tokenizers; here they are paired with the files they came from, so
// that a model can be written whole again.
import { Tokenizer } from '@huggingface/tokenizers';
import { AnyformerError } from '../tensor/index.js';

/** The parsed tokenizer.json and tokenizer_config.json. */
export type TokenizerFiles = {
  readonly tokenizer: object;
  readonly config: object;
};

export type EncodeTextOptions = {
  /** Most tokens; a longer text loses its end, never the special tokens around it. */
  most?: number | undefined;
  /** Whether special tokens are put around, as they are unless told; those in the text stay. */
  special?: boolean | undefined;
};

export type TextTokenizer = {
  readonly files: TokenizerFiles;
  /** Token ids of a text, with the special tokens that the tokenizer adds. */
  encode(text: string, options?: EncodeTextOptions): number[];
  /**
   * Of two texts with the special tokens around and between them, and for each token whether it is of
   * the first (0) or the second (1). Where they are too long, the longer one loses its end first.
   */
  encodePair(first: string, second: string, options?: EncodeTextOptions): TokenPair;
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string;
};

export type TokenPair = { ids: number[]; types: number[] };

/** Refuses files that the tokenizer library cannot read, with its reason. */
export function createTokenizer(files: TokenizerFiles, file = 'tokenizer.json'): TextTokenizer {
  const tokenizer = construct(files, file);
  return {
    files,
    encode: (text, { most = Number.POSITIVE_INFINITY, special = true } = {}) => {
      if (!special) return bare(tokenizer, text).slice(0, most);
      const { ids } = tokenizer.encode(text);
      if (ids.length <= most) return ids;
      return shortened(ids, [bare(tokenizer, text)], most).map((at) => ids[at]);
    },
    encodePair: (first, second, { most = Number.POSITIVE_INFINITY } = {}) => {
      const options = { text_pair: second, return_token_type_ids: true } as const;
      const { ids, token_type_ids: given } = tokenizer.encode(first, options);
      const types = given ?? ids.map(() => 0);
      if (ids.length <= most) return { ids, types };
      const texts = [first, second].map((text) => bare(tokenizer, text));
      const kept = shortened(ids, texts, most);
      return { ids: kept.map((at) => ids[at]), types: kept.map((at) => types[at]) };
    },
    decode: (ids, { skipSpecialTokens = true } = {}) =>
      ids.length === 0
        ? ''
        : tokenizer.decode([...ids], { skip_special_tokens: skipSpecialTokens }),
  };
}

function construct({ tokenizer, config }: TokenizerFiles, file: string): Tokenizer {
  try {
    return new Tokenizer(tokenizer, config);
  } catch (cause) {
    throw new AnyformerError('models/tokenizer', {
      what: `${file} is not a tokenizer that can be read`,
      expected: 'the format of Hugging Face tokenizers',
      found: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** The tokens of a text alone. */
const bare = (tokenizer: Tokenizer, text: string): number[] =>
  tokenizer.encode(text, { add_special_tokens: false }).ids;

/**
 * Which tokens of `ids` stay when only `most` may: all that a tokenizer put around its texts, and from
 * the end of the longer text (of the second where they are equal) as many less as are too many.
 */
function shortened(
  ids: readonly number[],
  texts: readonly (readonly number[])[],
  most: number,
): number[] {
  let from = 0;
  const begins = texts.map((text) => {
    const begin = findPart(ids, text, from);
    from = begin + text.length;
    return begin;
  });
  const lengths = texts.map((text) => text.length);
  for (let over = ids.length - most; over > 0 && Math.max(...lengths) > 0; over--) {
    lengths[lengths.lastIndexOf(Math.max(...lengths))]--;
  }
  const stays = (at: number): boolean =>
    begins.every((begin, i) => at < begin + lengths[i] || at >= begin + texts[i].length);
  return ids
    .map((_, at) => at)
    .filter(stays)
    .slice(0, most);
}

/** Where `part` stands in `whole`, from `from` on. */
function findPart(whole: readonly number[], part: readonly number[], from: number): number {
  for (let at = from; at + part.length <= whole.length; at++) {
    if (part.every((id, k) => whole[at + k] === id)) return at;
  }
  // A tokenizer whose texts change among special tokens: the end is cut off.
  return from;
}
