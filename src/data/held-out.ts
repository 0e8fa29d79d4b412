// Documents held out by a share: which ones depends on their number and a seed alone.
import { AnyformerError } from '../tensor/error.js';
import { uniformAt } from '../tensor/random.js';

/** The documents of one part. Errors: `data/held-out` where it has none. */
export async function* partOf(
  documents: AsyncIterable<string>,
  { share, seed, held }: { share: number; seed: number; held: boolean },
): AsyncGenerator<string> {
  let [number, given] = [0, 0];
  for await (const document of documents) {
    if (uniformAt(seed ^ 0x5eed, number++) < share === held) {
      given++;
      yield document;
    }
  }
  if (given > 0) return;
  throw new AnyformerError('data/held-out', {
    what: `of ${number} documents ${held ? 'none is held out' : 'all are held out'}`,
    expected: 'some to learn from and some to judge by',
    found: `a share of ${share}`,
    hint: 'cut documents finer (data.documents), or give files of their own as data.heldOut',
  });
}
