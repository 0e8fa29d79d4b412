// A small language model as the files of a Hub repository, in one file of weights or in shards.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../../src/models/folder.js';
import type { Model } from '../../src/models/model.js';
import { writeSafetensors } from '../../src/models/safetensors-write.js';
import type { HubFiles } from './hub-server.js';
import { smallDecoder } from './small-models.js';

export const text = (value: string) => new TextEncoder().encode(value);

export async function tempFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'anyformer-hub-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function filesOf(folder: string): Promise<Record<string, Uint8Array>> {
  const names = await readdir(folder);
  const read = names.map(async (name) => [name, await readFile(join(folder, name))] as const);
  return Object.fromEntries(await Promise.all(read));
}

export async function modelFiles(model: Model = smallDecoder()): Promise<HubFiles> {
  await using place = await tempFolder();
  await saveModel(model, join(place.path, 'model'));
  return await filesOf(join(place.path, 'model'));
}

/** The same model, its weights cut into shards of the names given. */
export async function shardedFiles(names: readonly string[]): Promise<Record<string, Uint8Array>> {
  const model = smallDecoder();
  const { 'model.safetensors': _, ...files } = await modelFiles(model);
  await using place = await tempFolder();
  const tensors = [...model.weights.names()];
  const weight_map: Record<string, string> = {};
  const out: Record<string, Uint8Array> = { ...files };
  for (const [i, name] of names.entries()) {
    const own = tensors.filter((_, k) => k % names.length === i);
    for (const tensor of own) weight_map[tensor] = name;
    const path = join(place.path, `${i}.safetensors`);
    const types = own.map((tensor) => [tensor, model.weights.type(tensor)] as const);
    await writeSafetensors(path, { types, read: (tensor) => model.weights.read(tensor) });
    out[name] = await readFile(path);
  }
  out['model.safetensors.index.json'] = text(JSON.stringify({ metadata: {}, weight_map }));
  return out;
}

/** Every file and link below a folder, by path. */
export async function everything(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
