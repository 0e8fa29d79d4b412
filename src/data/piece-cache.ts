// Encoding a corpus with a byte-level tokenizer: text is cut into pieces, each of which is encoded by
// itself, so a piece that came before need not be encoded again. Other tokenizers encode text whole.
import type { TextTokenizer } from '../models/tokenizer.js';
import { PIECES } from './byte-level.js';

type Parsed = {
  normalizer?: unknown;
  pre_tokenizer?: { type?: string; add_prefix_space?: boolean; use_regex?: boolean } | null;
  post_processor?: { type?: string } | null;
  model?: { type?: string };
  added_tokens?: readonly { content?: string }[];
};

/** Pieces kept; later ones are encoded each time. */
const MOST_PIECES = 1_000_000;

/** What `tokenizer.encode` gives, faster over many texts. */
export function corpusEncoder(tokenizer: TextTokenizer): (text: string) => readonly number[] {
  const parsed = tokenizer.files.tokenizer as Parsed;
  if (!inPieces(parsed)) return (text) => tokenizer.encode(text);
  const special = (parsed.added_tokens ?? []).flatMap(({ content }) => content || []);
  const known = new Map<string, readonly number[]>();
  const idsOf = (piece: string): readonly number[] => {
    const found = known.get(piece);
    if (found) return found;
    const ids = tokenizer.encode(piece);
    if (known.size < MOST_PIECES) known.set(piece, ids);
    return ids;
  };
  return (text) => {
    // Added tokens are found before text is cut into pieces.
    if (special.some((content) => text.includes(content))) return tokenizer.encode(text);
    const ids: number[] = [];
    for (const [piece] of text.matchAll(PIECES)) for (const id of idsOf(piece)) ids.push(id);
    return ids;
  };
}

/** Whether the tokenizer cuts text at `PIECES` and treats every piece alike. */
function inPieces({ normalizer, pre_tokenizer, post_processor, model }: Parsed): boolean {
  return (
    (normalizer ?? null) === null &&
    pre_tokenizer?.type === 'ByteLevel' &&
    pre_tokenizer.add_prefix_space === false &&
    pre_tokenizer.use_regex !== false &&
    (post_processor ?? null) === null &&
    model?.type === 'BPE'
  );
}
