import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  digitsAgainst,
  formatBytes,
  formatCount,
  formatEstimate,
  formatRatio,
  formatSeconds,
  formatShare,
  listed,
  significant,
} from './format.js';

describe('formats', () => {
  it('keeps three significant digits and no exponent', () => {
    expect([1234567, 12.34, 0.012345, 999.96, 0, 12].map((n) => significant(n))).toEqual([
      '1,230,000',
      '12.3',
      '0.0123',
      '1,000',
      '0',
      '12.0',
    ]);
  });

  it('changes the unit after rounding', () => {
    expect([512, 999, 999_700, 27_903_508, 3.2e9].map(formatBytes)).toEqual([
      '512 B',
      '999 B',
      '1.00 MB',
      '27.9 MB',
      '3.20 GB',
    ]);
    expect([12e-6, 0.0118, 0.9999, 61].map(formatSeconds)).toEqual([
      '12.0 µs',
      '11.8 ms',
      '1.00 s',
      '61.0 s',
    ]);
    expect(formatCount(6_975_877)).toBe('6.98 M');
  });

  it('does not call 0.99987 one', () => {
    expect([1, 0.99987, 0.9971, 0.5].map(formatShare)).toEqual([
      '1.000',
      '0.9999',
      '0.997',
      '0.500',
    ]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1 - 1e-6, noNaN: true }), (share) => {
        expect(Number(formatShare(share))).toBeLessThan(1);
      }),
    );
  });

  it('shows ratios', () => {
    expect([0.2681, 1, 12.34, 0.0041, 0.996, 0.0996, 123.4].map(formatRatio)).toEqual([
      '0.27x',
      '1.00x',
      '12.3x',
      '0.0041x',
      '1.00x',
      '0.10x',
      '123x',
    ]);
  });

  it('shows intervals only where there are some', () => {
    expect(formatEstimate({ unit: 'seconds' }, { value: 0.0118, low: 0.0116, high: 0.0121 })).toBe(
      '11.8 ms (11.6 ms to 12.1 ms)',
    );
    expect(formatEstimate({ unit: 'bytes' }, { value: 8e6 })).toBe('8.00 MB');
  });

  it('keeps a value on its side of a limit', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 10, noNaN: true }),
        fc.double({ min: -1e-6, max: 1e-6, noNaN: true }),
        (limit, off) => {
          const value = limit + off;
          expect(Math.sign(Number(digitsAgainst(value, limit, 2)) - limit)).toBe(
            Math.sign(value - limit),
          );
        },
      ),
    );
  });

  it('lists', () => {
    expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c']);
  });
});
