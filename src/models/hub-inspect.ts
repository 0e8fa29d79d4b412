// A model of the Hub without its weights: config and the headers of its weight files, read by range.
// Enough to build its graph and to say what it costs; its numbers cannot be read.
import { AnyformerError } from '../tensor/error.js';
import { fileStore, type WeightStore } from './checkpoint.js';
import { parseConfig } from './config-file.js';
import { accessOf, type HubOptions, type HubPlan, planHubModel } from './hub.js';
import { addressOf, readHubRange } from './hub-file.js';
import type { HubFile } from './hub-listing.js';
import { type HubReference, showReference } from './hub-reference.js';
import type { HubAccess } from './hub-request.js';
import { CONFIG } from './hub-select.js';
import { hubSettings } from './hub-settings.js';
import { createModel, type Model } from './model.js';
import { headerLength, parseSafetensorsHeader } from './safetensors-header.js';
import type { SafetensorsEntry } from './safetensors-rules.js';

/** Most headers fit, so that most files take one request. */
const FIRST_BYTES = 1 << 16;

/** Errors: those of `planHubModel`, of headers (`safetensors/*`) and of configs. */
export async function remoteModel(
  reference: HubReference,
  options: HubOptions = {},
): Promise<{ model: Model; plan: HubPlan }> {
  const access = accessOf(hubSettings(options.settings), options);
  const plan = await planHubModel(reference, options);
  const name = showReference(reference);
  const byPath = new Map(plan.files.map((file) => [file.path, file]));
  const configFile = byPath.get(CONFIG) as HubFile;
  const address = addressOf(plan.listing, configFile, access);
  const bytes = await readHubRange(address, 0, Math.min(configFile.bytes, 1e7 + 1), access);
  const config = parseConfig(bytes, `${CONFIG} of ${name}`);
  const entries = new Map<string, SafetensorsEntry>();
  for (const file of plan.files) {
    if (!/^[^/]+\.safetensors$/.test(file.path)) continue;
    for (const [tensor, entry] of await headerOf(plan, file, access)) entries.set(tensor, entry);
  }
  const weights = typesOnly(name, entries);
  return { model: createModel({ name, config, weights, file: `${CONFIG} of ${name}` }), plan };
}

async function headerOf({ listing }: HubPlan, file: HubFile, access: HubAccess) {
  const name = `${file.path} of ${showReference(listing.reference)}`;
  const address = addressOf(listing, file, access);
  const start = await readHubRange(address, 0, Math.min(FIRST_BYTES, file.bytes), access);
  const length = 8 + headerLength(start, file.bytes, name);
  const rest = Math.max(0, length - start.length);
  const header = new Uint8Array(start.length + rest);
  header.set(start);
  header.set(await readHubRange(address, start.length, rest, access), start.length);
  return parseSafetensorsHeader(header, file.bytes, name).entries;
}

function typesOnly(name: string, entries: ReadonlyMap<string, SafetensorsEntry>): WeightStore {
  const refuse = () =>
    Promise.reject(
      new AnyformerError('hub/types-only', {
        what: `the weights of ${name} were not downloaded`,
        expected: 'a model that resolveModel loaded',
        found: 'the headers of its files',
      }),
    );
  const opened = { path: name, entries, read: refuse, readBytes: refuse, close: async () => {} };
  return { ...fileStore(opened), file: () => undefined };
}
