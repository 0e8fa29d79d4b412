// Fixtures of tests/fixtures: a config.json, weights, and what an independent reference (tests/golden)
// makes of some inputs with them.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { memoryStore, openCheckpoint } from '../../src/models/checkpoint.js';
import { createModel, type Model } from '../../src/models/model.js';
import { type NDArray, toNumbers } from '../../src/tensor/index.js';

export type Golden = {
  /** What the model's whole program is fed, and what it must give. */
  inputs: Record<string, NDArray>;
  outputs: Record<string, NDArray>;
  /** Of decoders: the tokens that follow, each the best of its scores. */
  greedy: number[];
};

export type Fixture = {
  config: Record<string, unknown>;
  weights: ReadonlyMap<string, NDArray>;
  goldens: readonly Golden[];
  /** A model of the weights, under another config or other weights where given. */
  model(change?: { config?: unknown; weights?: ReadonlyMap<string, NDArray> }): Model;
};

const place = (file: string) => fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));

export async function readFixture(name: string): Promise<Fixture> {
  const config = JSON.parse(await readFile(place(`${name}.json`), 'utf8'));
  await using file = await openCheckpoint(place(`${name}.safetensors`));
  const weights = new Map<string, NDArray>();
  const goldens: Golden[] = [];
  for (const key of file.names()) {
    const array = await file.read(key);
    const [, at, kind, of] = /^golden\.(\d+)\.(input|output|greedy)\.?(.*)$/.exec(key) ?? [];
    if (at === undefined) {
      weights.set(key, array);
      continue;
    }
    goldens[Number(at)] ??= { inputs: {}, outputs: {}, greedy: [] };
    const golden = goldens[Number(at)];
    if (kind === 'input') golden.inputs[of] = array;
    else if (kind === 'output') golden.outputs[of] = array;
    else golden.greedy = [...toNumbers(array)];
  }
  return {
    config,
    weights,
    goldens,
    model: (change = {}) =>
      createModel({
        name,
        config: change.config ?? config,
        weights: memoryStore(change.weights ?? weights),
      }),
  };
}
