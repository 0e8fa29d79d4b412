// Steps of a compiled model against a cache: what decoders and encoder-decoders have in common.

import type { Built, Model } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { Device, Program } from '../runtime/index.js';
import { AnyformerError, fromNumbers, type NDArray } from '../tensor/index.js';
import { type Cache, type CacheOptions, copyGraph, type LayerStates, openCache } from './cache.js';

export type Stepper = {
  /** A cache of the model's states, with room for `CacheOptions.capacity` places. */
  cache(options: CacheOptions): Promise<Cache>;
  /** Appends as many tokens to each text: the scores after the last, f32[batch, vocabulary]. */
  step(
    tokens: readonly (readonly number[])[],
    cache: Cache,
    signal?: AbortSignal,
  ): Promise<NDArray>;
  dispose(): Promise<void>;
};

/** Compiles a step program: input_ids, lengths, padding and the cache's buffers -> logits and rows. */
export async function openStepper(
  model: Model,
  device: Device,
  built: Built,
  states: LayerStates,
  signal?: AbortSignal,
): Promise<Stepper> {
  const parameters = await programParameters(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  let copier: Promise<Program> | undefined;
  return {
    cache: (options) =>
      openCache(device, states, () => (copier ??= device.compile(copyGraph(states))), options),
    async step(tokens, cache, signal) {
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
    },
    async dispose() {
      await program.dispose();
      await copier?.then(
        (copy) => copy.dispose(),
        () => {},
      );
    },
  };
}

/** Errors: `decode/token` for what is no token of the model. */
export function checkTokens(ids: readonly number[], vocabulary: number): void {
  for (const id of ids) {
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    throw new AnyformerError('decode/token', {
      what: `${id} is not a token of the model`,
      expected: `whole numbers from 0 to ${vocabulary - 1}`,
      found: String(id),
      hint: 'encode the text with the tokenizer of this model',
    });
  }
}
