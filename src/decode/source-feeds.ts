// Sources as the inputs of an encoder: texts or sound, checked, padded on the right.
import { feedsOf } from '../models/encoder.js';
import type { EncoderDecoderFamily } from '../models/family.js';
import type { Model } from '../models/model.js';
import { AnyformerError, fromNumbers, type NDArray, ndarray } from '../tensor/index.js';
import type { Prompt } from './decoder.js';
import { checkTokens } from './stepper.js';

type Config = Model['config'];

/**
 * The inputs of `sourceMemory`. Errors: `decode/empty`, `decode/source` for a text in the place of
 * sound or the reverse, `decode/context`, `decode/token`, `decode/audio`.
 */
export function sourceFeeds(
  family: EncoderDecoderFamily<Config>,
  config: Config,
  sources: readonly Prompt[],
): Record<string, NDArray> {
  if (sources.length === 0) throw nothing('no source');
  if (family.source === 'audio') {
    const { least, rate } = family.audio(config);
    return audioFeeds(sources.map((source) => samplesOf(source, least, rate)));
  }
  const [most, vocabulary] = [family.sourceContext(config), family.vocabulary(config)];
  const texts = sources.map((source) => tokensOf(source, most, vocabulary));
  return feedsOf([...texts.keys()], texts);
}

function tokensOf(source: Prompt, most: number, vocabulary: number): readonly number[] {
  if (source instanceof Float32Array) {
    throw new AnyformerError('decode/source', {
      what: 'the model reads texts, and was given sound',
      expected: 'a text or token ids',
      found: `${source.length} samples`,
    });
  }
  if (source.length === 0) throw nothing('a source without tokens');
  if (source.length > most) {
    throw new AnyformerError('decode/context', {
      what: 'the source is longer than what the model can read',
      expected: `at most ${most} tokens`,
      found: `${source.length} tokens`,
      hint: 'shorten the source, or take a model with a longer context',
    });
  }
  checkTokens(source, vocabulary);
  return source;
}

function samplesOf(source: Prompt, least: number, rate: number): Float32Array {
  if (!(source instanceof Float32Array)) {
    throw new AnyformerError('decode/source', {
      what: 'the model reads sound, and was given a text',
      expected: `samples of one channel, ${rate} a second, as a Float32Array`,
      found: `${source.length} tokens`,
    });
  }
  if (source.length < least) {
    throw new AnyformerError('decode/audio', {
      what: 'the sound is too short to hold anything',
      expected: `at least ${least} samples, ${((1000 * least) / rate).toFixed(0)} ms`,
      found: `${source.length} samples`,
    });
  }
  const wrong = source.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return source;
  throw new AnyformerError('decode/audio', {
    what: `sample ${wrong} of the sound is not finite`,
    expected: 'numbers in [-1, 1]',
    found: String(source[wrong]),
  });
}

/** input_values f32[batch, longest], sample_counts i64[batch]. */
function audioFeeds(sources: readonly Float32Array[]): Record<string, NDArray> {
  const longest = Math.max(...sources.map(({ length }) => length));
  const values = new Float32Array(sources.length * longest);
  for (const [i, samples] of sources.entries()) values.set(samples, i * longest);
  return {
    input_values: ndarray('f32', [sources.length, longest], values),
    sample_counts: fromNumbers(
      'i64',
      [sources.length],
      sources.map(({ length }) => length),
    ),
  };
}

const nothing = (found: string): AnyformerError =>
  new AnyformerError('decode/empty', {
    what: 'there is nothing to read',
    expected: 'at least one token in each source',
    found,
  });
