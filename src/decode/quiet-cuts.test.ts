import fc from 'fast-check';
import { expect, it } from 'vitest';
import { quietCuts } from './quiet-cuts.js';

const options = { most: 300, search: 100, least: 20, window: 10 };

it('covers everything, in pieces of allowed lengths', () => {
  const samples = fc.array(fc.float({ noNaN: true, min: -1, max: 1 }), { maxLength: 1500 });
  fc.assert(
    fc.property(samples, (values) => {
      const pieces = quietCuts(Float32Array.from(values), options);
      expect(pieces[0][0]).toBe(0);
      expect(pieces.at(-1)?.[1]).toBe(values.length);
      pieces.forEach(([start, end], i) => {
        if (i > 0) expect(start).toBe(pieces[i - 1][1]);
        expect(end - start).toBeLessThanOrEqual(options.most);
        if (pieces.length > 1) expect(end - start).toBeGreaterThanOrEqual(options.least);
      });
    }),
  );
});

it('cuts in the silence that is in reach', () => {
  fc.assert(
    fc.property(fc.integer({ min: 205, max: 285 }), (silence) => {
      const samples = Float32Array.from({ length: 400 }, (_, i) =>
        Math.abs(i - silence) < 8 ? 0 : i % 2 ? 0.5 : -0.5,
      );
      const [[, cut]] = quietCuts(samples, options);
      expect(Math.abs(cut - silence)).toBeLessThanOrEqual(5);
    }),
  );
});
