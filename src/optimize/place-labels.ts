// Labels beside points so that none covers a point or another label: greedy, in the order given, each
// at the first of eight places that is free; a label that fits nowhere is left out. Pixels, y down.

export type LabelPoint = {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Empty: an obstacle only. */
  readonly text: string;
};

export type Label = {
  readonly text: string;
  /** The left end and the middle of the height. */
  readonly x: number;
  readonly y: number;
};

type Box = { left: number; top: number; right: number; bottom: number };

const CHARACTER = 6.3;
const HEIGHT = 13;

/** Places for the texts of `points`, most important first, inside a plot of the given bounds. */
export function placeLabels(points: readonly LabelPoint[], bounds: Box): Label[] {
  const taken: Box[] = points.map(({ x, y, radius }) => ({
    left: x - radius - 1,
    right: x + radius + 1,
    top: y - radius - 1,
    bottom: y + radius + 1,
  }));
  const labels: Label[] = [];
  for (const point of points) {
    if (point.text === '') continue;
    const width = [...point.text].length * CHARACTER;
    for (const [dx, dy] of placesAround(point.radius + 5, width)) {
      const box = {
        left: point.x + dx,
        right: point.x + dx + width,
        top: point.y + dy - HEIGHT / 2,
        bottom: point.y + dy + HEIGHT / 2,
      };
      if (!inside(box, bounds) || taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      labels.push({ text: point.text, x: box.left, y: point.y + dy });
      break;
    }
  }
  return labels;
}

function placesAround(gap: number, width: number): [number, number][] {
  const [middle, left] = [-width / 2, -gap - width];
  const [up, down] = [-gap - 5, gap + 5];
  return [
    [gap, 0],
    [left, 0],
    [middle, up],
    [middle, down],
    [gap - 3, up],
    [gap - 3, down],
    [left + 3, up],
    [left + 3, down],
  ];
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const inside = (box: Box, bounds: Box): boolean =>
  box.left >= bounds.left &&
  box.right <= bounds.right &&
  box.top >= bounds.top &&
  box.bottom <= bounds.bottom;
