// What a decoder says about texts: the mean loss of a token, and its first choice at every place.
import { batches, feedsOf, tokenize } from '../models/encoder.js';
import { fullDecoderProgram, type Model } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { Device } from '../runtime/device.js';
import { AnyformerError, graph, type Tensor } from '../tensor/index.js';

export type TokenScores = {
  /** Mean negative log-likelihood of a token given those before it, in nats. */
  readonly loss: number;
  /** The likeliest next token at every place that has one, text after text. */
  readonly choices: readonly number[];
};

/** Places of a batch: logits over a large vocabulary take much memory. */
const BATCH_TOKENS = 1024;

/** Texts longer than the context are cut; texts of one token say nothing. */
export async function measureDecoder(
  model: Model,
  texts: readonly string[],
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<TokenScores> {
  const ids = tokenize(model, texts).filter((text) => text.length > 1);
  if (ids.length === 0) {
    throw new AnyformerError('optimize/data', {
      what: 'no text is longer than one token',
      expected: 'texts to predict',
      found: `${texts.length} texts of at most one token`,
    });
  }
  const built = fullDecoderProgram(model);
  const program = await device.compile(
    scoring(built.graph.outputs.get('logits'), built.graph.inputs),
    {
      parameters: await programParameters(model, built),
      signal,
    },
  );
  try {
    let total = 0;
    let count = 0;
    const choices: number[][] = [];
    for (const rows of batches(
      ids.map((text) => text.length),
      BATCH_TOKENS,
    )) {
      const { loss, choice } = await program.run(feedsOf(rows, ids), { signal });
      const width = loss.shape[1];
      rows.forEach((at, row) => {
        const places = ids[at].length - 1;
        for (let k = 0; k < places; k++) total += Number(loss.data[row * width + k]);
        choices[at] = Array.from({ length: places }, (_, k) =>
          Number(choice.data[row * width + k]),
        );
        count += places;
      });
    }
    return { loss: total / count, choices: choices.flat() };
  } finally {
    await program.dispose();
  }
}

/** loss[batch, seq - 1] of each next token, choice[batch, seq - 1]. */
function scoring(logits: Tensor | undefined, inputs: ReadonlyMap<string, Tensor>) {
  const ids = inputs.get('input_ids');
  if (!logits || !ids)
    throw new AnyformerError('optimize/internal', { what: 'a decoder without logits' });
  const scores = logits.slice(1, 0, -1); // [batch, seq - 1, vocabulary]
  const targets = ids.slice(1, 1).unsqueeze(-1);
  const loss = scores.logSoftmax(-1).gatherElements(targets, 2).squeeze(-1).neg();
  return graph({ loss, choice: scores.argMax(-1) });
}
