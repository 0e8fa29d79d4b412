import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breakdown, REST } from './breakdown.js';

const row = (path: string, bytes: number, flops = 0) => ({ path, bytes, flops });

describe('the breakdown', () => {
  it('cuts paths as deep as the limit allows and matches both sides', () => {
    const before = [
      row('emb', 10),
      row('blocks.0.att.q', 4, 8),
      row('blocks.0.mlp', 6),
      row('blocks.1.att.q', 5),
    ];
    const after = [row('emb', 3), row('blocks.0.att.q.down', 1), row('blocks.0.att.q.up', 1)];
    expect(breakdown(before, after, 4).map(({ group }) => group)).toEqual([
      'emb',
      'blocks.0.att.q',
      'blocks.0.mlp',
      'blocks.1.att.q',
    ]);
    const coarse = breakdown(before, after, 3);
    expect(coarse.map(({ group }) => group)).toEqual(['emb', 'blocks.0', 'blocks.1']);
    expect(coarse[1]).toEqual({
      group: 'blocks.0',
      before: { bytes: 10, flops: 8 },
      after: { bytes: 2, flops: 0 },
    });
  });

  it('adds up the smallest where even the first names are too many', () => {
    const shares = breakdown(
      ['a', 'b', 'c', 'd', 'e'].map((path, i) => row(path, i + 1)),
      [],
      3,
    );
    expect(shares.map(({ group, before }) => [group, before.bytes])).toEqual([
      ['d', 4],
      ['e', 5],
      [REST, 6],
    ]);
  });

  it('keeps the sums and the limit', () => {
    const path = fc.array(fc.constantFrom('a', 'b', '0', '1', REST), {
      minLength: 1,
      maxLength: 4,
    });
    const rows = fc.array(
      fc.tuple(path, fc.nat(1000)).map(([parts, n]) => row(parts.join('.'), n, n)),
    );
    fc.assert(
      fc.property(rows, rows, fc.integer({ min: 1, max: 6 }), (before, after, limit) => {
        const shares = breakdown(before, after, limit);
        expect(shares.length).toBeLessThanOrEqual(limit);
        const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
        expect(sum(shares.map((s) => s.before.bytes))).toBe(sum(before.map((r) => r.bytes)));
        expect(sum(shares.map((s) => s.after.flops))).toBe(sum(after.map((r) => r.flops)));
      }),
    );
  });
});
