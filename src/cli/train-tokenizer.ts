// The tokenizer and the fresh model of a training configuration, and whether the two fit.
import { exists, joinPath, sha256 } from '#platform';
import { trainBpe } from '../data/bpe.js';
import { byteTokenizer, END_OF_TEXT, endOfText, MASK, vocabularySize } from '../data/byte-level.js';
import { initialModel } from '../models/initial.js';
import { readJsonFile } from '../models/json-file.js';
import type { Model } from '../models/model.js';
import { createTokenizer, type TextTokenizer } from '../models/tokenizer.js';
import { AnyformerError } from '../tensor/error.js';
import type { TrainConfig } from './train-config.js';

/** `models`: those that may bring a tokenizer along, the first first. */
export async function openTokenizer(
  { tokenizer, objective }: TrainConfig,
  models: readonly (Model | undefined)[],
  texts: () => AsyncIterable<string>,
  signal: AbortSignal | undefined,
): Promise<TextTokenizer> {
  const special = objective.type === 'masked-lm' ? [END_OF_TEXT, MASK] : [END_OF_TEXT];
  if (typeof tokenizer === 'string') return await readTokenizer(tokenizer);
  if (tokenizer?.type === 'bytes') return byteTokenizer({ special });
  if (tokenizer) {
    const { vocabulary, minCount } = tokenizer;
    return await trainBpe(texts(), { vocabulary, minCount, special, signal });
  }
  const brought = models.find((model) => model?.tokenizer)?.tokenizer;
  if (brought) return brought;
  throw new AnyformerError('config/tokenizer', {
    what: 'the key tokenizer is missing, and the model has no tokenizer',
    expected: 'bytes, bpe with a vocabulary, or the path of a tokenizer.json',
    found: 'nothing',
  });
}

async function readTokenizer(path: string): Promise<TextTokenizer> {
  const file = path.endsWith('.json') ? path : joinPath(path, 'tokenizer.json');
  const limits = { code: 'tokenizer', maxBytes: 100_000_000 };
  const beside = file.replace(/tokenizer\.json$/, 'tokenizer_config.json');
  const tokenizer = (await readJsonFile(file, limits)) as object;
  const config =
    beside !== file && (await exists(beside)) ? await readJsonFile(beside, limits) : {};
  return createTokenizer({ tokenizer, config: config as object }, file);
}

export function freshModel(
  { model, sequence, seed, out }: TrainConfig,
  tokenizer: TextTokenizer,
): Model {
  const config = {
    vocab_size: vocabularySize(tokenizer),
    max_position_embeddings: sequence,
    eos_token_id: endOfText(tokenizer),
    ...(model as object),
  };
  const name = out.split(/[\\/]/).at(-1) ?? 'model';
  return initialModel({ name, config, tokenizer }, { seed });
}

export function checkSizes({ family, config }: Model, tokenizer: TextTokenizer, seq: number): void {
  const [tokens, rows] = [vocabularySize(tokenizer), family.vocabulary(config)];
  if (tokens > rows) {
    throw new AnyformerError('config/vocabulary', {
      what: 'the tokenizer has more tokens than the model has embeddings',
      expected: `at most ${rows} tokens`,
      found: `${tokens} tokens`,
      hint: 'raise vocab_size of the model, or leave it out: it follows the tokenizer',
    });
  }
  const context = family.context(config);
  if (seq <= context) return;
  throw new AnyformerError('config/sequence', {
    what: 'the key sequence is longer than the context of the model',
    expected: `at most ${context} tokens`,
    found: `${seq}`,
  });
}

export const hashOf = async ({ files }: TextTokenizer): Promise<string> =>
  await hashJson(files.tokenizer);

/** Of a value as JSON. */
export const hashJson = async (value: unknown): Promise<string> =>
  await sha256(new TextEncoder().encode(JSON.stringify(value)));
