// A small WordPiece tokenizer as BERT's files have it: lower case, [CLS] and [SEP] around texts, types
// 0 and 1 of a pair; and one of RoBERTa's template, <s> a </s></s> b </s>.
import { createTokenizer, type TextTokenizer } from '../../src/models/tokenizer.js';

const pieces =
  'the a cat dog sat on mat ran over hill and then some ##s ##ing ##er ##ed run walk talk red blue . , ! ?'.split(
    ' ',
  );

const added = (tokens: readonly string[]) =>
  tokens.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));

const part = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } });
const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });

function wordPieces(
  specials: readonly string[],
  { pad, unknown, begin, end }: { pad: string; unknown: string; begin: string; end: string },
  pair: readonly object[],
): TextTokenizer {
  const token = (id: string) => ({ id, ids: [specials.indexOf(id)], tokens: [id] });
  return createTokenizer({
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added(specials),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [special(begin, 0), part('A', 0), special(end, 0)],
        pair,
        special_tokens: { [begin]: token(begin), [end]: token(end) },
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: unknown,
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries([...specials, ...pieces].map((piece, i) => [piece, i])),
      },
    },
    config: { tokenizer_class: 'BertTokenizer', pad_token: pad, cls_token: begin },
  });
}

export const VOCABULARY = 4 + pieces.length;

export const bertPieces = wordPieces(
  ['[PAD]', '[UNK]', '[CLS]', '[SEP]'],
  { pad: '[PAD]', unknown: '[UNK]', begin: '[CLS]', end: '[SEP]' },
  [special('[CLS]', 0), part('A', 0), special('[SEP]', 0), part('B', 1), special('[SEP]', 1)],
);

export const robertaPieces = wordPieces(
  ['<s>', '<pad>', '</s>', '<unk>'],
  { pad: '<pad>', unknown: '<unk>', begin: '<s>', end: '</s>' },
  [
    special('<s>', 0),
    part('A', 0),
    special('</s>', 0),
    special('</s>', 0),
    part('B', 0),
    special('</s>', 0),
  ],
);
