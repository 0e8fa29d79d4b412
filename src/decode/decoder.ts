// A decoder: a model compiled on a device, ready for any number of texts. One program serves prompts
// and new tokens, so that the device holds the weights once: a prompt is read in pieces against the
// cache that it fills. Pieces cost no more time than the whole prompt in one run (their scores stay in
// the processor's cache), bound the memory of the scores, and can be aborted in between.
//
// An encoder-decoder is opened the same way (cross-decoder.ts): what it continues is a source.
import { isDecoder, isEncoderDecoder, type Model, wrongKind } from '../models/model.js';
import type { Device } from '../runtime/index.js';
import { AnyformerError, type NDArray } from '../tensor/index.js';
import type { Cache } from './cache.js';
import { openCrossDecoder } from './cross-decoder.js';
import { stepProgram } from './programs.js';
import { checkTokens, openStepper, type Stepper } from './stepper.js';

/**
 * What is read first. Decoders: the beginning of a text, as tokens. Encoder-decoders: the source, as
 * tokens or as samples of sound of one channel, in [-1, 1], at the rate of the family.
 */
export type Prompt = readonly number[] | Float32Array;

export type Decoder = AsyncDisposable &
  Pick<Stepper, 'step' | 'dispose'> & {
    readonly model: Model;
    readonly device: Device;
    /** Longest text in tokens; of encoder-decoders the longest target. */
    readonly context: number;
    /** Tokens that every text begins with, before what is generated: those of the prompt, or of a target. */
    start(prompt: Prompt): readonly number[];
    /**
     * Reads prompts (shorter ones are padded): the scores of the token after each, f32[batch,
     * vocabulary], and the cache, which is the caller's to dispose of.
     */
    prefill(
      prompts: readonly Prompt[],
      signal?: AbortSignal,
    ): Promise<{ logits: NDArray; cache: Cache }>;
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
  if (isEncoderDecoder(model)) return await openCrossDecoder(model, device, { signal });
  if (!isDecoder(model)) throw wrongKind(model, 'decoder');
  const { family, config } = model;
  const [context, vocabulary] = [family.context(config), family.vocabulary(config)];
  const built = stepProgram(model);
  const stepper = await openStepper(model, device, built, family.states(config), signal);

  async function prefill(prompts: readonly Prompt[], signal?: AbortSignal) {
    const texts = prompts.map(tokensOf);
    const longest = Math.max(...texts.map((text) => text.length));
    checkTexts(texts, { longest, context, vocabulary });
    const padding = texts.map((text) => longest - text.length);
    const padded = texts.map((text, i) => [...new Array<number>(padding[i]).fill(0), ...text]);
    const capacity = longest + HEADROOM;
    const cache = await stepper.cache({ batch: texts.length, capacity, limit: context, padding });
    try {
      const pieces = Math.ceil(longest / PIECE);
      const bounds = Array.from({ length: pieces + 1 }, (_, i) =>
        Math.round((i * longest) / pieces),
      );
      const read = (i: number) =>
        stepper.step(
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

  const { step, dispose } = stepper;
  return {
    model,
    device,
    context,
    start: tokensOf,
    prefill,
    step,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function tokensOf(prompt: Prompt): readonly number[] {
  if (!(prompt instanceof Float32Array)) return prompt;
  throw new AnyformerError('decode/source', {
    what: 'the model continues texts, and was given sound',
    expected: 'a text or token ids',
    found: `${prompt.length} samples`,
  });
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
  for (const text of texts) checkTokens(text, vocabulary);
}
