// Keys that config.json files of language models share, whatever the family.
import { z } from 'zod';

const token = z.int().nonnegative();

/** Tokens that begin and end a text. */
export const tokenKeys = {
  bos_token_id: token.nullish(),
  eos_token_id: z.union([token, z.array(token)]).nullish(),
};

/** A size that files leave out, or give as null, where it follows from the others. */
export const derivedSize = z.int().positive().nullish();

/** Heads and their width, as far as a config gives them. */
type Heads = {
  hidden_size: number;
  num_attention_heads: number;
  num_key_value_heads?: number | null | undefined;
  head_dim?: number | null | undefined;
};

export const headWidth = (c: Heads): number => c.head_dim ?? c.hidden_size / c.num_attention_heads;

export const keyHeads = (c: Heads): number => c.num_key_value_heads ?? c.num_attention_heads;

/** Refuses heads that do not fit the model's width or one another. */
export function checkHeads(c: Heads, context: z.RefinementCtx): void {
  const wrong = (key: string, message: string) =>
    context.addIssue({ code: 'custom', path: [key], message, input: c });
  if (!Number.isInteger(headWidth(c))) {
    wrong('hidden_size', 'a multiple of num_attention_heads, or a head_dim beside it');
  }
  if (c.num_attention_heads % keyHeads(c) !== 0) {
    wrong('num_key_value_heads', 'num_attention_heads must be a multiple of num_key_value_heads');
  }
}
