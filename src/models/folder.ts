// A model as a folder: config.json, model.safetensors, tokenizer.json, tokenizer_config.json, what the
// family keeps beside them (`side-files.ts`), and quality.json for those that were compressed. Written
// whole or not at all; it loads again.
import { baseName, exists, type FolderFile, folderOf, joinPath, writeFolder } from '#platform';
import { AnyformerError } from '../tensor/index.js';
import { readChatTemplate } from './chat-template.js';
import { openCheckpoint } from './checkpoint.js';
import { checkConfig, readConfigFile } from './config-file.js';
import { float8Config } from './float8.js';
import { readJsonFile } from './json-file.js';
import { createModel, declare, type Model } from './model.js';
import { withModernNames } from './old-names.js';
import { type QualityRecord, qualityRecord } from './quality.js';
import { chunksOf, planSafetensors } from './safetensors-write.js';
import { sideFiles, withSideFiles } from './side-files.js';
import { createTokenizer, type TextTokenizer } from './tokenizer.js';
import { checkUnused } from './unused.js';

const text = new TextEncoder();
const json = (value: unknown): Uint8Array => text.encode(`${JSON.stringify(value, null, 2)}\n`);

/** The files of a model's folder, config.json last: a folder without it is not a model. */
export function modelFiles(model: Model): FolderFile[] {
  const { weights, quality, tokenizer } = model;
  const names = [...declare(model).stored.keys()];
  const types = names.map((name) => [name, weights.type(name)] as const);
  const plan = planSafetensors(types, [['format', 'pt']]);
  const files: FolderFile[] = [
    {
      name: 'model.safetensors',
      chunks: chunksOf(plan, (name) => weights.read(name)),
      bytes: plan.bytes,
    },
  ];
  if (tokenizer) {
    files.push({ name: 'tokenizer.json', chunks: json(tokenizer.files.tokenizer) });
    files.push({ name: 'tokenizer_config.json', chunks: json(tokenizer.files.config) });
  }
  if (quality) files.push({ name: 'quality.json', chunks: json(quality) });
  const { files: beside, config } = sideFiles(model);
  files.push(...beside, { name: 'config.json', chunks: json(withQuantization(config, model)) });
  return files;
}

const withQuantization = (config: object, { quantization }: Model): object =>
  quantization ? { ...config, quantization_config: quantization } : config;

export type SaveOptions = {
  overwrite?: boolean;
  /** Lowest allowed value of metrics in the quality record. */
  floor?: Readonly<Record<string, number>>;
  signal?: AbortSignal | undefined;
};

/**
 * Writes the folder. A model that was compressed must carry a quality record, and one whose record
 * lies under `floor` is refused.
 */
export async function saveModel(
  model: Model,
  path: string,
  options: SaveOptions = {},
): Promise<void> {
  checkQuality(model, options.floor ?? {});
  const { overwrite, signal } = options;
  await writeFolder(path, modelFiles(model), { overwrite, signal, last: 'config.json' });
}

/** Refuses a compressed model without a record of what it lost, and one that lost too much. */
export function checkQuality(
  { name, quantization, quality }: Model,
  floor: Readonly<Record<string, number>>,
) {
  if (quantization && !quality) {
    throw new AnyformerError('models/quality', {
      what: `'${name}' was compressed and carries no quality record`,
      expected: 'a record of its quality on some data',
      found: 'none',
      hint: 'measure it first (`measureQuality`), or compress through the command line with --data',
    });
  }
  for (const [metric, least] of Object.entries(floor)) {
    const after = quality?.metrics[metric]?.after;
    if (after !== undefined && after >= least) continue;
    throw new AnyformerError('models/quality-floor', {
      what: `'${name}' is not written: its ${metric} is below the floor`,
      expected: `${metric} >= ${least}`,
      found: after === undefined ? `no ${metric} in its record` : `${metric} ${after}`,
      hint: 'compress less, or lower the floor',
    });
  }
}

/** A model whose weights stay in an open file until it is disposed. */
export type LoadedModel = Model & AsyncDisposable;

/** A model that holds no file open. */
export const inMemory = (model: Model): LoadedModel =>
  Object.assign(model, { [Symbol.asyncDispose]: async () => {} });

export type LoadOptions = {
  /** The model's name, where the folder's is none. */
  name?: string | undefined;
  /** Links of weight files may lead as far as this folder. */
  root?: string | undefined;
};

/** Loads a model's folder. Weights are read when they are needed; dispose the model when done. */
export async function loadModelFolder(
  path: string,
  { name = baseName(path), root = hubRoot(path) }: LoadOptions = {},
): Promise<LoadedModel> {
  const file = joinPath(path, 'config.json');
  if (!(await exists(file))) {
    throw new AnyformerError('models/not-a-model', {
      what: `${path} holds no config.json`,
      expected: 'a folder with config.json and model.safetensors',
      found: (await exists(path)) ? 'neither or only a part' : 'no such folder',
    });
  }
  const config = await withSideFiles(await readConfigFile(file), path, file);
  const float8 = float8Config(
    (config as { quantization_config?: unknown } | null)?.quantization_config,
  );
  const [weights, tokenizer, quality] = await Promise.all([
    openCheckpoint(path, { float8, root }).then(withModernNames),
    readTokenizer(path),
    readQuality(path),
  ]);
  try {
    const model = createModel({ name, config, weights, tokenizer, quality, file });
    checkUnused(model, path);
    return Object.assign(model, { [Symbol.asyncDispose]: () => weights.close() });
  } catch (error) {
    await weights.close();
    throw error;
  }
}

/** A snapshot in the Hub's cache is made of links into the folder of its repository. */
function hubRoot(path: string): string | undefined {
  const snapshots = folderOf(path);
  const repository = folderOf(snapshots);
  const isSnapshot =
    baseName(snapshots) === 'snapshots' && baseName(repository).startsWith('models--');
  return isSnapshot ? repository : undefined;
}

const TOKENIZER_LIMITS = { code: 'tokenizer', maxBytes: 100_000_000 };

async function readTokenizer(path: string): Promise<TextTokenizer | undefined> {
  const file = joinPath(path, 'tokenizer.json');
  if (!(await exists(file))) return undefined;
  const tokenizer = (await readJsonFile(file, TOKENIZER_LIMITS)) as object;
  const configFile = joinPath(path, 'tokenizer_config.json');
  const given = (await exists(configFile)) ? await readJsonFile(configFile, TOKENIZER_LIMITS) : {};
  const template = await readChatTemplate(path);
  const config = {
    ...(given as object),
    ...(template === undefined ? {} : { chat_template: template }),
  };
  return createTokenizer({ tokenizer, config }, file);
}

async function readQuality(path: string): Promise<QualityRecord | undefined> {
  const file = joinPath(path, 'quality.json');
  if (!(await exists(file))) return undefined;
  return checkConfig(qualityRecord, await readConfigFile(file), file);
}
