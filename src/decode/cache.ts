// The memory of decoding: one buffer on the device for each tensor that a layer keeps. New rows are
// written where they belong; nothing else moves. When the places run out, larger buffers take over,
// their capacity growing by half: steps read the whole capacity, so doubling would cost them more than
// it saves in copies.
import type { StateSpec } from '../mixers/mixer.js';
import type { Device, DeviceBuffer, Program, RowTarget } from '../runtime/index.js';
import { AnyformerError, type Graph, graph, input } from '../tensor/index.js';
import { pastName, presentName } from './programs.js';

/** What each layer keeps, by name. */
export type LayerStates = readonly Readonly<Record<string, StateSpec>>[];

export type CacheOptions = {
  batch: number;
  /** Places to begin with. */
  capacity: number;
  /** More places than this are refused: the model's context. */
  limit: number;
  /** Places at the beginning of each row that hold no token. */
  padding?: readonly number[];
  /** What steps read besides and never changes, by input; the cache's own from now on. */
  fixed?: Readonly<Record<string, DeviceBuffer>> | undefined;
};

export type Cache = AsyncDisposable & {
  readonly batch: number;
  readonly padding: readonly number[];
  /** Places that are filled, in every row. */
  readonly length: number;
  readonly capacity: number;
  /** The buffers under the names that a step reads. */
  feeds(): Record<string, DeviceBuffer>;
  /** Where a run writes its rows: after the filled places. */
  targets(): Record<string, RowTarget>;
  /** Makes room for `count` more places. */
  reserve(count: number, signal?: AbortSignal): Promise<void>;
  /** Counts `count` places as filled, once a run has written them. */
  advance(count: number): void;
  dispose(): Promise<void>;
};

const GROWTH = 1.5;

type Entry = { past: string; present: string; spec: StateSpec; buffer: DeviceBuffer };

/** `copier`: the compiled `copyGraph` of the same states. */
export async function openCache(
  device: Device,
  states: LayerStates,
  copier: () => Promise<Program>,
  options: CacheOptions,
): Promise<Cache> {
  const { batch, limit, padding = new Array<number>(batch).fill(0), fixed = {} } = options;
  const wanted = states.flatMap((specs, layer) =>
    Object.entries(specs).map(([name, spec]) => ({
      past: pastName(layer, name),
      present: presentName(layer, name),
      spec,
    })),
  );
  let length = 0;
  let capacity = Math.min(options.capacity, limit);
  let entries = await allocate(capacity);
  let live = true;

  /** All of them, or none and the reason. */
  async function allocate(places: number): Promise<Entry[]> {
    const made = await Promise.allSettled(
      wanted.map(async (entry): Promise<Entry> => {
        const shape = entry.spec.shape.map((size) =>
          size === 'batch' ? batch : size === 'capacity' ? places : size,
        );
        return { ...entry, buffer: await device.allocate('f32', shape) };
      }),
    );
    const done = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = made.find((one) => one.status === 'rejected');
    if (!failed) return done;
    await free(done);
    throw failed.reason;
  }

  const feeds = (from: readonly Entry[]) =>
    Object.fromEntries(from.map(({ past, buffer }) => [past, buffer]));
  const targets = (to: readonly Entry[], start: number) =>
    Object.fromEntries(
      to.map(({ present, spec: { axis }, buffer }) => [present, { buffer, axis, start }]),
    );

  async function grow(places: number, signal?: AbortSignal): Promise<void> {
    const larger = await allocate(places);
    try {
      if (length > 0) {
        const copy = await copier();
        await copy.run(feeds(entries), { into: targets(larger, 0), signal });
      }
    } catch (error) {
      await free(larger);
      throw error;
    }
    const before = entries;
    [entries, capacity] = [larger, places];
    await free(before);
  }

  async function dispose(): Promise<void> {
    if (!live) return;
    live = false;
    await Promise.all([free(entries), ...Object.values(fixed).map((one) => one.dispose())]);
  }

  return {
    batch,
    padding,
    get length() {
      return length;
    },
    get capacity() {
      return capacity;
    },
    feeds: () => ({ ...fixed, ...feeds(entries) }),
    targets: () => targets(entries, length),
    async reserve(count, signal) {
      const needed = length + count;
      if (needed > limit) {
        throw new AnyformerError('decode/context', {
          what: 'the text grows beyond what the model can hold',
          expected: `at most ${limit} tokens`,
          found: `${needed} tokens`,
        });
      }
      if (needed <= capacity) return;
      const ample = Math.max(needed, Math.ceil(GROWTH * capacity));
      await grow(Math.min(ample, limit), signal);
    },
    advance(count) {
      length += count;
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function free(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.map(({ buffer }) => buffer.dispose()));
}

/** Every state as it is, to be written as the first rows of a larger buffer. */
export function copyGraph(states: LayerStates): Graph {
  const outputs = states.flatMap((specs, layer) =>
    Object.entries(specs).map(([name, { shape }]) => [
      presentName(layer, name),
      input(pastName(layer, name), 'f32', shape),
    ]),
  );
  return graph(Object.fromEntries(outputs));
}
