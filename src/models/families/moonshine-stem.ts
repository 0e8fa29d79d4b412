// How sound enters Moonshine: three convolutions from samples to one vector for every 384 of them, and
// a norm over all that the first one gives. No spectrogram.
//
// Rows of a batch are padded on the right. No convolution is padded, so what belongs to a row's own
// samples depends on these alone, and the norm counts the row's own places only: a batch gives what
// single rows give.
import type { Scope } from '../../nn/index.js';
import { iota, type Tensor } from '../../tensor/index.js';

type Convolution = { name: string; kernel: number; stride: number; bias: boolean };

const [first, second, third]: readonly Convolution[] = [
  { name: 'conv1', kernel: 127, stride: 64, bias: false },
  { name: 'conv2', kernel: 7, stride: 3, bias: true },
  { name: 'conv3', kernel: 3, stride: 2, bias: true },
];

const EPSILON = 1e-5;

/** Samples that the first place of the memory needs. */
export const LEAST_SAMPLES = [third, second, first].reduce(
  (places, { kernel, stride }) => (places - 1) * stride + kernel,
  1,
);

/** Places that `lengths` (i64[batch]) places before give. */
const shortened = (lengths: Tensor | undefined, { kernel, stride }: Convolution) =>
  lengths?.sub(kernel).div(stride).add(1);

/** bool[batch, places], true on a row's own. */
const standing = (lengths: Tensor | undefined, x: Tensor): Tensor | undefined =>
  lengths && iota(x.size(-1)).unsqueeze(0).less(lengths.unsqueeze(1));

export type Stem = { frames: Tensor; mask: Tensor | undefined };

/** samples f32[batch, samples], lengths i64[batch] -> frames f32[batch, places, width] and their mask. */
export const moonshineStem = (
  s: Scope,
  samples: Tensor,
  lengths: Tensor | undefined,
  width: number,
): Stem =>
  s.module('stem', () => {
    const wide = convolve(s, first, samples.unsqueeze(1), width).tanh();
    const after = shortened(lengths, first);
    const normed = wholeNorm(s.at('groupnorm'), wide, standing(after, wide), width);
    const half = convolve(s, second, normed, 2 * width).gelu();
    const frames = convolve(s, third, half, width).gelu();
    const mask = standing(shortened(shortened(after, second), third), frames);
    return { frames: frames.swap(1, 2), mask };
  });

function convolve(s: Scope, c: Convolution, x: Tensor, out: number): Tensor {
  const at = s.at(c.name);
  return at.module('conv', () => {
    const shape = [out, Number(x.size(1)), c.kernel];
    const weight = at.parameter('weight', shape, { init: { kind: 'normal', std: 0.02 } });
    const bias = c.bias ? at.parameter('bias', [out]) : undefined;
    return x.conv(weight, bias, { stride: c.stride });
  });
}

/**
 * Group norm with one group (Wu and He 2018): mean and variance over channels and the places that
 * `mask` (bool[batch, places]) holds, gain and bias for each channel. x [batch, channels, places].
 */
const wholeNorm = (s: Scope, x: Tensor, mask: Tensor | undefined, width: number): Tensor =>
  s.module('groupNorm', () => {
    const gain = s.parameter('weight', [width], { init: { kind: 'ones' } }).unsqueeze(1);
    const bias = s.parameter('bias', [width]).unsqueeze(1);
    const weights = mask?.cast('f32').unsqueeze(1); // [batch, 1, places]
    const mean = (y: Tensor): Tensor => {
      if (!weights) return y.mean([1, 2], true);
      return y
        .mul(weights)
        .sum([1, 2], true)
        .div(weights.sum([1, 2], true).mul(width));
    };
    const centred = x.sub(mean(x));
    const spread = mean(centred.mul(centred)).add(EPSILON).sqrt();
    return centred.div(spread).mul(gain).add(bias);
  });
