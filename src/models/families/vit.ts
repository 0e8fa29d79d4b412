// ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021) under Hugging Face's names: a picture is
// cut into patches, each a token beside one for the class; pre-norm layers; the class's token is scored.
// DeiT has one more token, for what a teacher says: a checkpoint with two heads (`...WithTeacher`)
// scores both and takes the mean. The body's tensors are about with and without the prefix `vit.` or
// `deit.`.
//
// Not here: other sizes than the checkpoint's (places are not interpolated), masked patches.
import { type ZodType, z } from 'zod';
import { mlp } from '../../channels/mlp.js';
import { layerNorm, linear, type Scope } from '../../nn/index.js';
import { concat, type Tensor } from '../../tensor/index.js';
import { type VisionFamily, visionFamily } from '../family.js';
import { pictureConfig } from '../picture-config.js';
import { checkLabels, labelKeys, labelsOf } from './class-labels.js';
import { checkHeads } from './config-keys.js';
import { encoderStack } from './encoder-stack.js';

const side = z.int().positive();
const size = z.union([side, z.tuple([side, side])]);

const vitKeys = {
  hidden_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  intermediate_size: z.int().positive(),
  hidden_act: z.string().default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-12),
  /** One number for a square, or height and width. */
  image_size: size.default(224),
  patch_size: size.default(16),
  num_channels: z.int().positive().default(3),
  qkv_bias: z.boolean().default(true),
  picture: pictureConfig.nullish(),
  ...labelKeys,
};
const keys = z.looseObject(vitKeys);
type VitKeys = z.output<typeof keys>;

type Grid = Pick<VitKeys, 'image_size' | 'patch_size'>;
const pair = (given: Grid['image_size']): readonly [height: number, width: number] =>
  typeof given === 'number' ? [given, given] : given;

/** Patches down and across. */
function gridOf({ image_size, patch_size }: Grid): readonly [number, number] {
  const [height, width] = pair(image_size);
  const [down, across] = pair(patch_size);
  return [height / down, width / across];
}

function checkVit(c: VitKeys, context: z.RefinementCtx): void {
  checkHeads({ hidden_size: c.hidden_size, num_attention_heads: c.num_attention_heads }, context);
  checkLabels(c, context);
  if (gridOf(c).every(Number.isInteger)) return;
  const message = 'a multiple of patch_size in height and width';
  context.addIssue({ code: 'custom', path: ['image_size'], message, input: c });
}

const names = {
  mixerNorm: 'layernorm_before',
  mixer: 'attention',
  channelNorm: 'layernorm_after',
  channel: '',
};

/** What the two do otherwise. */
type VitTraits<C> = {
  prefix: string;
  /** Tokens before the patches, by name. */
  tokens: readonly string[];
  /** Scores from the normed tokens [batch, seq, width]. */
  head(root: Scope, tokens: Tensor, c: C): Tensor;
};

const vitLike = <C extends VitKeys>(
  config: ZodType<C>,
  { prefix, tokens: special, head }: VitTraits<C>,
): VisionFamily<C> =>
  visionFamily<C>({
    kind: 'vision',
    modelTypes: [prefix],
    config,
    vocabulary: () => 0,
    context: (c) => places(c, special),
    picture: (c) => [c.num_channels, ...pair(c.image_size)],
    classes: labelsOf,
    scores: (root, c, pixels) => {
      const s = root.firstWith('layernorm.weight', [prefix, '']);
      const norm = layerNorm({ eps: c.layer_norm_eps });
      const x = entering(s.at('embeddings'), c, pixels, special);
      const tokens = encoderStack(s.at('encoder', 'layer'), x, undefined, {
        layers: c.num_hidden_layers,
        norm,
        attention: {
          heads: c.num_attention_heads,
          headDim: c.hidden_size / c.num_attention_heads,
          outWidth: c.hidden_size,
          bias: c.qkv_bias,
          outBias: true,
          names: {
            q: 'attention.query',
            k: 'attention.key',
            v: 'attention.value',
            o: 'output.dense',
          },
        },
        channel: mlp({
          hidden: c.intermediate_size,
          activation: c.hidden_act,
          names: { up: 'intermediate.dense', down: 'output.dense' },
        }),
        names,
      });
      return head(root, norm(s.at('layernorm'), tokens), c);
    },
  });

const places = (c: Grid, special: readonly string[]): number => {
  const [rows, columns] = gridOf(c);
  return special.length + rows * columns;
};

/** Special tokens and patches, with their places: [batch, seq, width]. */
function entering(s: Scope, c: VitKeys, pixels: Tensor, special: readonly string[]): Tensor {
  return s.module('patches', () => {
    const width = c.hidden_size;
    const [batch] = pixels.shape;
    const patches = cut(s.at('patch_embeddings', 'projection'), c, pixels);
    const own = special.map((name) =>
      s.parameter(name, [1, 1, width], { init: { kind: 'normal', std: 0.02 } }),
    );
    const beside = own.map((token) => token.broadcastTo(batch, 1, width));
    const shape = [1, places(c, special), width];
    const table = s.parameter('position_embeddings', shape, {
      init: { kind: 'normal', std: 0.02 },
    });
    return concat([...beside, patches], 1).add(table);
  });
}

/** Patches by one convolution as wide as its steps: [batch, patches, width], row by row. */
function cut(s: Scope, c: VitKeys, pixels: Tensor): Tensor {
  return s.module('projection', () => {
    const kernel = [...pair(c.patch_size)];
    const shape = [c.hidden_size, c.num_channels, ...kernel];
    const std = (c.num_channels * kernel[0] * kernel[1]) ** -0.5;
    const weight = s.parameter('weight', shape, { init: { kind: 'normal', std } });
    const out = pixels.conv(weight, s.parameter('bias', [c.hidden_size]), { stride: kernel });
    const [rows, columns] = gridOf(c);
    return out.reshape(pixels.size(0), c.hidden_size, rows * columns).swap(1, 2);
  });
}

/** The token at a place: [batch, width]. */
const tokenAt = (tokens: Tensor, place: number): Tensor =>
  tokens.slice(1, place, place + 1).squeeze(1);

const classifier = (s: Scope, token: Tensor, c: VitKeys): Tensor =>
  linear(s, token, labelsOf(c).length, { bias: true });

const vitConfig = z.looseObject({ model_type: z.literal('vit'), ...vitKeys }).superRefine(checkVit);
export type VitConfig = z.output<typeof vitConfig>;

export const vit = vitLike<VitConfig>(vitConfig, {
  prefix: 'vit',
  tokens: ['cls_token'],
  head: (root, tokens, c) => classifier(root.at('classifier'), tokenAt(tokens, 0), c),
});

const deitConfig = z
  .looseObject({ model_type: z.literal('deit'), ...vitKeys })
  .superRefine(checkVit);
export type DeitConfig = z.output<typeof deitConfig>;

export const deit = vitLike<DeitConfig>(deitConfig, {
  prefix: 'deit',
  tokens: ['cls_token', 'distillation_token'],
  head: (root, tokens, c) => {
    const taught = c.architectures?.some((name) => name.endsWith('WithTeacher'));
    if (!taught) return classifier(root.at('classifier'), tokenAt(tokens, 0), c);
    const own = classifier(root.at('cls_classifier'), tokenAt(tokens, 0), c);
    const teacher = classifier(root.at('distillation_classifier'), tokenAt(tokens, 1), c);
    return own.add(teacher).mul(0.5);
  },
});
