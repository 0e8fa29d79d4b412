// A decoder: a model's programs compiled on a device, ready for any number of texts. The programs are
// given the same arrays as weights, read once.
import { isDecoder, type Model, parameterValues, wrongKind } from '../models/model.js';
import type { Device, Feeds, Program } from '../runtime/index.js';
import { AnyformerError, fromNumbers, type NDArray } from '../tensor/index.js';
import { type Cache, type LayerStates, openCache } from './cache.js';
import { prefillProgram, stepProgram } from './programs.js';

export type Decoder = AsyncDisposable & {
  readonly model: Model;
  readonly device: Device;
  /** Longest text in tokens. */
  readonly context: number;
  /**
   * Reads texts, shorter ones padded on the left: the scores of the token after each, f32[batch,
   * vocabulary], and the cache, which is the caller's to dispose of.
   */
  prefill(
    texts: readonly (readonly number[])[],
    signal?: AbortSignal,
  ): Promise<{ logits: NDArray; cache: Cache }>;
  /** Appends as many tokens to each text: the scores after the last, f32[batch, vocabulary]. */
  step(
    tokens: readonly (readonly number[])[],
    cache: Cache,
    signal?: AbortSignal,
  ): Promise<NDArray>;
  dispose(): Promise<void>;
};

/** Places that a cache begins with, beside those of the prompt. */
const HEADROOM = 64;

/** Compiles the model. Errors: `models/kind`, and those of the weights and of the device. */
export async function openDecoder(
  model: Model,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Decoder> {
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const { family, config } = model;
  const [context, vocabulary] = [family.context(config), family.vocabulary(config)];
  const states: LayerStates = family.states(config);
  const built = [prefillProgram(model), stepProgram(model)];
  // Both programs declare the same parameters.
  const parameters = await parameterValues(model, built[0]);
  const compiled = await Promise.allSettled(
    built.map((program) => device.compile(program.graph, { parameters, signal })),
  );
  const programs = compiled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const dispose = async () => {
    await Promise.all(programs.map((program) => program.dispose()));
  };
  const failed = compiled.find((one) => one.status === 'rejected');
  if (failed) {
    await dispose();
    throw failed.reason;
  }
  const [prefill, step] = programs;

  /** One run that adds `count` places to the cache. */
  async function extend(
    program: Program,
    feeds: Feeds,
    cache: Cache,
    count: number,
    signal: AbortSignal | undefined,
  ): Promise<NDArray> {
    const { logits } = await program.run(feeds, { into: cache.targets(), signal });
    cache.advance(count);
    return logits;
  }

  return {
    model,
    device,
    context,
    async prefill(texts, signal) {
      const longest = Math.max(...texts.map((text) => text.length));
      checkTexts(texts, { longest, context, vocabulary });
      const padding = texts.map((text) => longest - text.length);
      const padded = (value: (id: number) => number, fill: number) =>
        texts.flatMap((text, row) => [...new Array(padding[row]).fill(fill), ...text.map(value)]);
      const cache = await openCache(device, states, {
        batch: texts.length,
        capacity: longest + HEADROOM,
        limit: context,
        padding,
      });
      const shape = [texts.length, longest];
      try {
        const feeds = {
          input_ids: fromNumbers(
            'i64',
            shape,
            padded((id) => id, 0),
          ),
          attention_mask: fromNumbers(
            'i64',
            shape,
            padded(() => 1, 0),
          ),
        };
        return { logits: await extend(prefill, feeds, cache, longest, signal), cache };
      } catch (error) {
        await cache.dispose();
        throw error;
      }
    },
    async step(tokens, cache, signal) {
      const count = tokens[0]?.length ?? 0;
      await cache.reserve(count, signal);
      const feeds = {
        input_ids: fromNumbers('i64', [cache.batch, count], tokens.flat()),
        lengths: fromNumbers(
          'i64',
          [cache.batch],
          cache.padding.map(() => cache.length),
        ),
        padding: fromNumbers('i64', [cache.batch], cache.padding),
        ...cache.feeds(),
      };
      return extend(step, feeds, cache, count, signal);
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function checkTexts(
  texts: readonly (readonly number[])[],
  { longest, context, vocabulary }: { longest: number; context: number; vocabulary: number },
): void {
  if (texts.length === 0 || texts.some((text) => text.length === 0)) {
    throw new AnyformerError('decode/empty', {
      what: 'there is nothing to continue',
      expected: 'at least one token in each text',
      found: texts.length === 0 ? 'no text' : 'a text without tokens',
      hint: "begin with the model's first token (bos_token_id)",
    });
  }
  if (longest > context) {
    throw new AnyformerError('decode/context', {
      what: 'the prompt is longer than the text that the model can hold',
      expected: `at most ${context} tokens`,
      found: `${longest} tokens`,
      hint: 'shorten the prompt, or take a model with a longer context',
    });
  }
  for (const id of texts.flat()) {
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    throw new AnyformerError('decode/token', {
      what: `${id} is not a token of the model`,
      expected: `whole numbers from 0 to ${vocabulary - 1}`,
      found: String(id),
      hint: 'encode the text with the tokenizer of this model',
    });
  }
}
