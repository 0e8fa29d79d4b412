// What a text encoder gives: its tokens, the text's vector, and scores of classes where the checkpoint
// has a head. The body's tensors are about with and without a prefix.
import type { Scope } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { EncoderOutputs } from '../family.js';
import type { SentenceEncoder } from '../pooling-config.js';
import { type LabelKeys, textLabels } from './class-labels.js';
import { firstToken, sentenceVector } from './sentence-vector.js';

export type TextParts = {
  /** The prefix of the body's tensors, where there is one. */
  prefix: string;
  /** The body at its scope: tokens after the last layer [batch, seq, width]. */
  body(s: Scope): Tensor;
  /** Scores of classes from the first token [batch, width]. */
  head(first: Tensor, body: Scope): Tensor;
};

export function textOutputs(
  root: Scope,
  c: LabelKeys & { sentence_encoder?: SentenceEncoder | null | undefined },
  mask: Tensor | undefined,
  { prefix, body, head }: TextParts,
): EncoderOutputs {
  const headed = textLabels(c) !== undefined;
  // A body alone is written without its prefix, one under a head with it.
  const s = root.firstWith('embeddings.LayerNorm.weight', headed ? [prefix, ''] : ['', prefix]);
  const tokens = body(s);
  const told = c.sentence_encoder ?? undefined;
  const sentence = sentenceVector(root.at('pooling'), tokens, mask, told);
  if (!headed) return { sentence, tokens };
  return { sentence, tokens, scores: head(firstToken(tokens, mask), s) };
}
