// How texts are cut into pieces before merging. GGUF files name a rule; llama.cpp holds the patterns.
// The rule is told by the pattern in tokenizer.json; what none of them has is refused: other pieces
// would give other tokens, and nobody would notice.
import { AnyformerError } from '../../tensor/index.js';
import type { Model } from '../model.js';
import type { TokenizerFile } from './vocabulary.js';

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORDS_TO_END = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const modern = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${WORDS_TO_END}`;

/** A step of the pre-tokenizer, as far as it is looked at. */
type Part = {
  type?: string;
  pretokenizers?: Part[];
  normalizers?: Part[];
  pattern?: { Regex?: string; String?: string };
  behavior?: string;
  invert?: boolean;
  individual_digits?: boolean;
  add_prefix_space?: boolean;
  use_regex?: boolean;
  prepend_scheme?: string;
  prepend?: string;
};

type Rule = {
  name: string;
  ignoreMerges: boolean | 'any';
  fits: (cuts: readonly Part[]) => boolean;
};

const pattern =
  (regex: string) =>
  (cuts: readonly Part[]): boolean =>
    cuts.length === 1 &&
    cuts[0].type === 'Split' &&
    cuts[0].pattern?.Regex === regex &&
    cuts[0].behavior === 'Isolated' &&
    cuts[0].invert !== true;

const isGpt2 = (part: Part | undefined): boolean =>
  part?.type === 'ByteLevel' && part.use_regex !== false;

const rules: readonly Rule[] = [
  {
    name: 'gpt-2',
    ignoreMerges: false,
    fits: (cuts) => (cuts.length === 1 && isGpt2(cuts[0])) || pattern(GPT2)(cuts),
  },
  {
    name: 'smollm',
    ignoreMerges: false,
    fits: (cuts) =>
      cuts.length === 2 &&
      cuts[0].type === 'Digits' &&
      cuts[0].individual_digits === true &&
      isGpt2(cuts[1]),
  },
  { name: 'llama-bpe', ignoreMerges: true, fits: pattern(modern('\\p{N}{1,3}')) },
  { name: 'dbrx', ignoreMerges: false, fits: pattern(modern('\\p{N}{1,3}')) },
  { name: 'qwen2', ignoreMerges: false, fits: pattern(modern('\\p{N}')) },
];

/** The rule's name, `tokenizer.ggml.pre`. Errors: `export/vocabulary`. */
export function preTokenizerOf(model: Model, file: TokenizerFile): string {
  const normal = file.normalizer as Part | null | undefined;
  if (normal && normal.type !== 'NFC') throw refused(model, `the normalizer ${normal.type}`);
  const parts = flat(file.pre_tokenizer as Part | null | undefined);
  const bytes = parts.at(-1);
  if (bytes?.type !== 'ByteLevel') throw refused(model, 'a model of characters, not of bytes');
  if (bytes.add_prefix_space === true) throw refused(model, 'a space put before every text');
  const cuts = bytes.use_regex === false ? parts.slice(0, -1) : parts;
  const rule = rules.find(
    ({ ignoreMerges, fits }) => ignoreMerges === file.model.ignore_merges && fits(cuts),
  );
  if (rule) return rule.name;
  const found = cuts.map((part) => part.pattern?.Regex ?? part.type).join(', then ');
  throw refused(model, found.slice(0, 120) || 'no pattern');
}

/** Whether a space is put before texts, for SentencePiece. Errors: `export/vocabulary`. */
export function spacePrefix(model: Model, file: TokenizerFile): boolean {
  const normal = file.normalizer as Part | null | undefined;
  const steps = normal?.type === 'Sequence' ? (normal.normalizers ?? []) : normal ? [normal] : [];
  const cuts = flat(file.pre_tokenizer as Part | null | undefined);
  const known =
    steps.every(({ type }) => type === 'Prepend' || type === 'Replace') &&
    cuts.every(({ type }) => type === 'Metaspace');
  if (!known) {
    const other = [...steps, ...cuts].map(({ type }) => type).join(', then ');
    throw refused(model, `SentencePiece with ${other}`);
  }
  const metaspace = cuts[0];
  const scheme =
    metaspace?.prepend_scheme ?? (metaspace?.add_prefix_space === false ? 'never' : 'always');
  return (
    steps.some(({ type }) => type === 'Prepend') || (metaspace !== undefined && scheme !== 'never')
  );
}

const flat = (part: Part | null | undefined): Part[] =>
  !part ? [] : part.type === 'Sequence' ? (part.pretokenizers ?? []).flatMap(flat) : [part];

const refused = ({ name }: Model, found: string): AnyformerError =>
  new AnyformerError('export/vocabulary', {
    what: `the tokenizer of '${name}' cuts texts in a way that llama.cpp has no name for here`,
    expected: 'the patterns of GPT-2, SmolLM, Llama 3 or Qwen 2, or plain SentencePiece',
    found,
    hint: 'export to ONNX instead: --to onnx',
  });
