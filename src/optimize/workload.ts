// What is timed: one text alone (latency), and a batch of texts of mixed length (throughput).
// Encoders encode; decoders read a text and score its next token.
import { batches, feedsOf, openEncoder, tokenize } from '../models/encoder.js';
import { fullDecoderProgram, isEncoder, type Model } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { Device } from '../runtime/device.js';
import { graph, type Tensor } from '../tensor/index.js';

export type Workload = AsyncDisposable & {
  /** One text of the median length. */
  one(): Promise<unknown>;
  /** All the batch's texts. */
  batch(): Promise<unknown>;
  /** Texts in the batch. */
  readonly texts: number;
  /** Tokens of the single text. */
  readonly tokens: number;
};

const BATCH_TEXTS = 64;

export async function openWorkload(
  model: Model,
  texts: readonly string[],
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Workload> {
  const ids = tokenize(model, texts.slice(0, BATCH_TEXTS));
  const median = [...ids].sort((a, b) => a.length - b.length)[Math.floor(ids.length / 2)];
  const shared = { texts: ids.length, tokens: median.length };
  if (isEncoder(model)) {
    const encoder = await openEncoder(model, device, { signal });
    return {
      ...shared,
      one: () => encoder.encodeIds([median], { signal }),
      batch: () => encoder.encodeIds(ids, { signal }),
      [Symbol.asyncDispose]: () => encoder.dispose(),
    };
  }
  const built = fullDecoderProgram(model);
  const logits = built.graph.outputs.get('logits') as Tensor;
  const last = graph({ next: logits.slice(1, -1).argMax(-1) });
  const parameters = await programParameters(model, built);
  const program = await device.compile(last, { parameters, signal });
  const read = async (some: readonly (readonly number[])[]) => {
    for (const rows of batches(some.map((text) => text.length))) {
      await program.run(feedsOf(rows, some), { signal });
    }
  };
  return {
    ...shared,
    one: () => read([median]),
    batch: () => read(ids),
    [Symbol.asyncDispose]: () => program.dispose(),
  };
}
