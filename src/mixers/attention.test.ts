// What attention does beyond the conformance suite: errors, and queries that may see nothing.
import { describe, expect, it } from 'vitest';
import { normalArray } from '../../tests/support/draw.js';
import { frozen } from '../../tests/support/frozen.js';
import { mixerCases } from '../../tests/support/mixer-cases.js';
import { expectNear, maskOf } from '../../tests/support/mixer-run.js';
import { Scope } from '../nn/index.js';
import {
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  type NDArray,
  tap,
  toNumbers,
} from '../tensor/index.js';
import { resolveMixer } from './registry.js';

describe('errors', () => {
  it('an unknown mixer and a wrong option are named', () => {
    expect(() => resolveMixer('atention', {})).toThrowError(
      expect.objectContaining({ code: 'mixer/unknown', hint: 'did you mean attention?' }),
    );
    const [{ options }] = mixerCases.attention;
    const wrong: [object, string][] = [
      [{ ...options, heads: 0 }, 'heads'],
      [{ ...options, heads: 4, kvHeads: 3 }, 'kvHeads'],
      [{ ...options, rotary: { base: 10, width: 3, layout: 'halves' } }, 'rotary.width'],
      [{ ...options, rotary: { base: 10, width: 8, layout: 'halves' } }, 'rotary.width'],
      [{ ...options, names: { q: 'q' } }, 'names'],
      [{ ...options, kvHeads: 2, fused: 'heads' }, 'fused'],
    ];
    for (const [given, where] of wrong) {
      expect(() => resolveMixer('attention', given)).toThrowError(
        expect.objectContaining({ code: 'mixer/options', what: expect.stringContaining(where) }),
      );
    }
  });

  it('rotary attention without positions says where', () => {
    const [, { options, width }] = mixerCases.attention;
    const resolved = resolveMixer('attention', options);
    const x = input('x', 'f32', ['batch', 'seq', width]);
    const s = Scope.root().at('layers', 2, 'self_attn');
    expect(() => resolved.mixer.mix(s, x, resolved.options, {})).toThrowError(
      expect.objectContaining({
        code: 'mixer/positions',
        what: expect.stringContaining('layers.2.self_attn'),
      }),
    );
  });
});

describe('attention', () => {
  it('a query that may see nothing gets the mean of all values', () => {
    const resolved = resolveMixer('attention', {
      heads: 1,
      headDim: 2,
      outWidth: 2,
      names: { q: 'q', k: 'k', v: 'v', o: 'o' },
    });
    const root = Scope.root();
    const x = input('x', 'f32', [1, 3, 2]);
    const mask = input('mask', 'bool', [1, 1, 3, 3]);
    const g = graph({ y: resolved.mixer.mix(root.at('m'), x, resolved.options, { mask }) });
    const identity = fromNumbers('f32', [2, 2], [1, 0, 0, 1]);
    const stored = new Map(['q', 'k', 'v', 'o'].map((name) => [`m.${name}.weight`, identity]));
    const feeds = {
      x: fromNumbers('f32', [1, 3, 2], [1, 2, 3, 4, 8, 6]),
      mask: maskOf(1, 3, 3, (_, i, j) => i > 0 && j === 1),
    };
    const y = interpret(g, feeds, frozen(g, root.declarations, stored)).outputs.get('y') as NDArray;
    expectNear(toNumbers(y), [4, 4, 3, 4, 3, 4], 1e-6);
  });

  it('adds a bias to its scores', () => {
    const [, { options, width }] = mixerCases.attention;
    const resolved = resolveMixer('attention', options);
    const seq = 6;
    const x = normalArray([1, seq, width], 1);
    const root = Scope.root();
    const positions = fromNumbers('i64', [1, seq], [0, 1, 2, 3, 4, 5]);
    const bias = normalArray([1, 4, seq, seq], 2, 3);
    const g = (extra: boolean) => {
      const y = resolved.mixer.mix(root.at('m'), input('x', 'f32', x.shape), resolved.options, {
        positions: input('positions', 'i64', [1, seq]),
        bias: extra ? input('bias', 'f32', bias.shape) : undefined,
      });
      return graph({ y });
    };
    const [plain, biased] = [g(false), g(true)];
    const stored = new Map<string, NDArray>();
    for (const [i, { name, shape }] of [...root.declarations.stored.values()].entries()) {
      stored.set(name, normalArray(shape, 10 + i, 0.5));
    }
    const scoresOf = (one: Graph, feeds: Record<string, NDArray>) => {
      const tapped = graph({ s: tap(one, 'm.scores') });
      const weights = frozen(tapped, root.declarations, stored);
      return toNumbers(interpret(tapped, feeds, weights).outputs.get('s') as NDArray);
    };
    const without = scoresOf(plain, { x, positions });
    const added = toNumbers(bias);
    expectNear(
      scoresOf(biased, { x, positions, bias }),
      without.map((score, i) => score + added[i]),
      1e-5,
    );
  });
});
