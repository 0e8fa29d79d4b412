// Pictures through stages of MetaFormer blocks (PoolFormer, Yu et al. 2022): convolutions cut and
// shrink the picture, blocks of any token mixer work on its places. Tensor names are those of the
// released checkpoints; linear maps take the place of their 1x1 convolutions.
//
// Not here: drop path and the outputs of all stages for dense tasks.
import { z } from 'zod';
import { linear, type Scope } from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';
import { visionFamily } from '../family.js';
import { layerSpec, metaformerLayer, mixerSpec, normKind, normOf } from './metaformer-layer.js';

const patch = z.strictObject({
  size: z.int().positive(),
  stride: z.int().positive(),
  padding: z.int().nonnegative(),
});
type Patch = z.output<typeof patch>;

const config = z
  .object({
    model_type: z.literal('poolformer'),
    num_labels: z.int().positive(),
    num_channels: z.int().positive().default(3),
    image_size: z.int().positive(),
    depths: z.array(z.int().positive()).min(1),
    hidden_sizes: z.array(z.int().positive()).min(1),
    /** The token mixer of each stage. */
    token_mixers: z.array(mixerSpec),
    mlp_ratio: z.number().positive().default(4),
    hidden_act: layerSpec.shape.channel.options[0].shape.activation.default('gelu'),
    norm: normKind.default('sample'),
    norm_eps: z.number().positive().default(1e-5),
    /** Where LayerScale begins; null: none. Small values need long training to leave. */
    layer_scale_init_value: z.number().nullable().default(1e-5),
    head_dim: z.int().positive().default(32),
    in_patch: patch.default({ size: 7, stride: 4, padding: 2 }),
    down_patch: patch.default({ size: 3, stride: 2, padding: 1 }),
    /** Ablations: without the residual paths, without the channel mixer. */
    residual: z.boolean().default(true),
    channel_mlp: z.boolean().default(true),
  })
  .refine((c) => c.hidden_sizes.length === c.depths.length, {
    path: ['hidden_sizes'],
    message: 'one width for each of the depths',
  })
  .refine((c) => c.token_mixers.length === c.depths.length, {
    path: ['token_mixers'],
    message: 'one token mixer for each stage',
  })
  .refine((c) => sides(c).every((side) => side >= 1), {
    path: ['image_size'],
    message: 'a picture of which every stage keeps a place',
  });
export type PoolformerConfig = z.output<typeof config>;

/** Places along a side in each stage. */
function sides(c: {
  image_size: number;
  depths: readonly number[];
  in_patch: Patch;
  down_patch: Patch;
}): number[] {
  let side = c.image_size;
  return c.depths.map((_, i) => {
    const { size, stride, padding } = i === 0 ? c.in_patch : c.down_patch;
    side = Math.floor((side + 2 * padding - size) / stride) + 1;
    return side;
  });
}

/** A convolution with bias: [batch, channels, h, w] -> [batch, out, h', w']. */
function cut(s: Scope, x: Tensor, out: number, { size, stride, padding }: Patch): Tensor {
  return s.module('patches', () => {
    const channels = Number(x.size(1));
    const std = Math.sqrt(1 / (channels * size * size));
    const shape = [out, channels, size, size];
    const weight = s.parameter('weight', shape, { init: { kind: 'normal', std } });
    return x.conv(weight, s.parameter('bias', [out]), { stride, padding });
  });
}

export const poolformer = visionFamily<PoolformerConfig>({
  kind: 'vision',
  modelTypes: ['poolformer'],
  config,
  vocabulary: () => 0,
  context: (c) => sides(c)[0] ** 2,
  picture: (c) => [c.num_channels, c.image_size, c.image_size],
  scores: (s, c, pixels) => {
    const [batch] = pixels.shape;
    let picture = pixels;
    let x = pixels;
    sides(c).forEach((side, i) => {
      const width = c.hidden_sizes[i];
      // The released names count stages and the convolutions between them in one list.
      const at = i === 0 ? s.at('patch_embed', 'proj') : s.at('network', 2 * i - 1, 'proj');
      const cutting = cut(at, picture, width, i === 0 ? c.in_patch : c.down_patch);
      x = cutting.reshape(batch, width, side * side).swap(1, 2); // [batch, places, width]
      for (let j = 0; j < c.depths[i]; j++) {
        x = metaformerLayer(s.at('network', 2 * i, j), x, layerOf(c, i, side));
      }
      picture = x.swap(1, 2).reshape(batch, width, side, side);
    });
    const pooled = normOf(c.norm, c.norm_eps)(s.at('norm'), x).mean(1); // [batch, width]
    return linear(s.at('head'), pooled, c.num_labels, { bias: true });
  },
});

function layerOf(c: PoolformerConfig, stage: number, side: number) {
  const width = c.hidden_sizes[stage];
  const hidden = Math.round(c.mlp_ratio * width);
  const scale = c.layer_scale_init_value;
  const spec = layerSpec.parse({
    mixer: c.token_mixers[stage],
    channel: c.channel_mlp
      ? { type: 'mlp', hidden, activation: c.hidden_act, bias: true }
      : { type: 'none' },
    residual: c.residual,
    ...(scale === null ? {} : { layer_scale: scale }),
  });
  const defaults = {
    pooling: { columns: side },
    random: { length: side * side },
    attention: {
      heads: Math.max(1, Math.floor(width / c.head_dim)),
      headDim: Math.min(width, c.head_dim),
      outWidth: width,
      outBias: true,
      names: { qkv: 'qkv', o: 'proj' },
    },
  };
  return { spec, norm: c.norm, eps: c.norm_eps, context: {}, defaults };
}

const preset = (depths: number[], hidden_sizes: number[], scale: number) => ({
  model_type: 'poolformer' as const,
  num_labels: 1000,
  image_size: 224,
  depths,
  hidden_sizes,
  token_mixers: depths.map(() => ({ type: 'pooling' })),
  layer_scale_init_value: scale,
});
const [narrow, wide] = [
  [64, 128, 320, 512],
  [96, 192, 384, 768],
];

/** The published sizes. */
export const poolformerPresets = {
  s12: preset([2, 2, 6, 2], narrow, 1e-5),
  s24: preset([4, 4, 12, 4], narrow, 1e-5),
  s36: preset([6, 6, 18, 6], narrow, 1e-6),
  m36: preset([6, 6, 18, 6], wide, 1e-6),
  m48: preset([8, 8, 24, 8], wide, 1e-6),
};
