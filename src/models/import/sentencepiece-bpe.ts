// A SentencePiece BPE vocabulary as the files of Hugging Face tokenizers. SentencePiece merges the
// neighbours whose union is the piece of the best score; tokenizer.json lists the merges themselves:
// every split of a piece into two pieces, best score first. Unknown characters become bytes.
import { AnyformerError } from '../../tensor/index.js';
import type { TokenizerFiles } from '../tokenizer.js';

/** Its place is its id; 0, 1 and 2 are the unknown, first and last tokens. */
export type Piece = { readonly text: string; readonly score: number };

const SPACE = '\u2581';
/** A longer piece has more splits than any real vocabulary needs. */
const MOST_CHARACTERS = 256;

/** Errors: `tokenizer/pieces`. */
export function sentencePieceFiles(pieces: readonly Piece[], file: string): TokenizerFiles {
  const ids = new Map<string, number>();
  for (const [id, { text, score }] of pieces.entries()) {
    const known = ids.get(text);
    const problem =
      known !== undefined
        ? `the same text as ${known}`
        : text === ''
          ? 'no text'
          : text.length > MOST_CHARACTERS
            ? `${text.length} characters`
            : Number.isFinite(score)
              ? undefined
              : `the score ${score}`;
    if (problem !== undefined) throw wrongPieces(file, `piece ${id} with ${problem}`);
    ids.set(text, id);
  }
  if (pieces.length < 3) throw wrongPieces(file, `${pieces.length} pieces`);
  const [unknown, first, last] = pieces.map(({ text }) => text);
  const special = [unknown, first, last].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special,
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: SPACE },
          { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
        ],
      },
      pre_tokenizer: null,
      post_processor: {
        type: 'TemplateProcessing',
        single: [
          { SpecialToken: { id: first, type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
        ],
        pair: [
          { SpecialToken: { id: first, type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
          { SpecialToken: { id: first, type_id: 1 } },
          { Sequence: { id: 'B', type_id: 1 } },
        ],
        special_tokens: { [first]: { id: first, ids: [1], tokens: [first] } },
      },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: unknown,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        vocab: Object.fromEntries(ids),
        merges: mergesOf(pieces, ids),
      },
    },
    config: {
      tokenizer_class: 'LlamaTokenizer',
      unk_token: unknown,
      bos_token: first,
      eos_token: last,
      add_bos_token: true,
      add_eos_token: false,
      clean_up_tokenization_spaces: false,
    },
  };
}

/** [left, right] by falling score of what they make. */
function mergesOf(
  pieces: readonly Piece[],
  ids: ReadonlyMap<string, number>,
): [left: string, right: string][] {
  const merges: { pair: [string, string]; score: number }[] = [];
  for (const { text, score } of pieces) {
    const characters = Array.from(text);
    for (let i = 1; i < characters.length; i++) {
      const pair: [string, string] = [
        characters.slice(0, i).join(''),
        characters.slice(i).join(''),
      ];
      if (pair.every((part) => ids.has(part))) merges.push({ pair, score });
    }
  }
  // Stable: the splits of one piece stay together.
  return merges.sort((a, b) => b.score - a.score).map(({ pair }) => pair);
}

function wrongPieces(file: string, found: string): AnyformerError {
  return new AnyformerError('tokenizer/pieces', {
    what: `${file}: the vocabulary is not one of SentencePiece`,
    expected: 'different pieces of 1 to 256 characters with scores; at least 3 of them',
    found,
  });
}
