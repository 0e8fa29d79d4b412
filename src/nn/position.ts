// Positions: sinusoids added to embeddings (Vaswani et al. 2017) and rotations of queries and keys
// (Su et al. 2021).
import { concat, constant, fromNumbers, type Tensor, withGradient } from '../tensor/index.js';
import { type RopeScaling, rotaryFrequencies } from './rope-scaling.js';

/** [sin(p f), cos(p f)] halves for positions[...] and frequencies f[width / 2]: [..., width]. */
export function sinusoid(positions: Tensor, frequencies: readonly number[]): Tensor {
  const f = constant(fromNumbers('f32', [frequencies.length], frequencies));
  const angles = positions.cast('f32').unsqueeze(-1).mul(f);
  return concat([angles.sin(), angles.cos()], -1);
}

export type Rotary = {
  base: number;
  /** Width that rotates; the rest of the head passes through. */
  width: number;
  /** `halves`: feature i pairs with i + width/2 (Hugging Face's Llama); `pairs`: 2i with 2i + 1. */
  layout: 'halves' | 'pairs';
  /** How frequencies change for texts longer than those of the training. */
  scaling?: RopeScaling | undefined;
};

/** cos and sin tables of rotary positions: positions[batch, seq] -> [batch, 1, seq, width / 2]. */
export function rotaryTables(positions: Tensor, rotary: Rotary): Tables {
  const { frequencies, amplitude } = rotaryFrequencies(rotary);
  const f = constant(fromNumbers('f32', [frequencies.length], frequencies));
  const angles = positions.cast('f32').unsqueeze(-1).mul(f).unsqueeze(1);
  const sized = (table: Tensor) => (amplitude === 1 ? table : table.mul(amplitude));
  return { cos: sized(angles.cos()), sin: sized(angles.sin()) };
}

type Tables = { cos: Tensor; sin: Tensor };

/** Rotates the first `width` features of x[batch, heads, seq, headDim]. */
export function rotate(x: Tensor, { cos, sin }: Tables, rotary: Rotary): Tensor {
  // A rotation's gradient is the rotation back: cheaper than through slices and their padding.
  return withGradient(turn(x.stopGradient(), { cos, sin }, rotary), [x], (g) => [
    rotate(g, { cos, sin: sin.neg() }, rotary),
  ]);
}

function turn(x: Tensor, { cos, sin }: Tables, { width, layout }: Rotary): Tensor {
  const rest = x.size(-1) === width ? undefined : x.slice(-1, width);
  const turning = rest ? x.slice(-1, 0, width) : x;
  const turned =
    layout === 'halves'
      ? rotateHalves(turning, cos, sin, width)
      : rotatePairs(turning, cos, sin, width);
  return rest ? concat([turned, rest], -1) : turned;
}

function rotateHalves(x: Tensor, cos: Tensor, sin: Tensor, width: number): Tensor {
  const [a, b] = x.split(-1, [width / 2, width / 2]);
  return concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1);
}

function rotatePairs(x: Tensor, cos: Tensor, sin: Tensor, width: number): Tensor {
  const pairs = x.reshape(...x.shape.slice(0, -1), width / 2, 2);
  const a = pairs.slice(-1, 0, 1).squeeze(-1);
  const b = pairs.slice(-1, 1, 2).squeeze(-1);
  const turned = [a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))];
  return concat(
    turned.map((part) => part.unsqueeze(-1)),
    -1,
  ).reshape(...x.shape);
}
