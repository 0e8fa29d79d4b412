import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate } from './candidate.js';
import { paretoFront, showDominated } from './pareto.js';

const candidate = (name: string, values: Record<string, number>): Candidate => ({
  name,
  passes: [],
  stage: 'confirmed',
  metrics: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value }])),
});

describe('the Pareto front', () => {
  it('knows the direction of each metric and says who beats whom on what', () => {
    const result = paretoFront(
      [
        candidate('original', { size: 28, latency: 12, quality: 1 }),
        candidate('int8', { size: 8, latency: 7, quality: 0.99 }),
        candidate('slow', { size: 8, latency: 13, quality: 0.98 }),
        candidate('int4', { size: 5, latency: 9, quality: 0.97 }),
        candidate('half', { size: 5, quality: 0.9 }),
      ],
      ['size', 'latency', 'quality'],
    );
    expect(result.front).toEqual(['original', 'int8', 'int4']);
    expect(result.incomplete).toEqual(['half']);
    expect(result.dominated).toEqual([
      { name: 'slow', by: 'int8', better: ['latency', 'quality'], equal: ['size'] },
    ]);
    expect(showDominated(result.dominated[0])).toBe(
      'int8 is better on latency and quality and equal on size',
    );
  });

  it('keeps equals, and leaves failures out', () => {
    const twin = { size: 1, quality: 0.5 };
    const failed: Candidate = { ...candidate('c', twin), stage: 'failed' };
    const { front, incomplete } = paretoFront(
      [candidate('a', twin), candidate('b', twin), failed],
      ['size', 'quality'],
    );
    expect(front).toEqual(['a', 'b']);
    expect(incomplete).toEqual(['c']);
  });

  it('is a partition whose every reason is true', () => {
    const value = fc.integer({ min: 0, max: 5 });
    const row = fc.record({ size: value, latency: value, quality: value });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const list = rows.map((values, i) => candidate(`c${i}`, values));
        const { front, dominated } = paretoFront(list, ['size', 'latency', 'quality']);
        expect([...front, ...dominated.map((d) => d.name)].sort()).toEqual(
          list.map((c) => c.name).sort(),
        );
        const at = (name: string) => rows[Number(name.slice(1))];
        for (const { name, by, better, equal } of dominated) {
          expect(front).toContain(by);
          expect(better.length).toBeGreaterThan(0);
          expect(better.length + equal.length).toBe(3);
          expect(at(by).size).toBeLessThanOrEqual(at(name).size);
          expect(at(by).latency).toBeLessThanOrEqual(at(name).latency);
          expect(at(by).quality).toBeGreaterThanOrEqual(at(name).quality);
        }
        for (const one of front) {
          for (const other of rows) {
            const me = at(one);
            const noWorse =
              other.size <= me.size && other.latency <= me.latency && other.quality >= me.quality;
            if (noWorse) expect(other).toEqual(me);
          }
        }
      }),
    );
  });
});
