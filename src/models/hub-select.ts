// Which files of a Hub model are a model here: config, tokenizer, chat template, pooling, weights as
// safetensors (one file or an index and its shards). Everything else stays where it is. Pure.
import { checkName } from '#platform';
import { AnyformerError } from '../tensor/error.js';
import type { HubFile, HubListing } from './hub-listing.js';
import { showReference } from './hub-reference.js';
import { printable } from './json-strict.js';

export const CONFIG = 'config.json';
export const SINGLE = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';

const PLAIN = new Set([
  'generation_config.json',
  'quality.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
  'preprocessor_config.json',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
]);
/** Modules of sentence-transformers: `1_Pooling/config.json`, `2_Dense/model.safetensors`. */
const MODULES = /^\d+_[A-Za-z]+\/(config\.json|model\.safetensors)$/;

/** The index of a sharded model, where the weights are not in one file. Errors: `hub/no-weights`. */
export function indexOf(listing: HubListing): HubFile | undefined {
  const { files } = listing;
  if (files.has(SINGLE)) return undefined;
  const index = files.get(INDEX);
  if (index) return index;
  const others = [...files.keys()].filter((path) => /\.(bin|pt|ckpt|h5|gguf|onnx)$/i.test(path));
  throw new AnyformerError('hub/no-weights', {
    what: `${showReference(listing.reference)} has no weights that are read here`,
    expected: `${SINGLE} or ${INDEX}`,
    found:
      others.length > 0
        ? others
            .slice(0, 5)
            .map((p) => printable(p))
            .join(', ')
        : 'neither',
    hint: others.some((path) => /\.(bin|pt|ckpt)$/i.test(path))
      ? 'pickles run code when loaded; look for a revision with safetensors, or ask the author'
      : undefined,
  });
}

/**
 * The files to fetch, `config.json` last: a folder without it is no model yet. `shards` are the names
 * in the index, as it has them. Errors: `hub/no-config`, `hub/missing-shards`, `file/name`.
 */
export function wantedFiles(listing: HubListing, shards: readonly string[]): HubFile[] {
  const { files, reference } = listing;
  const config = files.get(CONFIG);
  if (!config) {
    throw new AnyformerError('hub/no-config', {
      what: `${showReference(reference)} holds no ${CONFIG}`,
      expected: 'a model in the format of Hugging Face transformers',
      found: `${files.size} other files`,
    });
  }
  for (const shard of shards) checkName(shard);
  const missing = shards.filter((shard) => !files.has(shard));
  if (missing.length > 0) {
    throw new AnyformerError('hub/missing-shards', {
      what: `${showReference(reference)}: ${missing.length} of ${shards.length} files of the index are not there`,
      expected: 'every file that the index names',
      found: `no ${missing
        .slice(0, 20)
        .map((name) => printable(name))
        .join(', ')}`,
      hint: 'the upload is not finished, or the index belongs to another revision',
    });
  }
  const weights = shards.length > 0 ? [INDEX, ...shards] : [SINGLE];
  const small = [...files.keys()].filter((path) => PLAIN.has(path) || MODULES.test(path));
  const names = [...small, ...weights];
  refuseCollisions([...names, CONFIG]);
  return [...names.flatMap((name) => files.get(name) ?? []), config];
}

/** Names that differ in case only are one file on Windows and macOS. */
function refuseCollisions(names: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    checkName(name);
    const key = name.normalize('NFC').toLowerCase();
    const other = seen.get(key);
    if (other !== undefined) {
      throw new AnyformerError('file/name', {
        what: `${printable(other)} and ${printable(name)} are one file on some systems`,
        expected: 'names that differ in more than their case',
        found: printable(name),
      });
    }
    seen.set(key, name);
  }
}
