// Speech to text, of any length: pieces of at most half a minute, cut where it is quiet, each read and
// written down by itself. Words that a cut would split are not mended.
import { isEncoderDecoder, wrongKind } from '../models/model.js';
import { AnyformerError } from '../tensor/index.js';
import type { Decoder } from './decoder.js';
import { generate } from './generate.js';
import { quietCuts } from './quiet-cuts.js';

/** Speech models are trained on clips of up to about half a minute. */
const MOST_SECONDS = 30;
const SEARCH_SECONDS = 10;
const LEAST_SECONDS = 1;
const WINDOW_SECONDS = 0.2;
/** Nobody speaks faster: what goes on is a model that repeats itself (Jeffries et al. 2024). */
const TOKENS_A_SECOND = 6.5;

export type TranscribedPiece = {
  /** Seconds from the beginning. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly ids: readonly number[];
};

export type TranscribeOptions = {
  signal?: AbortSignal | undefined;
  /** Told of text as it comes; pieces are separated by spaces. */
  heard?: ((text: string) => void) | undefined;
};

/**
 * Writes down samples of one channel in [-1, 1] at the model's rate. Errors: `models/kind` for a
 * decoder of another kind, those of `generate`.
 */
export async function* transcribe(
  decoder: Decoder,
  samples: Float32Array,
  { signal, heard }: TranscribeOptions = {},
): AsyncGenerator<TranscribedPiece, void, undefined> {
  const { rate, least } = audioOf(decoder);
  const pieces = quietCuts(samples, {
    most: MOST_SECONDS * rate,
    search: SEARCH_SECONDS * rate,
    least: Math.max(least, LEAST_SECONDS * rate),
    window: WINDOW_SECONDS * rate,
  });
  for (const [i, [start, end]] of pieces.entries()) {
    const seconds = (end - start) / rate;
    const maxNewTokens = Math.ceil(TOKENS_A_SECOND * seconds) + 1;
    const ids: number[] = [];
    let text = '';
    for await (const step of generate(decoder, samples.subarray(start, end), {
      signal,
      maxNewTokens,
    })) {
      if (text === '' && step.text !== '' && i > 0) heard?.(' ');
      ids.push(step.id);
      text += step.text;
      if (step.text !== '') heard?.(step.text);
    }
    yield { start: start / rate, end: end / rate, text: text.trim(), ids };
  }
}

/** How sound enters the decoder's model. Errors: `models/kind`. */
export function audioOf({ model }: Pick<Decoder, 'model'>): { rate: number; least: number } {
  if (!isEncoderDecoder(model) || model.family.source !== 'audio') {
    throw wrongKind(model, 'speech-to-text model');
  }
  return model.family.audio(model.config);
}

/** Errors: `decode/tokenizer` for a model that cannot write text. */
export function checkTokenizer({ name, tokenizer }: Decoder['model']): void {
  if (tokenizer) return;
  throw new AnyformerError('decode/tokenizer', {
    what: `'${name}' has no tokenizer, so its tokens have no text`,
    expected: 'tokenizer.json beside the weights',
    found: 'none',
  });
}
