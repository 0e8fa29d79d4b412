// Tokenizers are @huggingface/tokenizers; here they are paired with the files they came from, so
// that a model can be written whole again.
import { Tokenizer } from '@huggingface/tokenizers';
import { AnyformerError } from '../tensor/index.js';

/** The parsed tokenizer.json and tokenizer_config.json. */
export type TokenizerFiles = {
  readonly tokenizer: object;
  readonly config: object;
};

export type TextTokenizer = {
  readonly files: TokenizerFiles;
  /** Token ids of a text, with the special tokens that the tokenizer adds. */
  encode(text: string): number[];
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string;
};

/** Refuses files that the tokenizer library cannot read, with its reason. */
export function createTokenizer(files: TokenizerFiles, file = 'tokenizer.json'): TextTokenizer {
  const tokenizer = construct(files, file);
  return {
    files,
    encode: (text) => tokenizer.encode(text).ids,
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
