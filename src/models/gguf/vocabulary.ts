// The vocabulary of a GGUF file from the files of a Hugging Face tokenizer. Two kinds are known:
//   gpt2    byte-level BPE: tokens, merges, and the name of a rule that cuts texts into pieces
//   llama   SentencePiece BPE with bytes: tokens with scores; the best neighbours merge first
// A tokenizer.json lists the merges of the second kind instead of scores: a piece's score is minus the
// rank of its first merge. This says the same where the merges that make one piece stand together.
import { z } from 'zod';
import { AnyformerError } from '../../tensor/index.js';
import { checkConfig } from '../config-file.js';
import { printable } from '../json-strict.js';
import type { Model } from '../model.js';
import { bool, text, u32 } from './architecture.js';
import { preTokenizerOf, spacePrefix } from './pre-tokenizer.js';
import type { GgufValue } from './types.js';

const tokenizerFile = z.looseObject({
  added_tokens: z
    .array(z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean() }))
    .default([]),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.unknown(),
    merges: z.unknown().optional(),
    byte_fallback: z.boolean().default(false),
    ignore_merges: z.boolean().default(false),
    unk_token: z.string().nullish(),
  }),
});
const vocab = z.record(z.string(), z.int().nonnegative());
const merges = z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])).default([]);
export type TokenizerFile = z.output<typeof tokenizerFile>;

type Fields = Record<string, GgufValue>;

/** Kinds of tokens, by their numbers in the file. */
const KIND = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * The fields `tokenizer.*`. `rows` is the number of rows of the embedding: tokens that the tokenizer
 * lacks are filled up as unused. Errors: `export/vocabulary`, also without a tokenizer, where the
 * format allows none: programs built on llama.cpp ask it for tokens at once, and it ends them.
 */
export function vocabularyFields(model: Model, rows: number): Fields {
  const { tokenizer } = model;
  if (!tokenizer) {
    throw new AnyformerError('export/vocabulary', {
      what: `'${model.name}' has no tokenizer`,
      expected: 'tokenizer.json beside config.json',
      found: 'none',
      hint: "put the tokenizer's files beside the weights; byteTokenizer() makes a plain one",
    });
  }
  const file = checkConfig(tokenizerFile, tokenizer.files.tokenizer, 'tokenizer.json');
  const type = file.model.type ?? (file.model.merges ? 'BPE' : 'another');
  if (type !== 'BPE') throw unknown(model, `a ${type} model`);
  const ids = checkConfig(vocab, file.model.vocab, 'tokenizer.json: model.vocab');
  const pairs = mergesOf(file.model.merges);
  const list = tokenList(model, file, ids, rows);
  const shared: Fields = {
    'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: list.tokens },
    'tokenizer.ggml.token_type': { type: 'array', of: 'i32', value: list.kinds },
    ...specialFields(model, list.tokens),
  };
  if (file.model.byte_fallback) {
    return {
      'tokenizer.ggml.model': text('llama'),
      'tokenizer.ggml.pre': text('default'),
      'tokenizer.ggml.scores': {
        type: 'array',
        of: 'f32',
        value: scoresOf(model, list.tokens, pairs),
      },
      'tokenizer.ggml.add_space_prefix': bool(spacePrefix(model, file)),
      ...shared,
    };
  }
  return {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text(preTokenizerOf(model, file)),
    'tokenizer.ggml.merges': {
      type: 'array',
      of: 'string',
      value: pairs.map(([left, right]) => `${left} ${right}`),
    },
    ...shared,
  };
}

const unknown = ({ name }: Model, found: string): AnyformerError =>
  new AnyformerError('export/vocabulary', {
    what: `the tokenizer of '${name}' is not one that GGUF files hold here`,
    expected: 'byte-level BPE (GPT-2, Llama 3, Qwen), or SentencePiece BPE with bytes (Llama 2)',
    found,
    hint: 'export to ONNX instead: --to onnx',
  });

function mergesOf(value: unknown): (readonly [left: string, right: string])[] {
  return checkConfig(merges, value, 'tokenizer.json: model.merges').map((pair) => {
    if (typeof pair !== 'string') return pair;
    const at = pair.indexOf(' ', 1);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
}

/** Every row of the embedding as a token with its kind. */
function tokenList(
  model: Model,
  { added_tokens: added, model: { unk_token: unk } }: TokenizerFile,
  ids: Readonly<Record<string, number>>,
  rows: number,
): { tokens: string[]; kinds: number[] } {
  const byId = new Map<number, string>();
  const place = (id: number, token: string) => {
    if (id >= rows) {
      throw new AnyformerError('export/vocabulary', {
        what: `the tokenizer of '${model.name}' has tokens that the embedding lacks`,
        expected: `ids below ${rows}`,
        found: `${printable(token)} with id ${id}`,
        hint: 'check that tokenizer.json belongs to these weights',
      });
    }
    byId.set(id, token);
  };
  for (const [token, id] of Object.entries(ids)) place(id, token);
  for (const { id, content } of added) place(id, content);
  const kindOf = new Map(
    added.map(({ id, special }) => [id, special ? KIND.control : KIND.userDefined]),
  );
  const used = new Set(byId.values());
  const tokens: string[] = [];
  const kinds: number[] = [];
  for (let id = 0; id < rows; id++) {
    const token = byId.get(id);
    tokens.push(token ?? freshName(id, used));
    kinds.push(
      token === undefined
        ? KIND.unused
        : token === unk
          ? KIND.unknown
          : (kindOf.get(id) ?? (/^<0x[0-9A-F]{2}>$/.test(token) ? KIND.byte : KIND.normal)),
    );
  }
  return { tokens, kinds };
}

function freshName(id: number, used: Set<string>): string {
  let name = `[PAD${id}]`;
  while (used.has(name)) name = `[${name}]`;
  used.add(name);
  return name;
}

/** Minus the rank of the first merge that makes a token; the lowest of all where none does. */
function scoresOf(
  model: Model,
  tokens: readonly string[],
  pairs: readonly (readonly [string, string])[],
): number[] {
  const rank = new Map<string, number>();
  let before: string | undefined;
  pairs.forEach(([left, right], i) => {
    const made = left + right;
    if (made !== before && rank.has(made)) {
      throw unknown(model, `merges of ${printable(made)} that stand apart`);
    }
    if (!rank.has(made)) rank.set(made, i);
    before = made;
  });
  return tokens.map((token) => -(rank.get(token) ?? pairs.length));
}

/** First, last and other special tokens, what is added to texts, and the chat template. */
function specialFields(model: Model, tokens: readonly string[]): Fields {
  const { tokenizer, config } = model;
  if (!tokenizer) return {};
  const named = tokenizer.files.config as Readonly<Record<string, unknown>>;
  const idOf = (key: string): number | undefined => {
    const value = named[key];
    const content =
      typeof value === 'object' && value !== null
        ? (value as { content?: unknown }).content
        : value;
    const id = typeof content === 'string' ? tokens.indexOf(content) : -1;
    return id < 0 ? undefined : id;
  };
  const ends = [config.eos_token_id ?? []].flat().filter((id) => typeof id === 'number');
  const bos = idOf('bos_token') ?? (config.bos_token_id as number | null | undefined) ?? undefined;
  const eos = idOf('eos_token') ?? ends[0];
  const [eot, eom] = ends.filter((id) => id !== eos);
  const ids = {
    bos_token_id: bos,
    eos_token_id: eos ?? bos,
    eot_token_id: eot,
    eom_token_id: eom,
    unknown_token_id: idOf('unk_token'),
    padding_token_id: idOf('pad_token'),
  };
  const fields: Fields = {};
  for (const [key, id] of Object.entries(ids)) {
    if (id !== undefined && id < tokens.length) fields[`tokenizer.ggml.${key}`] = u32(id);
  }
  // What the tokenizer does says more than its flags.
  const sample = tokenizer.encode('a');
  fields['tokenizer.ggml.add_bos_token'] = bool(bos !== undefined && sample[0] === bos);
  fields['tokenizer.ggml.add_eos_token'] = bool(eos !== undefined && sample.at(-1) === eos);
  if (typeof named.chat_template === 'string') {
    fields['tokenizer.chat_template'] = text(named.chat_template);
  }
  return fields;
}
