// Windows over a stream: every token is predicted once, with the context that was promised.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stridedWindows } from './windows.js';

const sizes = fc
  .record({ length: fc.nat(200), context: fc.integer({ min: 2, max: 20 }) })
  .chain(({ length, context }) =>
    fc.integer({ min: 1, max: context - 1 }).map((stride) => ({ length, context, stride })),
  );

it('predicts every token but the first once, after enough of the stream', () => {
  fc.assert(
    fc.property(sizes, ({ length, context, stride }) => {
      const predicted: number[] = [];
      for (const window of stridedWindows(length, { context, stride })) {
        expect(window.length).toBeLessThanOrEqual(context);
        expect(window.start + window.length).toBeLessThanOrEqual(length);
        expect(window.from).toBeGreaterThan(0);
        for (let k = window.from; k < window.length; k++) {
          predicted.push(window.start + k);
          if (window.start > 0) expect(k).toBeGreaterThanOrEqual(context - stride);
        }
      }
      expect(predicted).toEqual(Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1));
    }),
  );
});

it('refuses strides that leave no context', () => {
  for (const stride of [0, 8, 9, 1.5, Number.NaN]) {
    expect(() => stridedWindows(9, { context: 8, stride })).toThrow(
      expect.objectContaining({ code: 'data/stride' }),
    );
  }
});
