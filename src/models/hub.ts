// Models of the Hugging Face Hub in the cache that all its libraries share: `models--org--name` with
// `blobs` (files by their digest), `refs` (the commit of a branch or tag) and `snapshots/COMMIT` (links
// to blobs under the files' names). A link is made only when its blob is whole and checked.
import { exists, fileBytes, joinPath, linkInto, readFile, safeName, writeAtomic } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import { addressOf, fetchBlob, isThere, readHubRange } from './hub-file.js';
import { type HubFile, type HubListing, listHub } from './hub-listing.js';
import { type HubReference, isCommit, showReference } from './hub-reference.js';
import type { HubAccess } from './hub-request.js';
import { CONFIG, indexOf, wantedFiles } from './hub-select.js';
import { type HubSettings, hubSettings } from './hub-settings.js';
import { parseJsonStrict } from './json-strict.js';
import { parseSafetensorsIndex } from './safetensors-index.js';

/** The events of transformers.js, for one file after the other; `ready` once, when all are there. */
export type HubProgress = {
  readonly status: 'initiate' | 'download' | 'progress' | 'done' | 'ready';
  /** `org/name`. */
  readonly name: string;
  /** Undefined with `ready`. */
  readonly file?: string;
  /** Bytes of the file, here and in all. */
  readonly loaded?: number;
  readonly total?: number;
  /** Bytes of all files together, here and in all. */
  readonly loadedAll: number;
  readonly totalAll: number;
};

export type HubOptions = {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((event: HubProgress) => void) | undefined;
  /** In place of what the environment says. */
  readonly settings?: Partial<HubSettings> | undefined;
  /** As in `HubAccess`. */
  readonly patienceMs?: number | undefined;
  readonly pauseMs?: number | undefined;
};

/** What fetching a model would take. */
export type HubPlan = {
  readonly listing: HubListing;
  readonly files: readonly HubFile[];
  /** Bytes of all files, and of those that are not in the cache. */
  readonly bytes: number;
  readonly missingBytes: number;
};

/** A model's folder in the cache; its links lead no further than `root`. */
export type HubFolder = { readonly folder: string; readonly root: string };

const MAX_INDEX_BYTES = 100_000_000;

export const rootOf = ({ cache }: HubSettings, { name }: HubReference): string =>
  joinPath(cache, `models--${name.replace('/', '--')}`);

const blobOf = (root: string, { digest }: HubFile): string => joinPath(root, 'blobs', digest.hex);

export const accessOf = (settings: HubSettings, options: HubOptions): HubAccess => {
  const { signal, patienceMs, pauseMs } = options;
  return { ...settings, signal, patienceMs, pauseMs };
};

/** Asks the Hub what a model is made of; downloads nothing but the index of a sharded one. */
export async function planHubModel(
  reference: HubReference,
  options: HubOptions = {},
): Promise<HubPlan> {
  const settings = hubSettings(options.settings);
  const access = accessOf(settings, options);
  const listing = await listHub(reference, access);
  const index = indexOf(listing);
  const shards = index ? await shardsOf(listing, index, access) : [];
  const files = wantedFiles(listing, shards);
  const root = rootOf(settings, reference);
  const sizes = files.map(async (file) =>
    (await isThere(blobOf(root, file), file)) ? 0 : file.bytes,
  );
  return {
    listing,
    files,
    bytes: sum(files.map(({ bytes }) => bytes)),
    missingBytes: sum(await Promise.all(sizes)),
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

async function shardsOf(listing: HubListing, index: HubFile, access: HubAccess) {
  const file = `${index.path} of ${showReference(listing.reference)}`;
  if (index.bytes > MAX_INDEX_BYTES) {
    throw new AnyformerError('safetensors/size', {
      what: `${file} is too big`,
      expected: `at most ${MAX_INDEX_BYTES} bytes`,
      found: `${index.bytes} bytes`,
    });
  }
  const bytes = await readHubRange(addressOf(listing, index, access), 0, index.bytes, access);
  const json = parseJsonStrict(bytes, { file, code: 'safetensors', maxBytes: MAX_INDEX_BYTES });
  return [...new Set(parseSafetensorsIndex(json, file).values())].sort();
}

/** Fetches what is not in the cache and gives the model's folder. */
export async function fetchHubPlan(
  { listing, files, bytes: totalAll }: HubPlan,
  options: HubOptions = {},
): Promise<HubFolder> {
  const settings = hubSettings(options.settings);
  const access = accessOf(settings, options);
  const { reference, commit } = listing;
  const root = rootOf(settings, reference);
  const folder = joinPath(root, 'snapshots', commit);
  let before = 0;
  for (const file of files) {
    options.signal?.throwIfAborted();
    const { path, bytes: total, digest } = file;
    const tell = (status: HubProgress['status'], loaded: number) =>
      options.progress?.({
        status,
        name: reference.name,
        file: path,
        loaded,
        total,
        loadedAll: before + loaded,
        totalAll,
      });
    const blob = blobOf(root, file);
    tell('initiate', 0);
    if (!(await isThere(blob, file))) {
      tell('download', 0);
      const lock = joinPath(
        settings.cache,
        '.locks',
        `models--${reference.name.replace('/', '--')}`,
        `${digest.hex}.anyformer.lock`,
      );
      const address = addressOf(listing, file, access);
      await fetchBlob(file, { address, blob, lock }, access, (loaded) => tell('progress', loaded));
    }
    // After the blob: a link whose blob was removed leads somewhere again.
    await linkInto(blob, await safeName(folder, path, { root }));
    tell('done', total);
    before += total;
  }
  if (reference.revision !== commit) await writeRef(root, reference.revision, commit);
  options.progress?.({ status: 'ready', name: reference.name, loadedAll: before, totalAll });
  return { folder, root };
}

async function writeRef(root: string, revision: string, commit: string): Promise<void> {
  const path = await safeName(joinPath(root, 'refs'), revision, { root });
  await writeAtomic(path, new TextEncoder().encode(commit));
}

/**
 * The folder of a Hub model, fetched if need be; with HF_HUB_OFFLINE the one in the cache. Errors:
 * `hub/*`, `file/*`, `hub/offline` for what is not in the cache.
 */
export async function hubFolder(
  reference: HubReference,
  options: HubOptions & { planned?: (plan: HubPlan) => void } = {},
): Promise<HubFolder> {
  const settings = hubSettings(options.settings);
  if (settings.offline) return await cachedFolder(reference, settings);
  const plan = await planHubModel(reference, options);
  options.planned?.(plan);
  return await fetchHubPlan(plan, options);
}

async function cachedFolder(reference: HubReference, settings: HubSettings): Promise<HubFolder> {
  const root = rootOf(settings, reference);
  const commit = await cachedCommit(root, reference.revision);
  if (commit !== undefined) {
    const folder = joinPath(root, 'snapshots', commit);
    if (await exists(joinPath(folder, CONFIG))) return { folder, root };
  }
  throw new AnyformerError('hub/offline', {
    what: `${showReference(reference)} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it`,
    expected: `a whole model in ${root}`,
    found: commit === undefined ? 'nothing of this revision' : `a part of commit ${commit}`,
    hint: 'unset HF_HUB_OFFLINE to fetch it',
  });
}

async function cachedCommit(root: string, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const path = await safeName(joinPath(root, 'refs'), revision, { root });
  if (!(await exists(path)) || (await fileBytes(path)) > 1000) return undefined;
  const commit = new TextDecoder().decode(await readFile(path)).trim();
  return isCommit(commit) ? commit : undefined;
}
