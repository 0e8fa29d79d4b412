// The options of generation, under our names or Hugging Face's: what stands in a
// `generation_config.json` may be passed as it is.
import { z } from 'zod';
import { AnyformerError, nearest } from '../tensor/index.js';

const tokens = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]);

const schema = z.object({
  /** Tokens to add at most; until the model's context is full unless told. */
  maxNewTokens: z.int().positive().optional(),
  /** Draw instead of taking the best; implied by temperature, topK and topP. */
  doSample: z.boolean().optional(),
  /** 0 takes the best token. */
  temperature: z.number().nonnegative().optional(),
  topK: z.int().nonnegative().optional(),
  topP: z.number().positive().max(1).optional(),
  /** Equal seeds draw equal texts. */
  seed: z.int().default(0),
  /** Tokens that end the text; those of the model's config unless told. */
  eosTokenIds: tokens.optional(),
});

export type GenerationOptions = z.input<typeof schema>;

/** Hugging Face's names of the options. */
export type HuggingFaceOptions = {
  max_new_tokens?: number;
  do_sample?: boolean;
  temperature?: number;
  top_k?: number;
  top_p?: number;
  eos_token_id?: number | number[];
};

export type CheckedOptions = {
  maxNewTokens: number;
  sampling: { temperature: number; topK: number | undefined; topP: number | undefined } | undefined;
  seed: number;
  eosTokenIds: ReadonlySet<number>;
};

const theirNames: Readonly<Record<string, keyof GenerationOptions>> = {
  max_new_tokens: 'maxNewTokens',
  do_sample: 'doSample',
  top_k: 'topK',
  top_p: 'topP',
  eos_token_id: 'eosTokenIds',
};
/** Keys of a generation_config.json that say nothing about how tokens are chosen. */
const ignored = new Set([
  '_from_model_config',
  'bos_token_id',
  'pad_token_id',
  'transformers_version',
]);
const ours = Object.keys(schema.shape);

/** Errors: `decode/option`. `eosTokenIds` stands in where the options name none. */
export function checkOptions(
  options: GenerationOptions & HuggingFaceOptions,
  eosTokenIds: unknown,
): CheckedOptions {
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (ignored.has(key) || value === undefined || value === null) continue;
    const name = Object.hasOwn(theirNames, key) ? theirNames[key] : key;
    if (!ours.includes(name)) throw unknownOption(key);
    given[name] = value;
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = issue.path.join('.');
    throw new AnyformerError('decode/option', {
      what: `the option ${key} is not valid`,
      expected: issue.message,
      found: JSON.stringify(given[String(issue.path[0])]),
    });
  }
  const o = parsed.data;
  const { temperature = 1, topP } = o;
  const topK = o.topK === 0 ? undefined : o.topK;
  const wanted = o.doSample ?? [o.temperature, o.topK, o.topP].some((x) => x !== undefined);
  const ends = tokens.safeParse(o.eosTokenIds ?? eosTokenIds);
  return {
    maxNewTokens: o.maxNewTokens ?? Number.POSITIVE_INFINITY,
    sampling: wanted && temperature > 0 ? { temperature, topK, topP } : undefined,
    seed: o.seed,
    eosTokenIds: new Set(ends.success ? [ends.data].flat() : []),
  };
}

function unknownOption(key: string): AnyformerError {
  const known = [...ours, ...Object.keys(theirNames)];
  return new AnyformerError('decode/option', {
    what: `generate has no option '${key}'`,
    expected: known.join(', '),
    found: key,
    hint: `nearest: ${nearest(key, known, 1)[0]}`,
  });
}
