// What a causal model says about texts: the negative log-likelihood of every token, each predicted
// once, in windows of the model's context.

import { endOfText } from '../data/byte-level.js';
import { corpusEncoder } from '../data/piece-cache.js';
import { stridedWindows } from '../data/windows.js';
import { batches, feedsOf } from '../models/encoder.js';
import { fullDecoderProgram, isDecoder, type Model, wrongKind } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { TextTokenizer } from '../models/tokenizer.js';
import type { Device } from '../runtime/device.js';
import { AnyformerError, graph } from '../tensor/index.js';
import { crossEntropy } from '../train/losses.js';

export type Streams = {
  /** The tokens of each document, after one that is given and not predicted. */
  readonly streams: readonly Uint32Array[];
  /** UTF-8 bytes of the documents. */
  readonly bytes: number;
  /** Tokens that are predicted. */
  readonly tokens: number;
};

/**
 * Documents as they stand in a corpus: after the token that ends the document before, and with their
 * own. A tokenizer that begins texts in its own way, or has no such token, gives its tokens alone.
 */
export async function readStreams(
  documents: AsyncIterable<string>,
  tokenizer: TextTokenizer,
): Promise<Streams> {
  const end = endOfText(tokenizer);
  const marks = end !== undefined && tokenizer.encode('').length === 0;
  const encode = corpusEncoder(tokenizer);
  const utf8 = new TextEncoder();
  const streams: Uint32Array[] = [];
  let [bytes, tokens] = [0, 0];
  for await (const document of documents) {
    const ids = encode(document);
    streams.push(Uint32Array.from(marks ? [end, ...ids, end] : ids));
    bytes += utf8.encode(document).length;
    tokens += Math.max(0, ids.length + (marks ? 1 : -1));
  }
  if (tokens > 0) return { streams, bytes, tokens };
  throw new AnyformerError('data/too-short', {
    what: 'the texts hold nothing to predict',
    expected: 'at least two tokens',
    found: `${streams.length} documents`,
  });
}

export type ScoreOptions = {
  stride: number;
  signal?: AbortSignal | undefined;
  progress?: ((done: number, total: number) => void) | undefined;
};

/** Places of one run, and numbers of its scores. */
const MOST_PLACES = 4096;
const MOST_SCORES = 1 << 24;

/** Nats over all streams. Errors: `models/kind`, `data/stride`, those of the device. */
export async function modelLoss(
  model: Model,
  { streams }: Streams,
  device: Device,
  { stride, signal, progress }: ScoreOptions,
): Promise<number> {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const context = model.family.context(model.config);
  const windows = streams.flatMap((stream) =>
    stridedWindows(stream.length, { context, stride }).map(({ start, length, from }) => ({
      ids: Array.from(stream.subarray(start, start + length)),
      from,
    })),
  );
  const ids = windows.map((window) => window.ids);
  const vocabulary = model.family.vocabulary(model.config);
  const places = Math.min(MOST_PLACES, Math.floor(MOST_SCORES / vocabulary));
  const built = fullDecoderProgram(model);
  const parameters = await programParameters(model, built);
  await using program = await device.compile(losses(built.graph), { parameters, signal });
  let [nats, done] = [0, 0];
  for (const rows of batches(
    ids.map(({ length }) => length),
    places,
  )) {
    const { loss } = await program.run(feedsOf(rows, ids), { signal });
    const width = loss.shape[1];
    rows.forEach((at, row) => {
      const { from, ids: window } = windows[at];
      for (let k = from; k < window.length; k++) nats += Number(loss.data[row * width + k - 1]);
    });
    done += rows.length;
    progress?.(done, windows.length);
  }
  return nats;
}

/** loss f32[batch, seq - 1]: of each token after the first. */
function losses({ outputs, inputs }: ReturnType<typeof fullDecoderProgram>['graph']) {
  const [logits, ids] = [outputs.get('logits'), inputs.get('input_ids')];
  if (!logits || !ids) throw new AnyformerError('evaluate/internal', { what: 'no logits' });
  return graph({ loss: crossEntropy(logits.slice(1, 0, -1), ids.slice(1, 1)) });
}
