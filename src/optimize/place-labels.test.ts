import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LabelPoint, placeLabels } from './place-labels.js';

const bounds = { left: 0, top: 0, right: 400, bottom: 300 };

describe('labels', () => {
  it('stand to the right where there is room, and avoid lines if they can', () => {
    const point = { x: 100, y: 100, radius: 4, text: 'one' };
    expect(placeLabels([point], bounds)[0]).toMatchObject({ text: 'one', x: 108, y: 100 });
    const [moved] = placeLabels([point], bounds, [[100, 100, 400, 100]]);
    expect(moved.x).toBeLessThan(100);
    expect(placeLabels([{ ...point, x: 395 }], bounds)[0].x).toBeLessThan(395);
  });

  it('are left out where nothing is free, and never where they would name another point', () => {
    const crowd = Array.from({ length: 60 }, (_, i) => ({
      x: 200,
      y: 150 + (i % 3),
      radius: 4,
      text: `c${i}`,
    }));
    expect(placeLabels(crowd, bounds).length).toBeLessThan(10);
    const label = placeLabels(
      [
        { x: 100, y: 100, radius: 4, text: 'upper' },
        { x: 100, y: 118, radius: 4, text: '' },
      ],
      bounds,
      [
        [104, 100, 300, 100],
        [0, 100, 96, 100],
        [100, 0, 100, 96],
      ],
    )[0];
    expect(label.y).toBeLessThanOrEqual(100);
  });

  it('never overlap each other, a point, or the frame', () => {
    const point = fc.record({
      x: fc.integer({ min: 0, max: 400 }),
      y: fc.integer({ min: 0, max: 300 }),
      radius: fc.constantFrom(4, 8),
      text: fc.constantFrom('', 'ab', 'a longer name'),
    });
    fc.assert(
      fc.property(fc.array(point, { maxLength: 25 }), (points: LabelPoint[]) => {
        const boxes = placeLabels(points, bounds).map(({ text, x, y, anchor }) => {
          const left = anchor === 'start' ? x : x - 6.6 * text.length;
          return { left, right: left + 6.6 * text.length, top: y - 6.5, bottom: y + 6.5 };
        });
        const apart = (a: (typeof boxes)[0], b: (typeof boxes)[0]) =>
          a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        boxes.forEach((box, i) => {
          for (const other of boxes.slice(i + 1)) expect(apart(box, other)).toBe(true);
          for (const { x, y } of points) {
            expect(apart(box, { left: x, right: x, top: y, bottom: y })).toBe(true);
          }
          expect(box.left).toBeGreaterThanOrEqual(0);
          expect(box.right).toBeLessThanOrEqual(400);
        });
      }),
    );
  });
});
