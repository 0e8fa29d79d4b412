// The block: where norms and residual paths stand, under which names, and what can be tapped.
import { expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { frozen } from '../../tests/support/frozen.js';
import { attention } from '../mixers/attention.js';
import {
  fromNumbers,
  graph,
  input,
  interpret,
  type NDArray,
  type Tensor,
  tap,
  toNumbers,
} from '../tensor/index.js';
import { type BlockParts, block } from './block.js';
import { linear } from './linear.js';
import { layerNorm, type Norm } from './norm.js';
import { Scope } from './scope.js';

const names = { mixerNorm: 'ln_1', mixer: 'attn', channelNorm: 'ln_2', channel: 'mlp' };

/** Stand-ins whose algebra is plain: norm(x) = 2x, mix(x) = x + 1, channel(x) = 3x. */
const norm: Norm = (_, x) => x.mul(2);
const parts: BlockParts = {
  norm,
  mix: (_, x) => x.add(1),
  channel: (_, x) => x.mul(3),
  names,
};

function evaluate(y: Tensor, x: number): number {
  const { outputs } = interpret(graph({ y }), { x: fromNumbers('f32', [1, 1, 1], [x]) });
  return toNumbers(outputs.get('y') ?? fromNumbers('f32', [1], [0]))[0];
}
const x = () => input('x', 'f32', [1, 1, 1]);

it('pre: x + f(norm(x)), twice', () => {
  const y = block(Scope.root().at('h', 0), x(), { ...parts, placement: 'pre' });
  const mixed = 5 + (2 * 5 + 1);
  expect(evaluate(y, 5)).toBe(mixed + 3 * (2 * mixed));
  expect(evaluate(block(Scope.root(), x(), parts), 5)).toBe(mixed + 3 * (2 * mixed));
});

it('post: norm(x + f(x)), twice', () => {
  const y = block(Scope.root().at('h', 0), x(), { ...parts, placement: 'post' });
  const mixed = 2 * (5 + (5 + 1));
  expect(evaluate(y, 5)).toBe(2 * (mixed + 3 * mixed));
});

it('parallel: x + mix(norm(x)) + channel(norm(x))', () => {
  const y = block(Scope.root().at('h', 0), x(), { ...parts, placement: 'parallel' });
  expect(evaluate(y, 5)).toBe(5 + (2 * 5 + 1) + 3 * (2 * 5));
});

it('parts without a name stand in the layer itself, and are tagged by their role', () => {
  const root = Scope.root();
  const y = block(root.at('h', 0), input('x', 'f32', [1, 's', 4]), {
    norm,
    mix: (s, t) => linear(s.at('c_proj'), t, 4),
    channel: (s, t) => s.module('mlp', () => linear(s.at('fc1'), t, 4)),
    names: { ...names, channel: '' },
  });
  expect([...root.declarations.stored.keys()].sort()).toEqual(
    ['h.0.attn.c_proj', 'h.0.fc1'].map((n) => `${n}.weight`),
  );
  const g = graph({ y });
  expect([...g.tags.keys()].filter((name) => /^h\.0(#\d|\.channel)?$/.test(name)).sort()).toEqual([
    'h.0',
    'h.0.channel',
  ]);
  expect(g.tags.get('h.0')).toBe(y);
});

it.each(['pre', 'post', 'parallel'] as const)(
  '%s: a shortcut replaces the residual path of the mixer',
  (placement) => {
    const shortcut: NonNullable<BlockParts['shortcut']> = (_, t) => t.mul(-1);
    const y = block(Scope.root(), x(), { ...parts, placement, shortcut });
    const pre = -5 + (2 * 5 + 1);
    const post = 2 * (-5 + (5 + 1));
    const wanted = { pre: pre + 6 * pre, post: 2 * (post + 3 * post), parallel: pre + 6 * 5 };
    expect(evaluate(y, 5)).toBe(wanted[placement]);
  },
);

it('gives every part its scope', () => {
  const root = Scope.root();
  const track: Norm = (s, t) => t.mul(s.parameter('weight', [4]));
  block(root.at('h', 1), input('x', 'f32', [1, 's', 4]), {
    norm: track,
    mix: (s, t) => linear(s.at('c_proj'), t, 4),
    channel: (s, t) => linear(s.at('c_fc'), t, 4),
    names,
  });
  expect([...root.declarations.stored.keys()].sort()).toEqual(
    ['attn.c_proj', 'ln_1', 'ln_2', 'mlp.c_fc'].map((part) => `h.1.${part}.weight`),
  );
});

it('lets attention patterns be read by path', () => {
  const root = Scope.root();
  const options = attention.options.parse({
    heads: 2,
    headDim: 3,
    outWidth: 6,
    names: { qkv: 'c_attn', o: 'c_proj' },
  });
  const y = block(root.at('h', 0), input('x', 'f32', ['b', 's', 6]), {
    norm: layerNorm(),
    mix: (s, t) => attention.mix(s, t, options, {}),
    channel: (s, t) => linear(s.at('c_fc'), t, 6),
    names,
  });
  const g = graph({ y });
  const pattern = tap(g, 'h.0.attn.pattern');
  expect(String(pattern)).toBe('f32[b, 2, s, s]');
  for (const path of [
    'h.0',
    'h.0.ln_1',
    'h.0.attn',
    'h.0.attn.scores',
    'h.0.attn.c_attn.input',
    'h.0.mlp.c_fc',
  ]) {
    expect([...g.tags.keys()]).toContain(path);
  }
  const tapped = graph({ pattern });
  const stored = new Map<string, NDArray>();
  for (const [i, { name, shape }] of [...root.declarations.stored.values()].entries()) {
    stored.set(name, normalArray(shape, i));
  }
  const { outputs } = interpret(
    tapped,
    { x: normalArray([2, 5, 6], 9) },
    frozen(tapped, root.declarations, stored),
  );
  const values = toNumbers(outputs.get('pattern') ?? normalArray([1], 1));
  for (let row = 0; row < 2 * 2 * 5; row++) {
    const sum = values.subarray(row * 5, row * 5 + 5).reduce((a, v) => a + v, 0);
    expect(sum).toBeCloseTo(1, 5);
  }
});
