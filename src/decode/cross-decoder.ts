// An encoder-decoder as a decoder: its prompts are sources, read once by the encoder; what is
// generated begins with the family's own first tokens. Keys and values of the memory stay on the
// device beside the cache.

import type { EncoderDecoderFamily } from '../models/family.js';
import type { Model } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { Device, DeviceBuffer } from '../runtime/index.js';
import type { LayerStates } from './cache.js';
import { crossStepProgram, memoryProgram, TARGET } from './cross-programs.js';
import type { Decoder, Prompt } from './decoder.js';
import { pastName } from './programs.js';
import { sourceFeeds } from './source-feeds.js';
import { openStepper } from './stepper.js';

/** Places of the target that a cache begins with. */
const CAPACITY = 64;

/** See `openDecoder`. */
export async function openCrossDecoder(
  model: Model & { family: EncoderDecoderFamily<Model['config']> },
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Decoder> {
  const { family, config } = model;
  const [context, start] = [family.context(config), family.start(config)];
  const states: LayerStates = family
    .states(config)
    .map((specs) =>
      Object.fromEntries(Object.entries(specs).map(([name, spec]) => [TARGET + name, spec])),
    );
  const built = memoryProgram(model);
  const parameters = await programParameters(model, built);
  const encoder = await device.compile(built.graph, { parameters, signal });
  const stepper = await openStepper(model, device, crossStepProgram(model), states, signal).catch(
    async (error) => {
      await encoder.dispose();
      throw error;
    },
  );

  /** The memory of sources on the device, under the names that steps read. */
  async function remember(
    sources: readonly Prompt[],
    signal?: AbortSignal,
  ): Promise<Record<string, DeviceBuffer>> {
    const results = await encoder.run(sourceFeeds(family, config, sources), { signal });
    const fixed: Record<string, DeviceBuffer> = {};
    try {
      for (const [name, array] of Object.entries(results)) {
        fixed[inputOf(name)] = await device.put(array);
      }
      return fixed;
    } catch (error) {
      await free(fixed);
      throw error;
    }
  }

  async function prefill(sources: readonly Prompt[], signal?: AbortSignal) {
    const batch = sources.length;
    const fixed = await remember(sources, signal);
    const options = { batch, capacity: CAPACITY, limit: context, fixed };
    const cache = await stepper.cache(options).catch(async (error) => {
      await free(fixed);
      throw error;
    });
    try {
      const logits = await stepper.step(new Array(batch).fill(start), cache, signal);
      return { logits, cache };
    } catch (error) {
      await cache.dispose();
      throw error;
    }
  }

  async function dispose(): Promise<void> {
    await Promise.all([encoder.dispose(), stepper.dispose()]);
  }

  return {
    model,
    device,
    context,
    start: () => start,
    prefill,
    step: stepper.step,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function free(buffers: Readonly<Record<string, DeviceBuffer>>): Promise<void> {
  await Promise.all(Object.values(buffers).map((buffer) => buffer.dispose()));
}

/** present.0.encoder.key -> past_key_values.0.encoder.key */
function inputOf(output: string): string {
  const [, layer, name] = /^present\.(\d+)\.(.+)$/.exec(output) ?? [];
  return layer === undefined ? output : pastName(Number(layer), name);
}
