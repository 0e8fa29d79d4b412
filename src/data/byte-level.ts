// Byte-level tokenizers (Radford et al. 2019) in the files that Hugging Face's libraries read: every
// byte has a printable character, so that any text can be written and none is unknown.
import { createTokenizer, type TextTokenizer, type TokenizerFiles } from '../models/tokenizer.js';

/** Ends a document. */
export const END_OF_TEXT = '<|endoftext|>';
/** Stands where a token is hidden, in tokenizers for masked language modelling. */
export const MASK = '<|mask|>';

/** Pieces of text within which tokens lie; the pattern of GPT-2, which `ByteLevel` stands for. */
export const PIECES =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The character of each byte: itself where it is printable, one from 256 on otherwise. */
export const byteCharacters: readonly string[] = (() => {
  const printable = (b: number) =>
    (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
})();

/** The bytes in the order of their characters, as trainers of this format number them. */
export const alphabet: readonly number[] = Array.from({ length: 256 }, (_, b) => b).sort(
  (a, b) => byteCharacters[a].charCodeAt(0) - byteCharacters[b].charCodeAt(0),
);

export type ByteLevelModel = {
  /** Special tokens, numbered from 0. The first ends a document. */
  special: readonly string[];
  /** The other tokens in the characters of their bytes, by id; unnumbered ones do not exist. */
  vocabulary: ReadonlyMap<string, number>;
  /** Pairs in the order in which they are joined. */
  merges: readonly (readonly [string, string])[];
};

/** tokenizer.json and tokenizer_config.json of a byte-level BPE. */
export function byteLevelFiles({ special, vocabulary, merges }: ByteLevelModel): TokenizerFiles {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({ id, content, ...flags, special: true })),
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...special.map((text, id) => [text, id]), ...vocabulary]),
      merges: merges.map(([a, b]) => `${a} ${b}`),
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(special.length > 0 ? { eos_token: special[0] } : {}),
    ...(special.includes(MASK) ? { mask_token: MASK } : {}),
    // Libraries remove blanks before full stops unless told; texts must come back as they were.
    clean_up_tokenization_spaces: false,
  };
  return { tokenizer, config };
}

/** One token a byte: the special tokens, then the 256 bytes. */
export function byteTokenizer({ special = [END_OF_TEXT] } = {}): TextTokenizer {
  const vocabulary = new Map(alphabet.map((b, i) => [byteCharacters[b], special.length + i]));
  return createTokenizer(byteLevelFiles({ special, vocabulary, merges: [] }));
}

type Added = { id?: unknown; content?: unknown };
type Parsed = { model?: { vocab?: object }; added_tokens?: readonly Added[] };

/** Tokens that a tokenizer may give: one more than its highest id. */
export function vocabularySize({ files }: TextTokenizer): number {
  const { model, added_tokens: added = [] } = files.tokenizer as Parsed;
  const vocab = model?.vocab ?? {};
  const ids = Array.isArray(vocab) ? [vocab.length - 1] : (Object.values(vocab) as number[]);
  let highest = -1;
  for (const id of ids) if (id > highest) highest = id;
  for (const { id } of added) if (typeof id === 'number' && id > highest) highest = id;
  return highest + 1;
}

/** The id of the token that ends a text. */
export const endOfText = (tokenizer: TextTokenizer): number | undefined =>
  specialToken(tokenizer, 'eos_token');

/** The id of the token that stands for hidden ones. */
export const maskToken = (tokenizer: TextTokenizer): number | undefined =>
  specialToken(tokenizer, 'mask_token');

type Named = string | { content?: string } | null;

/** The id of what tokenizer_config.json gives under this key. */
function specialToken({ files }: TextTokenizer, key: string): number | undefined {
  const named = (files.config as Record<string, Named | undefined>)[key];
  const content = typeof named === 'string' ? named : named?.content;
  if (content === undefined) return undefined;
  const { model, added_tokens: added = [] } = files.tokenizer as Parsed;
  const id = added.find((token) => token.content === content)?.id;
  if (typeof id === 'number') return id;
  const vocab = model?.vocab ?? {};
  return Array.isArray(vocab)
    ? wholeOrNone(vocab.findIndex(([text]: [string]) => text === content))
    : Object.hasOwn(vocab, content)
      ? (vocab as Record<string, number>)[content]
      : undefined;
}

const wholeOrNone = (index: number): number | undefined => (index < 0 ? undefined : index);
