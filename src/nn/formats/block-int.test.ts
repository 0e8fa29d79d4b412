// Blockwise integers: what BCT's dossier asks of the quantiser beyond the conformance suite.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gaussian, many, studentT } from '../../../tests/support/draw.js';
import { byteLength, fromNumbers, ndarray, toNumbers } from '../../tensor/index.js';
import { blockInt } from './block-int.js';

type Options = Parameters<typeof blockInt.encode>[1];
const optionsOf = (given: Partial<Options> & Pick<Options, 'bits' | 'block'>): Options => ({
  scale: 'pow2',
  accuracy: 1,
  ...given,
});

const missOf = (values: Float64Array, columns: number, o: Options): number => {
  const size = { rows: values.length / columns, columns };
  const matrix = fromNumbers('f32', [size.rows, columns], values);
  const back = toNumbers(blockInt.decode(blockInt.encode(matrix, o), size, o));
  const x = toNumbers(matrix);
  return back.reduce((a, v, i) => a + (v - x[i]) ** 2, 0) / x.reduce((a, v) => a + v * v, 0);
};

it.each([4, 8] as const)(
  '%i bits: the shift is floor(log2(q_max / max)), powers of two included',
  (bits) => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ min: 1e-30, max: 1e30, noNaN: true }),
          fc.integer({ min: -99, max: 99 }).map((e) => 2 ** e),
        ),
        (max) => {
          const matrix = fromNumbers('f32', [1, 16], [max, ...Array(15).fill(0)]);
          const [largest] = toNumbers(matrix);
          const o = optionsOf({ bits, block: 16 });
          const [shift] = toNumbers(blockInt.encode(matrix, o).shift);
          const end = 2 ** (bits - 1) - 1;
          expect(largest * 2 ** shift).toBeLessThanOrEqual(end * (1 + 1e-15));
          expect(largest * 2 ** (shift + 1)).toBeGreaterThan(end * (1 - 1e-15));
        },
      ),
    );
  },
);

it.each(['float', 'pow2'] as const)('%s: blocks are independent', (scale) => {
  for (const bits of [4, 8] as const) {
    const o = optionsOf({ bits, block: 32, scale });
    const values = many(2 * 100, gaussian(1));
    const before = blockInt.encode(fromNumbers('f32', [2, 100], values), o);
    const changed = values.map((v, i) => (i >= 32 && i < 64 ? v * 37 : v));
    const after = blockInt.encode(fromNumbers('f32', [2, 100], changed), o);
    for (const name of Object.keys(before)) {
      const perBlock = before[name].data.length / 8;
      for (let b = 0; b < 8; b++) {
        const part = (array: typeof before) =>
          [...toNumbers(array[name])].slice(b * perBlock, (b + 1) * perBlock);
        if (b !== 1) expect(part(after)).toEqual(part(before));
      }
    }
  }
});

it('stores n bits a weight and one scale a block, whole blocks of ragged rows', () => {
  const bytesOf = (rows: number, columns: number, o: Options) =>
    Object.values(
      blockInt.encode(fromNumbers('f32', [rows, columns], Array(rows * columns).fill(1)), o),
    ).reduce((sum, array) => sum + byteLength(array), 0);
  // ceil(n * elements / 8) + one byte a block.
  expect(bytesOf(12, 256, optionsOf({ bits: 4, block: 64 }))).toBe((12 * 256) / 2 + 12 * 4);
  expect(bytesOf(12, 256, optionsOf({ bits: 8, block: 64 }))).toBe(12 * 256 + 12 * 4);
  // A row of 130 fills three blocks of 64: 62 codes of padding.
  expect(bytesOf(12, 130, optionsOf({ bits: 8, block: 64 }))).toBe(12 * 192 + 12 * 3);
});

it('float steps too small for float16 lose no more than half a unit of it', () => {
  const o = optionsOf({ bits: 8, block: 16, scale: 'float' });
  for (const max of [1e-5, 4e-6, 1e-6, 1e-7]) {
    const values = Array.from({ length: 16 }, (_, k) => (max * (k - 8)) / 8);
    const matrix = fromNumbers('f32', [1, 16], values);
    const back = toNumbers(
      blockInt.decode(blockInt.encode(matrix, o), { rows: 1, columns: 16 }, o),
    );
    for (const [k, v] of toNumbers(matrix).entries()) {
      expect(Math.abs(back[k] - v)).toBeLessThanOrEqual((max / 127 + 2 ** -24) / 2);
    }
  }
});

it('refuses weights beyond the range of a scale, and what is not a matrix', () => {
  const huge = ndarray('f32', [1, 16], new Float32Array(16).fill(2 ** 127));
  for (const scale of ['float', 'pow2'] as const) {
    expect(() => blockInt.encode(huge, optionsOf({ bits: 8, block: 16, scale }))).toThrowError(
      expect.objectContaining({ code: 'format/range' }),
    );
  }
  const cube = fromNumbers('f32', [1, 1, 16], Array(16).fill(1));
  expect(() => blockInt.encode(cube, optionsOf({ bits: 8, block: 16 }))).toThrowError(
    expect.objectContaining({ code: 'format/matrix' }),
  );
});

describe('relative squared error', () => {
  it('4 bits, one shift for 64 Gaussian weights: about 0.024', () => {
    const miss = missOf(many(64 * 512, gaussian(3)), 512, optionsOf({ bits: 4, block: 64 }));
    expect(miss).toBeGreaterThan(0.018);
    expect(miss).toBeLessThan(0.03);
  });

  it('float steps beat shifts, and short blocks long ones on heavy tails', () => {
    const values = many(64 * 512, studentT(4, 3));
    for (const bits of [4, 8] as const) {
      const pow2 = missOf(values, 512, optionsOf({ bits, block: 64 }));
      const float = missOf(values, 512, optionsOf({ bits, block: 64, scale: 'float' }));
      expect(float).toBeLessThan(pow2 / 1.5);
      const long = missOf(values, 512, optionsOf({ bits, block: 256 }));
      expect(pow2).toBeLessThan(long * 0.7);
    }
  });
});
