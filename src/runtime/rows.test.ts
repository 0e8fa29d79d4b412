import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromNumbers, type NDArray, sizeOf, zerosOf } from '../tensor/index.js';
import { rowsFit, writeRows } from './rows.js';

const places = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
  .chain((shape) =>
    fc.nat(shape.length - 1).chain((axis) =>
      fc.tuple(fc.nat(shape[axis]), fc.nat(shape[axis])).map(([a, b]) => ({
        shape,
        axis,
        start: Math.min(a, b),
        count: Math.abs(a - b),
      })),
    ),
  );

/** The coordinates of a flat position. */
function coordinates(shape: readonly number[], flat: number): number[] {
  let rest = flat;
  return shape.map((_, i) => {
    const step = sizeOf(shape.slice(i + 1));
    const at = Math.floor(rest / step);
    rest -= at * step;
    return at;
  });
}

describe('rows', () => {
  it('land where they belong and nowhere else', () =>
    fc.assert(
      fc.property(places, ({ shape, axis, start, count }) => {
        const rows = shape.map((size, i) => (i === axis ? count : size));
        expect(rowsFit(shape, rows, axis, start)).toBe(true);
        const values = Array.from({ length: sizeOf(rows) }, (_, i) => i + 1);
        const source = fromNumbers('i32', rows, values);
        const target: NDArray = zerosOf('i32', shape);
        writeRows(target, source, axis, start);
        target.data.forEach((value: number | bigint, flat: number) => {
          const at = coordinates(shape, flat);
          const inside = at[axis] >= start && at[axis] < start + count;
          const from = at.map((c, i) => (i === axis ? c - start : c));
          const place = from.reduce((sum, c, i) => sum * rows[i] + c, 0);
          expect(value).toBe(inside ? place + 1 : 0);
        });
      }),
    ));

  it('do not fit past the end, before the start, or in other axes', () => {
    expect(rowsFit([4, 3], [2, 3], 0, 2)).toBe(true);
    for (const [rows, axis, start] of [
      [[2, 3], 0, 3],
      [[2, 3], 0, -1],
      [[2, 2], 0, 0],
      [[2, 3], 2, 0],
      [[2, 3], 0, 0.5],
      [[6], 0, 0],
    ] as const) {
      expect(rowsFit([4, 3], rows, axis, start)).toBe(false);
    }
  });
});
