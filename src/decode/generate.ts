// Generation, token by token: read the prompt once, then one step a token against the cache. An async
// iterable; leaving the loop early, or aborting, frees what it holds on the device.
import { generationOf } from '../models/generation-config.js';
import type { Model } from '../models/model.js';
import type { Device } from '../runtime/index.js';
import { AnyformerError, type NDArray, uniformAt } from '../tensor/index.js';
import { type Decoder, openDecoder, type Prompt } from './decoder.js';
import { checkOptions, type GenerationOptions, type HuggingFaceOptions } from './options.js';
import { best, draw } from './sample.js';
import { streamText } from './stream-text.js';

export type GenerationStep = {
  id: number;
  /** What the token adds to the text; empty while a character is not whole. All pieces join to it. */
  text: string;
  /** Natural logarithm of the model's probability of the token. */
  logprob: number;
  /** On the last step: an end token, `maxNewTokens` reached, or no place left in the context. */
  finish: 'eos' | 'length' | 'context' | undefined;
};

export type GenerateOptions = GenerationOptions &
  HuggingFaceOptions & {
    /** Where to run a model; a decoder has its own. */
    device?: Device;
    signal?: AbortSignal | undefined;
  };

/**
 * Continues a prompt: text, or token ids as they are. With an encoder-decoder the prompt is the source
 * that its target is written for: text, token ids, or samples of sound. A model is compiled for this
 * text alone; a decoder from `openDecoder` serves many.
 *
 * Errors: `decode/context` (prompt longer than the context), `decode/empty`, `decode/token`,
 * `decode/source`, `decode/audio`, `decode/option`, `decode/tokenizer`, `decode/device`, `decode/not-finite`, those of the device; on
 * abort the signal's reason.
 */
export async function* generate(
  source: Model | Decoder,
  prompt: string | Prompt,
  options: GenerateOptions = {},
): AsyncGenerator<GenerationStep, void, undefined> {
  const { device, signal, ...rest } = options;
  const given = 'prefill' in source ? source : undefined;
  const model = 'prefill' in source ? source.model : source;
  const checked = checkOptions(rest, generationOf(model).eos_token_id);
  const read = promptOf(model, prompt);
  signal?.throwIfAborted();
  const decoder = given ?? (await openDecoder(model, deviceOf(device), { signal }));
  try {
    yield* continued(decoder, read, checked, signal);
  } finally {
    if (!given) await decoder.dispose();
  }
}

async function* continued(
  decoder: Decoder,
  prompt: Prompt,
  { maxNewTokens, sampling, seed, eosTokenIds }: ReturnType<typeof checkOptions>,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerationStep, void, undefined> {
  const { tokenizer } = decoder.model;
  const { logits, cache } = await decoder.prefill([prompt], signal);
  try {
    const stream = tokenizer && streamText(tokenizer, decoder.start(prompt));
    let scores = scoresOf(logits);
    for (let count = 1; ; count++) {
      const { id, logprob } = sampling
        ? draw(scores, sampling, uniformAt(seed, count))
        : best(scores);
      const finish = eosTokenIds.has(id)
        ? 'eos'
        : count >= maxNewTokens
          ? 'length'
          : cache.length >= decoder.context
            ? 'context'
            : undefined;
      yield { id, text: stream?.push(id, finish !== undefined) ?? '', logprob, finish };
      if (finish) return;
      signal?.throwIfAborted();
      scores = scoresOf(await decoder.step([[id]], cache, signal));
    }
  } finally {
    await cache.dispose();
  }
}

/** The first text's scores. */
const scoresOf = ({ data, shape }: NDArray): Float32Array =>
  (data as Float32Array).subarray(0, shape[1]);

function promptOf({ name, tokenizer }: Model, prompt: string | Prompt): Prompt {
  if (typeof prompt !== 'string') return prompt;
  if (tokenizer) return tokenizer.encode(prompt);
  throw new AnyformerError('decode/tokenizer', {
    what: `'${name}' has no tokenizer`,
    expected: 'token ids as prompt',
    found: 'text',
    hint: 'put tokenizer.json and tokenizer_config.json beside the weights',
  });
}

function deviceOf(device: Device | undefined): Device {
  if (device) return device;
  throw new AnyformerError('decode/device', {
    what: 'generate needs a device to run the model on',
    expected: 'the option device, or a decoder from openDecoder',
    found: 'neither',
  });
}
