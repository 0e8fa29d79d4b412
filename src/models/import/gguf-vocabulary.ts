// The vocabulary of a GGUF file as the files of Hugging Face tokenizers: byte-pair vocabularies by the
// name of their rule for cutting texts, SentencePiece ones by their scores, WordPiece as BERT's. Only
// the vocabulary: no model is made of the file.
import { AnyformerError, nearest } from '../../tensor/index.js';
import type { GgufMetadata } from '../gguf/types.js';
import { printable } from '../json-strict.js';
import type { TokenizerFiles } from '../tokenizer.js';
import { sentencePieceFiles } from './sentencepiece-bpe.js';

type Step = Readonly<Record<string, unknown>>;

const bytes = (regex: boolean): Step => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: regex,
});
const split = (regex: string): Step => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});
/** Not `Digits`, of which @huggingface/tokenizers 0.2.0 takes 0 to 9 alone: ½ is a number too. */
const digits = (individual: boolean): Step => split(individual ? '\\p{N}' : '\\p{N}+');

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const words = (letters: string, number: string): Step =>
  split(
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[${letters}]+|${number}| ?[^\\s${letters}\\p{N}]+[\\r\\n]*|${REST}`,
  );
const HAN_AND_HANGUL = '[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+';

type Rule = { cuts: readonly Step[]; composed?: boolean; whole?: boolean };
const single: Rule = { cuts: [digits(true), bytes(true)] };

/**
 * How texts are cut, by `tokenizer.ggml.pre`. `composed`: characters are composed first (NFC); `whole`:
 * a piece that is a token is not merged.
 */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['gpt-2', { cuts: [bytes(true)] }],
  ['mpt', { cuts: [bytes(true)] }],
  ['starcoder', single],
  ['refact', single],
  ['smollm', single],
  ['command-r', { ...single, composed: true }],
  ['llama-bpe', { cuts: [words('\\p{L}', '\\p{N}{1,3}'), bytes(false)], whole: true }],
  ['qwen2', { cuts: [words('\\p{L}', '\\p{N}'), bytes(false)], composed: true }],
  ['qwen35', { cuts: [words('\\p{L}\\p{M}', '\\p{N}'), bytes(false)] }],
  [
    'falcon',
    {
      cuts: [
        { type: 'Punctuation', behavior: 'Contiguous' },
        bytes(true),
        digits(false),
        split('[0-9][0-9][0-9]'),
      ],
    },
  ],
  [
    'deepseek-llm',
    {
      cuts: [
        split('[\\r\\n]'),
        split('\\s?[\\p{Lu}\\p{Ll}\\p{Lt}]+'),
        split('\\s?[!-\\/:-~！-／：-～‘-‟　-。]+'),
        split('\\s+$'),
        split(HAN_AND_HANGUL),
        digits(true),
        bytes(false),
      ],
    },
  ],
  [
    'deepseek-coder',
    {
      cuts: [
        split('[\\r\\n]'),
        split('\\s?\\p{L}+'),
        split('\\s?\\p{P}+'),
        split(HAN_AND_HANGUL),
        digits(true),
        bytes(false),
      ],
    },
  ],
]);

/** Types of tokens in the file. */
const [NORMAL, CONTROL, USER_DEFINED] = [1, 3, 4];

type Vocabulary = { tokens: string[]; types: number[]; file: string; metadata: GgufMetadata };

/** Errors: `tokenizer/gguf` for a vocabulary of another kind or with parts missing. */
export function ggufVocabulary(metadata: GgufMetadata, file: string): TokenizerFiles {
  const kind = textOf(metadata, 'model');
  const tokens = list(metadata, 'tokens', file).map(String);
  const given = metadata.has(key('token_type')) ? list(metadata, 'token_type', file) : [];
  const types = tokens.map((_, id) => Number(given[id] ?? NORMAL));
  const vocabulary = { tokens, types, file, metadata };
  switch (kind) {
    case 'gpt2':
      return bytePairs(vocabulary);
    case 'gemma4':
      return spacedPairs(vocabulary);
    case 'llama':
      return pieces(vocabulary);
    case 'bert':
      return wordPieces(vocabulary);
    default:
      throw wrong(file, 'gpt2, gemma4, llama or bert', kind ?? 'no tokenizer');
  }
}

const key = (name: string): string => `tokenizer.ggml.${name}`;

function textOf(metadata: GgufMetadata, name: string): string | undefined {
  const value = metadata.get(key(name))?.value;
  return typeof value === 'string' ? value : undefined;
}

function list(metadata: GgufMetadata, name: string, file: string): readonly unknown[] {
  const value = metadata.get(key(name))?.value;
  if (Array.isArray(value)) return value;
  throw wrong(file, `a list ${key(name)}`, 'none');
}

const wrong = (file: string, expected: string, found: string, hint?: string) =>
  new AnyformerError('tokenizer/gguf', {
    what: `the vocabulary of ${file} cannot be read`,
    expected,
    found: printable(found),
    hint,
  });

const added = ({ tokens, types }: Vocabulary) =>
  tokens.flatMap((content, id) =>
    types[id] === CONTROL || types[id] === USER_DEFINED
      ? [
          {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: types[id] === CONTROL,
          },
        ]
      : [],
  );

/** The model: tokens by their text, and the pairs that merge, the first first. */
function pairs({ tokens, metadata, file }: Vocabulary, more: Step) {
  const merges = list(metadata, 'merges', file).map((pair): [string, string] => {
    const text = String(pair);
    // The first part is not empty, and may begin with anything.
    const at = text.indexOf(' ', 1);
    return [text.slice(0, at), text.slice(at + 1)];
  });
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, vocab, merges, ...more };
}

const withoutTemplate = { version: '1.0', truncation: null, padding: null, post_processor: null };

function bytePairs(vocabulary: Vocabulary): TokenizerFiles {
  const name = textOf(vocabulary.metadata, 'pre') ?? 'none';
  const rule = rules.get(name);
  if (!rule) {
    const hint = `nearest: ${nearest(name.slice(0, 40), rules.keys(), 1)[0]}`;
    throw wrong(vocabulary.file, `one of ${[...rules.keys()].join(', ')}`, name, hint);
  }
  return {
    tokenizer: {
      ...withoutTemplate,
      added_tokens: added(vocabulary),
      normalizer: rule.composed ? { type: 'NFC' } : null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: rule.cuts },
      decoder: bytes(true),
      model: pairs(vocabulary, { byte_fallback: false, ignore_merges: rule.whole ?? false }),
    },
    config: { clean_up_tokenization_spaces: false },
  };
}

const SPACE = '\u2581';

/** Pairs of characters instead of bytes: a space is a character of its own, the unknown are bytes. */
function spacedPairs(vocabulary: Vocabulary): TokenizerFiles {
  const unknown = Number(vocabulary.metadata.get(key('unknown_token_id'))?.value ?? 0);
  const model = { byte_fallback: true, fuse_unk: true, unk_token: vocabulary.tokens[unknown] };
  return {
    tokenizer: {
      ...withoutTemplate,
      added_tokens: added(vocabulary),
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
      pre_tokenizer: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
        ],
      },
      model: pairs(vocabulary, { ...model, ignore_merges: false }),
    },
    config: { clean_up_tokenization_spaces: false },
  };
}

function pieces(vocabulary: Vocabulary): TokenizerFiles {
  const { tokens, metadata, file } = vocabulary;
  const scores = list(metadata, 'scores', file).map(Number);
  const files = sentencePieceFiles(
    tokens.map((text, id) => ({ text, score: scores[id] })),
    file,
  );
  return { ...files, tokenizer: { ...files.tokenizer, added_tokens: added(vocabulary) } };
}

/** WordPiece: in the file a piece that begins a word has a mark, and one inside a word has none. */
function wordPieces(vocabulary: Vocabulary): TokenizerFiles {
  const { types, tokens } = vocabulary;
  const texts = tokens.map((token, id) =>
    token.startsWith(SPACE)
      ? token.slice(SPACE.length)
      : types[id] === NORMAL && !/^\[.*\]$/.test(token)
        ? `##${token}`
        : token,
  );
  const vocab = Object.fromEntries(texts.map((token, id) => [token, id]));
  return {
    tokenizer: {
      ...withoutTemplate,
      added_tokens: added(vocabulary),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab,
      },
    },
    config: {},
  };
}
