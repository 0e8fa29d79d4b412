// What a configuration or an option names as texts, as a list of files: a file, a folder (its .txt
// files in the order of their names), or a data set of the catalogue.
import { baseName, joinPath, list } from '#platform';
import { dataSetDocuments } from '../data/datasets.js';
import { AnyformerError } from '../tensor/error.js';

/** A path, or a data set: all its documents, or the `last` of them. */
export type TextSource = string | { readonly dataset: string; readonly last?: number | undefined };

/** The files, in the order of the sources. Errors: `data/no-set`, `data/no-rows` and the platform's. */
export async function filesOf(sources: readonly TextSource[]): Promise<string[]> {
  const files = await Promise.all(sources.map(filesOfOne));
  return files.flat();
}

async function filesOfOne(source: TextSource): Promise<string[]> {
  if (typeof source === 'string') return (await inFolder(source)) ?? [source];
  const { dataset, last } = source;
  const documents = await dataSetDocuments(dataset);
  if (last === undefined) return documents;
  if (last < documents.length) return documents.slice(-last);
  throw new AnyformerError('data/last', {
    what: `the last ${last} documents of the data set '${dataset}'`,
    expected: `fewer than its ${documents.length}`,
    found: String(last),
  });
}

/** The .txt files of a folder; undefined for what is no folder. */
async function inFolder(path: string): Promise<string[] | undefined> {
  const entries = await list(path).catch((error) => {
    if (error instanceof AnyformerError && /^file\/(kind|not-found)$/.test(error.code)) {
      return undefined; // a file, or nothing: told when it is read
    }
    throw error;
  });
  if (!entries) return undefined;
  const texts = entries.filter(({ name, kind }) => kind === 'file' && /\.txt$/i.test(name));
  if (texts.length > 0) return texts.map(({ name }) => joinPath(path, name));
  throw new AnyformerError('data/no-rows', {
    what: `the folder ${path} holds no texts`,
    expected: 'files that end in .txt',
    found: `${entries.length} others`,
  });
}

/**
 * Files to learn from and files to judge by. What a folder or a data set brings along is left out of
 * the first where it is among the second. Errors: also `config/data` for a file named in both.
 */
export async function splitFiles(
  train: readonly TextSource[],
  heldOut: readonly TextSource[],
): Promise<{ train: string[]; heldOut: string[] }> {
  const held = await filesOf(heldOut);
  const out = new Set(held);
  const both = train.find((source) => typeof source === 'string' && out.has(source));
  if (both !== undefined) {
    throw new AnyformerError('config/data', {
      what: `the file ${both} is in data.train and in data.heldOut`,
      expected: 'texts to judge by that are not learned from',
      found: baseName(String(both)),
    });
  }
  const kept = (await filesOf(train)).filter((file) => !out.has(file));
  if (kept.length > 0) return { train: kept, heldOut: held };
  throw new AnyformerError('data/held-out', {
    what: 'every file of data.train is held out',
    expected: 'some to learn from and some to judge by',
    found: `${held.length} files held out`,
  });
}
