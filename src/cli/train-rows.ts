// Data of objectives over rows: labelled texts, pairs of texts. Rows are padded to their batch.
import { readLabelled } from '../data/labelled.js';
import { paddedBatches } from '../data/padded.js';
import { type Pairs, readPairs } from '../data/pairs.js';
import { type Labelled, splitLabelled } from '../data/split.js';
import { tokenize } from '../models/encoder.js';
import { isEncoder, type Model, wrongKind } from '../models/model.js';
import { AnyformerError } from '../tensor/error.js';
import { sampleIndices } from '../tensor/random.js';
import { classification, contrastive } from '../train/encoder-objectives.js';
import { withHeads } from '../train/heads.js';
import type { TextSource } from './text-sources.js';
import type { TrainConfig } from './train-config.js';
import type { Opened } from './train-data.js';
import { checkSizes, freshModel, hashJson, hashOf, openTokenizer } from './train-tokenizer.js';

async function* noTexts(): AsyncGenerator<string> {}

async function openRowModel(config: TrainConfig, given: Model | undefined) {
  const tokenizer = await openTokenizer(config, [given], noTexts, undefined);
  const model = { ...(given ?? freshModel(config, tokenizer)), tokenizer };
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  checkSizes(model, tokenizer, config.sequence);
  return model;
}

/** The one file that a key names. */
function oneFile(sources: readonly TextSource[], key: string, holds: string): string {
  const [source, ...others] = sources;
  if (typeof source === 'string' && others.length === 0) return source;
  throw new AnyformerError('config/data', {
    what: `the key data.${key}`,
    expected: `one .tsv file of ${holds}`,
    found: typeof source === 'string' ? `${sources.length} files` : 'a data set of texts',
  });
}

/** Rows to learn from and to judge by: a share of `all`, or rows of a file of their own. */
async function splitRows<Rows>(
  { heldOut }: TrainConfig['data'],
  all: Rows,
  {
    holds,
    split,
    read,
  }: {
    holds: string;
    split(share: number): { train: Rows; test: Rows };
    read(path: string): Promise<Rows>;
  },
): Promise<{ train: Rows; test: Rows | undefined }> {
  if (typeof heldOut === 'number' && heldOut > 0) return split(heldOut);
  if (!Array.isArray(heldOut)) return { train: all, test: undefined };
  return { train: all, test: await read(oneFile(heldOut, 'heldOut', holds)) };
}

/** Classification: a class for each text. */
export async function openLabelled(
  config: TrainConfig & { objective: { type: 'classification' } },
  given: Model | undefined,
): Promise<Opened> {
  const { data, batch, sequence, seed } = config;
  const holds = 'labels and texts for classification';
  const file = oneFile(data.train, 'train', holds);
  const model = await openRowModel(config, given);
  const all = await readLabelled(file);
  const { train, test } = await splitRows(data, all, {
    holds,
    split: (share) => splitLabelled(all, { test: share, seed }),
    read: (path) => sameClasses(path, all),
  });
  const rows = ({ texts, labels }: Labelled) => ({
    ids: tokenize(model, texts, { most: sequence }),
    labels,
  });
  const { smoothing } = config.objective;
  const objective = classification({ classes: all.classes.length, smoothing });
  return {
    model: withHeads(model, objective, { seed }),
    objective,
    batches: paddedBatches(rows(train), { batch, seed }),
    heldOut: test && paddedBatches(rows(test), { batch, ordered: true }),
    classes: all.classes,
    head: true,
    hashes: { rows: await hashJson(train), tokenizer: await hashOf(model.tokenizer) },
    notes: [`data: ${train.texts.length} texts in ${all.classes.length} classes`],
  };
}

/** Held-out rows numbered as the training classes are. Errors: `data/label` for another class. */
async function sameClasses(path: string, { classes }: Labelled): Promise<Labelled> {
  const data = await readLabelled(path, { minPerClass: 1, minRows: 1 });
  const numbers = data.classes.map((name) => classes.indexOf(name));
  const unknown = numbers.indexOf(-1);
  if (unknown !== -1) {
    throw new AnyformerError('data/label', {
      what: `${path} has a label that the training data do not have`,
      expected: classes.join(', '),
      found: data.classes[unknown],
    });
  }
  return { texts: data.texts, labels: data.labels.map((label) => numbers[label]), classes };
}

/** Contrastive: two texts that belong together. */
export async function openPairs(
  config: TrainConfig & { objective: { type: 'contrastive' } },
  given: Model | undefined,
): Promise<Opened> {
  const { data, batch, sequence, seed } = config;
  const holds = 'pairs of texts for contrastive learning';
  const file = oneFile(data.train, 'train', holds);
  const model = await openRowModel(config, given);
  const all = await readPairs(file);
  const { train, test } = await splitRows(data, all, {
    holds,
    split: (share) => splitPairs(all, share, seed),
    read: readPairs,
  });
  const cut = (texts: readonly string[]) => tokenize(model, texts, { most: sequence });
  const rows = ({ ones, others }: Pairs) => ({ ids: cut(ones), others: cut(others) });
  const { temperature } = config.objective;
  return {
    model,
    objective: contrastive({ temperature }),
    batches: paddedBatches(rows(train), { batch, seed }),
    heldOut: test && paddedBatches(rows(test), { batch, ordered: true }),
    head: false,
    hashes: { rows: await hashJson(train), tokenizer: await hashOf(model.tokenizer) },
    notes: [
      `data: ${train.ones.length} pairs`,
      ...(test ? [`held out: ${test.ones.length} pairs`] : []),
    ],
  };
}

function splitPairs(all: Pairs, share: number, seed: number): { train: Pairs; test: Pairs } {
  const rows = all.ones.length;
  const count = Math.max(1, Math.round(share * rows));
  if (rows - count < 2) {
    throw new AnyformerError('data/held-out', {
      what: `of ${rows} pairs ${count} are held out`,
      expected: 'at least two to learn from',
      found: `a share of ${share}`,
    });
  }
  const held = new Set(sampleIndices(rows, count, seed));
  const part = (wanted: boolean): Pairs => {
    const keep = (_: string, i: number) => held.has(i) === wanted;
    return { ones: all.ones.filter(keep), others: all.others.filter(keep) };
  };
  return { train: part(false), test: part(true) };
}
