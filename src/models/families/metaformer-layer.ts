// One layer of our own family as a config has it: any token mixer, channel mixer, activation and norm.
// Shared by the language model and the image model.
import { z } from 'zod';
import { gatedMlp } from '../../channels/gated-mlp.js';
import { mlp } from '../../channels/mlp.js';
import type { MixContext } from '../../mixers/mixer.js';
import { resolveMixer } from '../../mixers/registry.js';
import {
  activations,
  block,
  layerNorm,
  type Norm,
  rmsNorm,
  type Scope,
  sampleNorm,
  trainedActivations,
} from '../../nn/index.js';
import type { Tensor } from '../../tensor/index.js';

const activationName = z.enum([...Object.keys(activations), ...Object.keys(trainedActivations)]);

export const normKind = z.enum(['rms', 'layer', 'sample', 'none']);
export type NormKind = z.output<typeof normKind>;

/** A token mixer by name, with its own options. */
export const mixerSpec = z.looseObject({ type: z.string() });

export const channelSpec = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.enum(['mlp', 'gated']),
    hidden: z.int().positive(),
    activation: activationName,
    bias: z.boolean().default(false),
  }),
  /** No channel mixer at all. */
  z.strictObject({ type: z.literal('none') }),
]);

export const layerSpec = z.strictObject({
  mixer: mixerSpec,
  channel: channelSpec,
  norm: normKind.optional(),
  /** Where a trained factor for each feature begins that scales both branches; none without it. */
  layer_scale: z.number().optional(),
  /** False takes the paths around mixer and channel mixer away. */
  residual: z.boolean().default(true),
});
export type LayerSpec = z.output<typeof layerSpec>;

export function normOf(kind: NormKind, eps: number): Norm {
  if (kind === 'rms') return rmsNorm({ eps });
  if (kind === 'layer') return layerNorm({ eps });
  if (kind === 'sample') return sampleNorm({ eps });
  return (_, x) => x;
}

/** The model's own options of a mixer: what the config need not repeat. */
export type MixerDefaults = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A layer's mixer and its options over the defaults; errors name the layer's config key. */
export function layerMixer({ mixer: spec }: Pick<LayerSpec, 'mixer'>, defaults: MixerDefaults) {
  const { type, ...own } = spec;
  return resolveMixer(type, { ...(Object.hasOwn(defaults, type) ? defaults[type] : {}), ...own });
}

export type Layer = {
  spec: LayerSpec;
  norm: NormKind;
  eps: number;
  context: MixContext;
  defaults: MixerDefaults;
};

const names = { mixerNorm: 'norm1', mixer: 'mixer', channelNorm: 'norm2', channel: 'mlp' };

/** x[batch, seq, width] -> the same shape. */
export function metaformerLayer(s: Scope, x: Tensor, o: Layer): Tensor {
  const { spec, eps, defaults } = o;
  const { mixer, options } = layerMixer(spec, defaults);
  // Mixers without scores see order in their own way, or not at all.
  const context = mixer.biased ? o.context : { ...o.context, bias: undefined };
  const scaled = (name: string, y: Tensor): Tensor => {
    const value = spec.layer_scale;
    if (value === undefined) return y;
    const width = Number(y.size(-1));
    return y.mul(s.parameter(name, [width], { init: { kind: 'constant', value } }));
  };
  const mix = (scope: Scope, y: Tensor) =>
    scaled('layer_scale_1', mixer.mix(scope, y, options, context));
  const channel = (scope: Scope, y: Tensor) => scaled('layer_scale_2', channelOf(spec)(scope, y));
  const norm = normOf(spec.norm ?? o.norm, eps);
  if (spec.residual && spec.channel.type !== 'none') {
    return block(s, x, { norm, mix, channel, names });
  }
  return s.module('block', () => {
    const around = (y: Tensor, branch: Tensor) => (spec.residual ? y.add(branch) : branch);
    const mixed = around(x, mix(s.at(names.mixer), norm(s.at(names.mixerNorm), x)));
    if (spec.channel.type === 'none') return mixed;
    return around(mixed, channel(s.at(names.channel), norm(s.at(names.channelNorm), mixed)));
  });
}

function channelOf({ channel: o }: LayerSpec): (s: Scope, x: Tensor) => Tensor {
  if (o.type === 'none') return (_, x) => x;
  const { hidden, activation, bias } = o;
  return o.type === 'mlp'
    ? mlp({ hidden, activation, bias, names: { up: 'fc1', down: 'fc2' } })
    : gatedMlp({ hidden, activation, bias, names: { gate: 'gate', up: 'up', down: 'down' } });
}

/**
 * The hidden width of a two-matrix perceptron with as many parameters as a gated one of this width:
 * three matrices against two.
 */
export const equalParameterHidden = (gatedHidden: number): number => Math.round(1.5 * gatedHidden);
