// The texts that `evaluate` reads: those of its options, else those that the model's training.json
// held out and learned from.
import { exists, folderOf, joinPath } from '#platform';
import { type DocumentRule, readDocuments } from '../data/documents.js';
import { partOf } from '../data/held-out.js';
import { ownFolder } from '../models/resolve.js';
import { AnyformerError } from '../tensor/error.js';
import type { EvaluateOptions } from './commands/evaluate.js';
import { splitFiles } from './text-sources.js';
import { readTrainConfig, type TrainConfig } from './train-config.js';

type Documents = () => AsyncIterable<string>;

export type EvaluationTexts = {
  readonly held: Documents;
  /** What the baselines learn from, where they are asked for. */
  readonly train: Documents | undefined;
  /** Where the choice comes from. */
  readonly says: string;
};

/** Errors: `usage/data`, `usage/baselines` where nothing says which texts; those of the files. */
export async function evaluationTexts(
  model: string,
  { data, documents, baselines }: EvaluateOptions,
): Promise<EvaluationTexts> {
  const path = await trainingFile(model);
  const config = path === undefined ? undefined : await readTrainConfig(path);
  const rule = documents ?? config?.data.documents ?? 'file';
  const own = Array.isArray(baselines) ? baselines : undefined;
  if (data) {
    const learned = own ?? (baselines ? config?.data.train : []);
    if (!learned) throw nothingToLearn(model);
    const files = learned.length > 0 ? await splitFiles(learned, data) : undefined;
    return {
      held: () => readDocuments(files?.heldOut ?? [...data], rule),
      train: files && (() => readDocuments(files.train, rule)),
      says: data.length === 1 ? data[0] : `${data.length} files`,
    };
  }
  if (!config) {
    throw new AnyformerError('usage/data', {
      what: 'nothing says which texts to evaluate on',
      expected: `--data FILE, or a training.json in ${model} or beside it`,
      found: 'neither',
    });
  }
  const chosen = await trainedOn(config, rule, own);
  return { ...chosen, train: baselines ? chosen.train : undefined, says: `held out by ${path}` };
}

/** In the model's folder or beside it, where `train` writes it. */
async function trainingFile(model: string): Promise<string | undefined> {
  const own = ownFolder(model) ?? model;
  for (const folder of [own, folderOf(own)]) {
    const path = joinPath(folder, 'training.json');
    if (await exists(path)) return path;
  }
  return undefined;
}

async function trainedOn(
  { data, seed }: TrainConfig,
  rule: DocumentRule,
  own: readonly string[] | undefined,
): Promise<{ held: Documents; train: Documents }> {
  const { heldOut, train } = data;
  if (Array.isArray(heldOut)) {
    const files = await splitFiles(own ?? train, heldOut);
    return {
      held: () => readDocuments(files.heldOut, rule),
      train: () => readDocuments(files.train, rule),
    };
  }
  if (heldOut === undefined || heldOut === 0) {
    throw new AnyformerError('usage/data', {
      what: 'the training of this model held nothing out',
      expected: '--data FILE',
      found: 'no data.heldOut in its training.json',
    });
  }
  const files = await splitFiles(train, []);
  const part = (held: boolean) => () =>
    partOf(readDocuments(files.train, rule), { share: heldOut, seed, held });
  const learned = own && (await splitFiles(own, [])).train;
  return {
    held: part(true),
    train: learned ? () => readDocuments(learned, rule) : part(false),
  };
}

const nothingToLearn = (model: string): AnyformerError =>
  new AnyformerError('usage/baselines', {
    what: 'nothing says which texts the baselines learn from',
    expected: `--baselines FILE..., or a training.json in ${model} or beside it`,
    found: 'neither',
  });
