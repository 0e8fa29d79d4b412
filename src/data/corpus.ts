// A corpus as token ids in one array: documents one after the other, each ended by a token.
import { sha256 } from '#platform';
import type { TextTokenizer } from '../models/tokenizer.js';
import { AnyformerError } from '../tensor/error.js';
import { endOfText, vocabularySize } from './byte-level.js';
import { corpusEncoder } from './piece-cache.js';

export type Corpus = {
  readonly tokens: Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
  readonly documents: number;
  /** UTF-8 bytes of the documents, for bits per byte. */
  readonly bytes: number;
  /** Of the tokens: tells whether a resumed run reads the same data. */
  readonly sha256: string;
};

export type CorpusOptions = {
  signal?: AbortSignal | undefined;
  /** Bytes of text read so far. */
  progress?: ((bytes: number) => void) | undefined;
};

/** Tokenises documents as they come. Errors: `data/no-end-token`, `data/no-rows`. */
export async function readCorpus(
  documents: AsyncIterable<string> | Iterable<string>,
  tokenizer: TextTokenizer,
  { signal, progress }: CorpusOptions = {},
): Promise<Corpus> {
  const end = endOfText(tokenizer);
  if (end === undefined) {
    throw new AnyformerError('data/no-end-token', {
      what: 'the tokenizer has no token that ends a document',
      expected: 'eos_token in tokenizer_config.json, a token of the tokenizer',
      found: 'none',
    });
  }
  const encode = corpusEncoder(tokenizer);
  const wide = vocabularySize(tokenizer) > 1 << 16;
  let tokens = wide ? new Uint32Array(1 << 16) : new Uint16Array(1 << 16);
  let [length, count, bytes] = [0, 0, 0];
  const encoder = new TextEncoder();
  for await (const document of documents) {
    signal?.throwIfAborted();
    const ids = encode(document);
    if (length + ids.length + 1 > tokens.length) {
      const size = Math.max(2 * tokens.length, length + ids.length + 1);
      const grown = wide ? new Uint32Array(size) : new Uint16Array(size);
      grown.set(tokens.subarray(0, length));
      tokens = grown;
    }
    tokens.set(ids, length);
    length += ids.length;
    tokens[length++] = end;
    count++;
    bytes += encoder.encode(document).length;
    progress?.(bytes);
  }
  if (count === 0) {
    throw new AnyformerError('data/no-rows', {
      what: 'there are no documents',
      expected: 'at least one',
      found: 'none',
    });
  }
  const own = tokens.slice(0, length);
  const raw = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
  return { tokens: own, documents: count, bytes, sha256: await sha256(raw) };
}
