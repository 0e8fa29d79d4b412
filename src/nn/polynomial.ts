// Polynomial composition activations (Zhuo et al. 2025): third-order polynomials of a ReLU or of
// normalised powers, with one set of trained coefficients a layer. Tensor names and order are those of
// the released models: weight = [cubic, square, linear], bias = [constant].
//
// Both are written by Horner's rule and with gradients of their own that compute the powers again from
// x: no power is kept for the backward pass.
import { concat, constant, fromNumbers, type Tensor, withGradient } from '../tensor/index.js';
import { fixedWidth } from './linear.js';
import type { Init, Scope } from './scope.js';

const THIRD: Init = { kind: 'constant', value: 1 / 3 };

function coefficients(s: Scope): { weight: Tensor; bias: Tensor } {
  return { weight: s.parameter('weight', [3], { init: THIRD }), bias: s.parameter('bias', [1]) };
}

/** a1, a2, a3 of weight = [a3, a2, a1], each [1]. */
const rising = (weight: Tensor): Tensor[] => weight.split(0, [1, 1, 1]).reverse();

/** a0 + a1 R + a2 R^2 + a3 R^3, R = max(x, 0), element by element. */
export const polyRelu = (s: Scope, x: Tensor): Tensor =>
  s.module('polyRelu', () => {
    const { weight, bias } = coefficients(s);
    return polyReluOf(x, weight, bias);
  });

/** PolyReLU with the coefficients given. */
export function polyReluOf(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [a1, a2, a3] = rising(weight);
  const r = x.relu();
  const value = r.mul(a3).add(a2).mul(r).add(a1).mul(r).add(bias);
  return withGradient(value, [x, weight, bias], (g, [xs, w]) => {
    const [b1, b2, b3] = rising(w);
    const p = xs.relu();
    const slope = p.mul(b3.mul(3)).add(b2.mul(2)).mul(p).add(b1);
    const first = g.mul(p);
    const second = first.mul(p);
    const sums = [second.mul(p), second, first].map((power) => power.sum().reshape(1));
    return [g.mul(xs.greater(0).where(slope, 0)), concat(sums, 0), g.sum().reshape(1)];
  });
}

const EPS = 1e-6;

/** a0 + a1 N(x) + a2 N(x^2) + a3 N(x^3), N(v) = v / sqrt(mean(v^2) + eps) over the last axis. */
export const polyNorm = (s: Scope, x: Tensor, eps = EPS): Tensor =>
  s.module('polyNorm', () => {
    const { weight, bias } = coefficients(s);
    return polyNormOf(x, weight, bias, eps);
  });

/** PolyNorm with the coefficients given. */
export function polyNormOf(x: Tensor, weight: Tensor, bias: Tensor, eps = EPS): Tensor {
  const r = scales(x, eps);
  const [c1, c2, c3] = parts(r.mul(concat(rising(weight), 0)));
  const value = x.mul(c3).add(c2).mul(x).add(c1).mul(x).add(bias);
  return withGradient(value, [x, weight, bias], (g, [xs, w]) => polyNormGradient(g, xs, w, r));
}

/** The three columns of [..., 3]. */
const parts = (x: Tensor): Tensor[] => x.split(-1, [1, 1, 1]);

/**
 * Means over the last axis, side by side: [..., 3]. Joined in one tensor they are taken one after the
 * other, so that each power can be written over the one before.
 */
const means = (powers: readonly Tensor[]): Tensor =>
  concat(
    powers.map((power) => power.mean(-1, true)),
    -1,
  );

/** 1 / sqrt(mean(x^2i) + eps) for i = 1, 2, 3: [..., 3]. */
function scales(x: Tensor, eps: number): Tensor {
  const square = x.mul(x);
  const cube = square.mul(x);
  const powers = [square, square.mul(square), cube.mul(cube)];
  return means(powers).add(eps).sqrt().reciprocal();
}

/**
 * With y_i = r_i x^i and p_i = mean(g x^i): dL/dx^i = a_i r_i (g - x^i r_i^2 p_i), and dx^i/dx =
 * i x^(i-1). dL/da_i is the sum of g y_i, and width r_i p_i is its part of one row. Written as chains
 * that multiply by x, each of which needs one buffer.
 */
function polyNormGradient(g: Tensor, x: Tensor, weight: Tensor, r: Tensor): Tensor[] {
  const first = g.mul(x);
  const second = first.mul(x);
  const p = means([first, second, second.mul(x)]);
  const rows = p.mul(r).mul(fixedWidth(x)).reshape(-1, 3);
  const powers = constant(fromNumbers(x.dtype, [3], [1, 2, 3]));
  const c = r.mul(concat(rising(weight), 0).mul(powers)); // i a_i r_i
  const [q1, q2, q3] = parts(c.mul(r).mul(r).mul(p).neg());
  const [c1, c2, c3] = parts(c);
  const across = x.mul(q3).mul(x).add(q2).mul(x).mul(x).add(q1).mul(x);
  const through = x.mul(c3).add(c2).mul(x).add(c1).mul(g);
  return [across.add(through), rows.sum(0).flip(0), g.sum().reshape(1)];
}
