// Pairs of texts that belong together, from a tab-separated file: two texts a line. Streams; no quoting.
import { AnyformerError } from '../tensor/error.js';
import { readLines } from './lines.js';

/** `ones[i]` belongs to `others[i]`. */
export type Pairs = { readonly ones: readonly string[]; readonly others: readonly string[] };

/**
 * Reads the file; blank lines are passed over. Errors: those of `readLines`, `data/pair` with file and
 * line, `data/too-few-rows` for fewer than two pairs, which have nothing to be told apart from.
 */
export async function readPairs(path: string): Promise<Pairs> {
  const ones: string[] = [];
  const others: string[] = [];
  for await (const { number, text } of readLines(path)) {
    if (text.trim() === '') continue;
    const cells = text.split('\t').map((cell) => cell.trim());
    const [one, other] = cells;
    if (cells.length !== 2 || one === '' || other === '') {
      throw new AnyformerError('data/pair', {
        what: `${path}, line ${number}`,
        expected: 'a text, a tab, a text that belongs to it',
        found: cells.length === 2 ? 'an empty text' : `${cells.length} columns`,
      });
    }
    ones.push(one);
    others.push(other);
  }
  if (ones.length >= 2) return { ones, others };
  throw new AnyformerError('data/too-few-rows', {
    what: `${path} holds too few pairs`,
    expected: 'at least 2',
    found: String(ones.length),
  });
}
