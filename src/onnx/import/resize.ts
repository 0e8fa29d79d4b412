// Enlarging by whole factors to the nearest element: every element repeated. Interpolation and other
// factors are not here.
import { type Dim, exactDiv, mulDims, type Tensor } from '../../tensor/index.js';
import type { Builder, NodeReader } from './node-reader.js';

function refuse(n: NodeReader, what: string, found: string): never {
  return n.refuse({
    what: `${what} is not supported`,
    expected: 'mode nearest and whole factors, which repeat elements',
    found,
  });
}

/** Element k becomes elements k f .. k f + f - 1. */
function repeatEach(x: Tensor, factors: readonly number[]): Tensor {
  if (factors.every((factor) => factor === 1)) return x;
  return x
    .unsqueeze(...factors.map((_, i) => 2 * i + 1))
    .broadcastTo(...x.shape.flatMap((d, i) => [d, factors[i]]))
    .reshape(...x.shape.map((d, i) => mulDims(d, factors[i])));
}

function wholeFactors(n: NodeReader, factors: readonly (Dim | undefined)[]): number[] {
  return factors.map((factor) => {
    const whole = typeof factor === 'number' && Number.isInteger(factor) && factor >= 1;
    return whole ? factor : refuse(n, 'this factor', `${factors.join(', ')}`);
  });
}

/** Which element is nearest: in these cases floor(i / factor), whatever the whole factor. */
function repeats(mode: string, rounding: string): boolean {
  if (mode === 'asymmetric') return rounding === 'floor';
  return (
    /^(half_pixel|half_pixel_symmetric|pytorch_half_pixel)$/.test(mode) && /^round_/.test(rounding)
  );
}

function resize(n: NodeReader): Tensor {
  n.ignore('cubic_coeff_a', 'exclude_outside', 'extrapolation_value', 'antialias');
  n.ignore('keep_aspect_ratio_policy');
  const x = n.tensor(0);
  const mode = n.text('mode', 'nearest');
  if (mode !== 'nearest') return refuse(n, 'this mode', mode);
  const place = n.text('coordinate_transformation_mode', 'half_pixel');
  const rounding = n.text('nearest_mode', 'round_prefer_floor');
  const old = n.opset < 11;
  const axes = n.ints('axes') ?? x.shape.map((_, i) => i);
  const [scales, sizes] = old ? [1, -1] : [2, 3];
  const given = sizes >= 0 && n.optionalValue(sizes) && n.value(sizes).shape[0] !== 0;
  const factors = given
    ? n.sizes(sizes).map((size, i) => exactDiv(size, x.shape[axes[i]]))
    : n.numbers(scales);
  const whole = wholeFactors(n, factors);
  if (!old && whole.some((factor) => factor > 1) && !repeats(place, rounding)) {
    return refuse(n, 'this way to the nearest element', `${place} and ${rounding}`);
  }
  const of = new Map(axes.map((axis, i) => [axis < 0 ? axis + x.rank : axis, whole[i]]));
  return repeatEach(
    x,
    x.shape.map((_, i) => of.get(i) ?? 1),
  );
}

function upsample(n: NodeReader): Tensor {
  const mode = n.text('mode', 'nearest');
  if (mode !== 'nearest') return refuse(n, 'this mode', mode);
  return repeatEach(n.tensor(0), wholeFactors(n, n.floats('scales') ?? n.numbers(1)));
}

export const resizing: Readonly<Record<string, Builder>> = { Resize: resize, Upsample: upsample };
