// Labels beside points so that none covers a point or another label, and none is nearer to another
// point than to its own: greedy, in the order given, each at the first of eight places that is free, of
// lines too if one is; a label that fits nowhere is left out. Pixels, y down.

export type LabelPoint = {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Empty: an obstacle only. */
  readonly text: string;
  readonly bold?: boolean;
};

export type Line = readonly [x1: number, y1: number, x2: number, y2: number];

export type Label = {
  readonly text: string;
  /** Where the text starts, or ends: the end that is at its point, for widths are estimates. */
  readonly x: number;
  readonly anchor: 'start' | 'end';
  /** The middle of the height. */
  readonly y: number;
};

type Box = { left: number; top: number; right: number; bottom: number };

const CHARACTER = 6.6;
const BOLD = 7.4;
const HEIGHT = 13;

/** Places for the texts of `points`, most important first, inside a plot of the given bounds. */
export function placeLabels(
  points: readonly LabelPoint[],
  bounds: Box,
  lines: readonly Line[] = [],
): Label[] {
  const taken: Box[] = points.map(({ x, y, radius }) => ({
    left: x - radius - 1,
    right: x + radius + 1,
    top: y - radius - 1,
    bottom: y + radius + 1,
  }));
  const labels: Label[] = [];
  for (const point of points) {
    if (point.text === '') continue;
    const width = [...point.text].length * (point.bold ? BOLD : CHARACTER);
    const free = placesAround(point.radius + 4, width)
      .map(([dx, dy]) => ({
        left: point.x + dx,
        right: point.x + dx + width,
        top: point.y + dy - HEIGHT / 2,
        bottom: point.y + dy + HEIGHT / 2,
      }))
      .filter((box) => inside(box, bounds) && !taken.some((other) => overlap(box, other)))
      .filter((box) => {
        const own = distance(box, point);
        return !points.some((other) => other !== point && distance(box, other) < own);
      });
    const place = free.find((box) => !lines.some((line) => crosses(line, box))) ?? free[0];
    if (place === undefined) continue;
    taken.push(place);
    const y = place.top + HEIGHT / 2;
    labels.push(
      place.right < point.x
        ? { text: point.text, x: place.right, anchor: 'end', y }
        : { text: point.text, x: place.left, anchor: 'start', y },
    );
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

/** From the edge of the point to the box. */
const distance = (box: Box, { x, y, radius }: LabelPoint): number =>
  Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom)) -
  radius;

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const inside = (box: Box, bounds: Box): boolean =>
  box.left >= bounds.left &&
  box.right <= bounds.right &&
  box.top >= bounds.top &&
  box.bottom <= bounds.bottom;

/** Whether the segment passes through the box: its part inside all four sides is not empty. */
function crosses([x1, y1, x2, y2]: Line, box: Box): boolean {
  let [from, to] = [0, 1];
  const sides = [
    [x1 - x2, x1 - box.left],
    [x2 - x1, box.right - x1],
    [y1 - y2, y1 - box.top],
    [y2 - y1, box.bottom - y1],
  ];
  for (const [step, room] of sides) {
    if (step === 0 && room < 0) return false;
    if (step < 0) from = Math.max(from, room / step);
    if (step > 0) to = Math.min(to, room / step);
  }
  return from <= to;
}
