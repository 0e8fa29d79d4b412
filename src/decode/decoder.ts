// A decoder: a model compiled on a device, ready for any number of texts. One program serves prompts
// and new tokens, so that the device holds the weights once: a prompt is read in pieces against the
// cache that it fills. Pieces cost no more time than the whole prompt in one run (their scores stay in
// the processor's cache), bound the memory of the scores, and can be aborted in between.
import { isDecoder, type Model, parameterValues, wrongKind } from '../models/model.js';
import type { Device, Program } from '../runtime/index.js';
import { AnyformerError, fromNumbers, type NDArray } from '../tensor/index.js';
import { type Cache, copyGraph, type LayerStates, openCache } from './cache.js';
import { stepProgram } from './programs.js';

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
/** Most tokens of each text that one run reads. */
const PIECE = 128;

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
  const built = stepProgram(model);
  const parameters = await parameterValues(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  let copier: Promise<Program> | undefined;

  async function step(
    tokens: readonly (readonly number[])[],
    cache: Cache,
    signal?: AbortSignal,
  ): Promise<NDArray> {
    const count = tokens[0]?.length ?? 0;
    await cache.reserve(count, signal);
    const feeds = {
      input_ids: fromNumbers('i64', [cache.batch, count], tokens.flat()),
      lengths: fromNumbers('i64', [cache.batch], new Array(cache.batch).fill(cache.length)),
      padding: fromNumbers('i64', [cache.batch], cache.padding),
      ...cache.feeds(),
    };
    const { logits } = await program.run(feeds, { into: cache.targets(), signal });
    cache.advance(count);
    return logits;
  }

  async function prefill(texts: readonly (readonly number[])[], signal?: AbortSignal) {
    const longest = Math.max(...texts.map((text) => text.length));
    checkTexts(texts, { longest, context, vocabulary });
    const padding = texts.map((text) => longest - text.length);
    const padded = texts.map((text, i) => [...new Array<number>(padding[i]).fill(0), ...text]);
    const cache = await openCache(
      device,
      states,
      () => (copier ??= device.compile(copyGraph(states))),
      { batch: texts.length, capacity: longest + HEADROOM, limit: context, padding },
    );
    try {
      const pieces = Math.ceil(longest / PIECE);
      const bounds = Array.from({ length: pieces + 1 }, (_, i) =>
        Math.round((i * longest) / pieces),
      );
      const read = (i: number) =>
        step(
          padded.map((row) => row.slice(bounds[i], bounds[i + 1])),
          cache,
          signal,
        );
      let logits = await read(0);
      for (let i = 1; i < pieces; i++) logits = await read(i);
      return { logits, cache };
    } catch (error) {
      await cache.dispose();
      throw error;
    }
  }

  async function dispose(): Promise<void> {
    await program.dispose();
    await copier?.then(
      (copy) => copy.dispose(),
      () => {},
    );
  }

  return {
    model,
    device,
    context,
    prefill,
    step,
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
