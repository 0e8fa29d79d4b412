// RoBERTa (Liu et al. 2019), and under its architecture XLM-RoBERTa and CamemBERT: BERT whose places
// count from the padding token's id + 1, since that token has a place of its own, with one token type
// and another head.
import { z } from 'zod';
import { linear } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { EncoderInputs } from '../family.js';
import { bertKeys, bertLike, checkBert } from './bert.js';

const config = z
  .looseObject({
    model_type: z.enum(['roberta', 'xlm-roberta', 'camembert']),
    ...bertKeys,
    pad_token_id: z.int().nonnegative().default(1),
  })
  .superRefine((c, context) => {
    checkBert(c, context);
    if (c.max_position_embeddings > c.pad_token_id + 1) return;
    const message = 'more places than pad_token_id + 1, which stand before the first';
    context.addIssue({ code: 'custom', path: ['max_position_embeddings'], message, input: c });
  });
export type RobertaConfig = z.output<typeof config>;

/** Tokens other than padding count; padding stands at its own id: i64[batch, seq]. */
function places({ pad_token_id: pad }: RobertaConfig, { ids, mask }: EncoderInputs): Tensor {
  const words = ids.equal(pad).not();
  const standing = (mask ? words.and(mask) : words).cast('i64');
  return standing.cumsum(1).mul(standing).add(pad);
}

export const roberta = bertLike<RobertaConfig>(config.shape.model_type.options, config, {
  prefix: 'roberta',
  skipped: (c) => c.pad_token_id + 1,
  places,
  head: (root, _, first, c, classes) => {
    const s = root.at('classifier');
    const inner = linear(s.at('dense'), first, c.hidden_size, { bias: true }).tanh();
    return linear(s.at('out_proj'), inner, classes, { bias: true });
  },
});
