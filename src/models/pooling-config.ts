// How a sentence encoder makes one vector of its tokens, in the files of sentence-transformers:
// modules.json lists the stages, 1_Pooling/config.json says what is taken from the tokens,
// sentence_bert_config.json how long a text may be. While a model is loaded this is the key
// `sentence_encoder` of its config.
//
// Without modules.json a text's vector is the mean over its tokens, as it is, and texts are as long as
// the positions reach: what sentence-transformers does with a plain encoder.
//
// Not here: stages besides Transformer, Pooling and Normalize (a Dense has weights of its own),
// weighted means, the last token, prompts.

import { z } from 'zod';
import { exists, type FolderFile, joinPath, safeName } from '#platform';
import { AnyformerError } from '../tensor/index.js';
import { checkConfig, readConfigFile } from './config-file.js';
import { printable } from './json-strict.js';

/** In the order in which several stand one after another in the vector. */
export const poolingModes = ['cls', 'max', 'mean', 'mean_sqrt_len'] as const;
export type PoolingMode = (typeof poolingModes)[number];

export const sentenceEncoder = z.strictObject({
  pooling: z.array(z.enum(poolingModes)).min(1),
  /** Scales the vector to length 1. */
  normalize: z.boolean().default(false),
  /** Longest text in tokens, special ones included, where it is less than the positions allow. */
  max_seq_length: z.int().positive().nullish(),
});
export type SentenceEncoder = z.output<typeof sentenceEncoder>;

/** Where no file says anything. */
export const plainSentence: SentenceEncoder = { pooling: ['mean'], normalize: false };

const modules = z.array(z.looseObject({ path: z.string(), type: z.string() })).min(1);

const flag = z.boolean().default(false);
const poolingFile = z.looseObject({
  pooling_mode: z.union([z.string(), z.array(z.string())]).optional(),
  pooling_mode_cls_token: flag,
  pooling_mode_max_tokens: flag,
  pooling_mode_mean_tokens: z.boolean().default(true),
  pooling_mode_mean_sqrt_len_tokens: flag,
  pooling_mode_weightedmean_tokens: flag,
  pooling_mode_lasttoken: flag,
});

const lengthFile = z.looseObject({
  max_seq_length: z.int().positive().nullish(),
  /** Texts would have to be made lower case before the tokenizer sees them. */
  do_lower_case: z.literal(false).nullish(),
});
const LENGTH_FILES = ['bert', 'roberta', 'distilbert', 'xlm-roberta', 'camembert'].map(
  (name) => `sentence_${name}_config.json`,
);

/** What the files of a folder say; undefined where there is no modules.json. */
export async function readSentenceEncoder(path: string): Promise<SentenceEncoder | undefined> {
  const file = joinPath(path, 'modules.json');
  if (!(await exists(file))) return undefined;
  const stages = checkConfig(modules, await readConfigFile(file), file);
  const kinds = stages.map(({ type }) => type.split('.').at(-1));
  const expected = ['Transformer', 'Pooling', ...(kinds.length > 2 ? ['Normalize'] : [])];
  if (kinds.join() !== expected.join() || stages[0].path !== '') {
    throw new AnyformerError('models/sentence-modules', {
      what: `${file} lists stages that are not read here`,
      expected: 'Transformer (in the folder itself), Pooling, and Normalize or nothing after them',
      found: printable(stages.map(({ path: at }, i) => `${kinds[i]} in '${at}'`).join(', ')),
    });
  }
  const pooling = joinPath(await safeName(path, stages[1].path), 'config.json');
  return {
    pooling: modesOf(checkConfig(poolingFile, await readConfigFile(pooling), pooling), pooling),
    normalize: kinds.length > 2,
    ...(await readLength(path)),
  };
}

function modesOf(given: z.output<typeof poolingFile>, file: string): PoolingMode[] {
  const flags: Readonly<Record<string, boolean>> = {
    cls: given.pooling_mode_cls_token,
    max: given.pooling_mode_max_tokens,
    mean: given.pooling_mode_mean_tokens,
    mean_sqrt_len: given.pooling_mode_mean_sqrt_len_tokens,
    weightedmean: given.pooling_mode_weightedmean_tokens,
    lasttoken: given.pooling_mode_lasttoken,
  };
  const flagged = Object.keys(flags).filter((mode) => flags[mode]);
  const asked = given.pooling_mode === undefined ? flagged : [given.pooling_mode].flat();
  const modes = poolingModes.filter((mode) => asked.includes(mode));
  if (modes.length === asked.length && modes.length > 0) return modes;
  throw new AnyformerError('models/sentence-pooling', {
    what: `${file}: the pooling is not done here`,
    expected: `one or several of ${poolingModes.join(', ')}`,
    found: printable(asked.join(', ') || 'none'),
  });
}

async function readLength(path: string): Promise<Pick<SentenceEncoder, 'max_seq_length'>> {
  for (const name of LENGTH_FILES) {
    const file = joinPath(path, name);
    if (!(await exists(file))) continue;
    const { max_seq_length } = checkConfig(lengthFile, await readConfigFile(file), file);
    return { max_seq_length: max_seq_length ?? undefined };
  }
  return {};
}

const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** The same files again; `width` is that of the vector. */
export function sentenceEncoderFiles(
  { pooling, normalize, max_seq_length }: SentenceEncoder,
  width: number,
): FolderFile[] {
  const stage = (name: string, path: string, i: number) => ({
    idx: i,
    name: String(i),
    path,
    type: `sentence_transformers.models.${name}`,
  });
  const stages = [stage('Transformer', '', 0), stage('Pooling', '1_Pooling', 1)];
  if (normalize) stages.push(stage('Normalize', '2_Normalize', 2));
  const config = {
    word_embedding_dimension: width / pooling.length,
    pooling_mode_cls_token: pooling.includes('cls'),
    pooling_mode_mean_tokens: pooling.includes('mean'),
    pooling_mode_max_tokens: pooling.includes('max'),
    pooling_mode_mean_sqrt_len_tokens: pooling.includes('mean_sqrt_len'),
  };
  return [
    { name: 'modules.json', chunks: json(stages) },
    { name: '1_Pooling/config.json', chunks: json(config) },
    ...(max_seq_length
      ? [
          {
            name: 'sentence_bert_config.json',
            chunks: json({ max_seq_length, do_lower_case: false }),
          },
        ]
      : []),
  ];
}
