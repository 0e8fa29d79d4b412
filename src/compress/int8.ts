// 8-bit integers: one scale for a block of a row (BCT, Dong and Chen 2023, its weight mode), or one
// for an output feature with activations rounded at run time (`block: channel`).
import { z } from 'zod';
import type { MatrixSpec } from '../nn/index.js';
import { denseMatrices, quantize } from './matrices.js';
import { compressPass } from './pass.js';

const options = z.strictObject({
  block: z.union([z.literal([16, 32, 64, 128, 256]), z.literal('channel')]).default(64),
  /** `pow2`: scales are shifts of one byte, as in the paper; `float`: float16. */
  scale: z.enum(['float', 'pow2']).default('float'),
  exclude: z.array(z.string()).default([]),
});
type Options = z.output<typeof options>;

export const int8 = compressPass<Options>({
  name: 'int8',
  summary: '8-bit integers, one scale a block of weights',
  source: 'BCT, Dong and Chen 2023 (arXiv 2304.01483), weight mode',
  needs: 'nothing',
  order: 60,
  options,
  settings: [{ block: 64 }, { block: 'channel' }, { block: 64, scale: 'pow2' }],
  apply: (model, o, context) => {
    const spec: MatrixSpec =
      o.block === 'channel'
        ? { format: 'channel-int8' }
        : { format: 'block-int', bits: 8, block: o.block, scale: o.scale };
    const matrices = denseMatrices(model, 'int8', o.exclude);
    return quantize(model, { name: 'int8', options: o }, matrices, () => spec, context);
  },
});
