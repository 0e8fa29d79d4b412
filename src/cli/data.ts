// The texts that a model is measured on: the user's file, or the small ones that come with the
// package.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { baseName, hashFile, readChunks } from '#platform';
import { readLabelled } from '../data/labelled.js';
import { readTexts } from '../data/lines.js';
import type { QualityData } from '../optimize/quality.js';
import { AnyformerError } from '../tensor/error.js';

/** Formats that one would expect to work, and that would be read as garbage. */
const OTHERS = /\.(csv|jsonl?|parquet|xlsx?|gz|zip)$/i;

/** Errors: `data/...` only, so that all of them are told apart from failures of the program. */
export async function readData(path: string): Promise<QualityData> {
  const name = baseName(path);
  if (OTHERS.test(name)) {
    throw new AnyformerError('data/format', {
      what: `${path} is in a format that is not read`,
      expected: 'a text file with one text a line, or label<TAB>text a line in a .tsv file',
      found: name.slice(name.lastIndexOf('.')),
      hint: 'save the texts in one of these forms',
    });
  }
  try {
    const { sha256 } = await hashFile(path);
    if (!/\.tsv$/i.test(name)) return { name, sha256, texts: await readTexts(path) };
    const labelled = await readLabelled(path);
    return { name, sha256, texts: labelled.texts, labelled };
  } catch (error) {
    if (!(error instanceof AnyformerError) || !error.code.startsWith('file/')) throw error;
    const { what, expected, found, hint } = error;
    throw new AnyformerError(error.code.replace('file/', 'data/'), {
      what: `--data: ${what}`,
      expected,
      found,
      hint,
      cause: error,
    });
  }
}

const shipped = (name: string): string =>
  fileURLToPath(new URL(`../../data/${name}`, import.meta.url));

/** The sentences that come with the package, and with `labelled` the labelled ones too. */
export async function shippedData({ labelled }: { labelled: boolean }): Promise<QualityData> {
  const names = labelled ? ['sentences.txt', 'periods.tsv'] : ['sentences.txt'];
  const hash = createHash('sha256');
  for (const name of names) for await (const bytes of readChunks(shipped(name))) hash.update(bytes);
  return {
    name: names.join(' + '),
    sha256: hash.digest('hex'),
    texts: await readTexts(shipped('sentences.txt')),
    ...(labelled ? { labelled: await readLabelled(shipped('periods.tsv')) } : {}),
  };
}

/** `2,000 texts, 1,200 of them labelled` in words for notes. */
export function describeData({ texts, labelled, name }: QualityData): string {
  const count = (value: number) => value.toLocaleString('en-US');
  const classes =
    labelled && `${count(labelled.texts.length)} labelled in ${labelled.classes.length} classes`;
  const all =
    labelled?.texts === texts
      ? classes
      : [`${count(texts.length)} texts`, classes].filter(Boolean).join(', and ');
  return `${name}: ${all}`;
}
