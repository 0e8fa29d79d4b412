// What is paid against what is kept: a cost as a multiple of the original across, a quality upwards.
// The zone that the budget allows is tinted; a line joins the candidates that none beats on these two.
import type { Assessment } from './assess.js';
import { formatRatio, formatShare } from './format.js';
import type { Html } from './html.js';
import { metricOf, ratioTo } from './metric.js';
import { paretoFront } from './pareto.js';
import { type LabelPoint, type Line, placeLabels } from './place-labels.js';
import { asIs, type Canvas, shortened } from './plot-canvas.js';
import { kindOf, LOOK, limitsOn, tightest } from './plot-look.js';

const FRAME = {
  width: 440,
  height: 330,
  marginLeft: 50,
  marginRight: 16,
  marginTop: 28,
  marginBottom: 42,
};
const INNER_WIDTH = FRAME.width - FRAME.marginLeft - FRAME.marginRight;
const INNER_HEIGHT = FRAME.height - FRAME.marginTop - FRAME.marginBottom;

/** `cost` and `quality` name metrics; candidates that lack one are left out. */
export function scatter(
  canvas: Canvas,
  assessment: Assessment,
  cost: string,
  quality: string,
): Html {
  const { Plot } = canvas;
  const [costRow, qualityRow] = [metricOf(cost), metricOf(quality)];
  const found = pointsOf(assessment, cost, quality);
  const xLimit = tightest(limitsOn(assessment, cost, 'ratio'), costRow.better);
  const yLimit = tightest(limitsOn(assessment, quality, 'amount'), qualityRow.better);
  const xHigh = 1.06 * Math.max(1, ...found.map(({ x }) => x), xLimit?.at ?? 0);
  const heights = found.map(({ value }) => value);
  const [yLow, yHigh] = qualityDomain(heights, yLimit?.at);
  const points = found
    .map((point) => ({ ...point, y: Math.max(point.value, yLow), below: point.value < yLow }))
    .sort((a, b) => a.rank - b.rank);

  const front = points.filter(({ onFront }) => onFront).sort((a, b) => a.x - b.x);
  const toX = (x: number) => FRAME.marginLeft + (x / xHigh) * INNER_WIDTH;
  const toY = (y: number) => FRAME.marginTop + ((yHigh - y) / (yHigh - yLow)) * INNER_HEIGHT;
  const bounds = {
    left: FRAME.marginLeft - 6,
    right: FRAME.width,
    top: 0,
    bottom: FRAME.height - FRAME.marginBottom - 14,
  };
  const lines: Line[] = front
    .slice(1)
    .map((point, i) => [toX(front[i].x), toY(front[i].y), toX(point.x), toY(point.y)]);
  if (xLimit) lines.push([toX(xLimit.at), 0, toX(xLimit.at), FRAME.height]);
  if (yLimit) lines.push([0, toY(yLimit.at), FRAME.width, toY(yLimit.at)]);
  const labels = placeLabels(
    points.map(
      (point): LabelPoint => ({
        x: toX(point.x),
        y: toY(point.y),
        radius: point.radius,
        text: point.kind === 'screened' || point.below ? '' : shortened(point.name, 26),
        bold: point.rank === 0,
      }),
    ),
    bounds,
    lines,
  ).map(({ text, x, y, anchor }) => ({
    text,
    anchor,
    x: ((x - FRAME.marginLeft) / INNER_WIDTH) * xHigh,
    y: yHigh - ((y - FRAME.marginTop) / INNER_HEIGHT) * (yHigh - yLow),
  }));
  const first = points[0]?.rank === 0 ? shortened(points[0].name, 26) : undefined;
  const labelMarks = (strong: boolean, fill: string) =>
    (['start', 'end'] as const).map((textAnchor) =>
      Plot.text(
        labels.filter(({ text, anchor }) => (text === first) === strong && anchor === textAnchor),
        {
          ...{ x: 'x', y: 'y', text: 'text', textAnchor, fill },
          ...{ fontWeight: strong ? 700 : 400, stroke: 'var(--page)', strokeWidth: 3 },
        },
      ),
    );
  type Point = (typeof points)[number];
  // Below the axis: an arrowhead at its foot.
  const shapeOf = ({ below, kind }: Point) =>
    below ? 'triangle' : kind === 'original' ? 'diamond' : 'circle';
  const dots = (['triangle', 'circle', 'diamond'] as const).map((symbol) =>
    Plot.dot(points.filter((point) => shapeOf(point) === symbol).toReversed(), {
      ...{ x: 'x', y: 'y', r: 'radius', title: 'tip', strokeWidth: 1.5, symbol },
      fill: asIs<Point>((point) => point.fill),
      stroke: asIs<Point>((point) => point.stroke),
      rotate: symbol === 'triangle' ? 180 : 0,
    }),
  );
  const zone = { x1: 0, x2: xLimit?.at ?? xHigh, y1: yLimit?.at ?? yLow, y2: yHigh };
  const dashed = { stroke: 'var(--limit)', strokeDasharray: '4 3' };
  const note = { text: 'text', fill: 'var(--limit)' };
  return canvas.draw(
    `${costRow.title} against ${qualityRow.title.toLowerCase()}`,
    points.map(({ tip }) => tip.replace('\n', ': ')).join('; '),
    {
      ...FRAME,
      x: {
        domain: [0, xHigh],
        label: `${costRow.title}, multiple of the original`,
        labelArrow: 'none',
        labelAnchor: 'center',
        tickFormat: (x: number) => `${Number(x.toFixed(2))}x`,
        ticks: 6,
      },
      y: {
        domain: [yLow, yHigh],
        label: qualityRow.title,
        labelArrow: 'none',
        tickSize: 0,
        tickPadding: 12,
        ticks: 6,
        tickFormat: (y: number) => y.toFixed(yHigh - yLow < 0.05 ? 3 : 2),
      },
      r: { type: 'identity' },
      marks: [
        Plot.rect(xLimit || yLimit ? [zone] : [], {
          ...{ x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'var(--zone)' },
        }),
        Plot.gridY({ stroke: 'var(--line)', strokeOpacity: 1, ticks: 6 }),
        Plot.ruleX(xLimit ? [xLimit] : [], { x: 'at', ...dashed }),
        Plot.ruleY(yLimit ? [yLimit] : [], { y: 'at', ...dashed }),
        Plot.text(xLimit ? [xLimit] : [], {
          ...{ ...note, x: 'at', y: yLow, dx: 5, dy: -8, textAnchor: 'start' },
        }),
        Plot.text(yLimit ? [yLimit] : [], {
          ...{ ...note, x: xHigh, y: 'at', dx: -2, dy: 9, textAnchor: 'end' },
        }),
        Plot.line(front, { x: 'x', y: 'y', stroke: 'var(--front)', strokeOpacity: 0.55 }),
        ...dots,
        ...labelMarks(false, 'var(--soft)'),
        ...labelMarks(true, LOOK[points[0]?.kind ?? 'chosen'].fill),
      ],
    },
  );
}

function pointsOf(assessment: Assessment, cost: string, quality: string) {
  const { rows, original } = assessment;
  const { front } = paretoFront(
    rows.map(({ candidate }) => candidate).filter(({ stage }) => stage === 'confirmed'),
    [cost, quality],
  );
  return rows.flatMap((row) => {
    const { candidate } = row;
    const x = ratioTo(cost, candidate.metrics, original.metrics)?.value;
    const value = candidate.metrics[quality]?.value;
    if (x === undefined || value === undefined || candidate.stage === 'failed') return [];
    const kind = kindOf(row, front, assessment);
    const tip = `${candidate.name}\n${cost} ${formatRatio(x)}, ${quality} ${formatShare(value)}`;
    const onFront = front.includes(candidate.name);
    return [{ name: candidate.name, kind, ...LOOK[kind], x, value, tip, onFront }];
  });
}

/**
 * From a little below what matters to a little above the best. What matters is the limit and the
 * better half of the candidates; a ruined one would press all the others into one line, so it is
 * drawn at the foot instead.
 */
function qualityDomain(values: readonly number[], limit: number | undefined): [number, number] {
  const sorted = [...values].sort((a, b) => b - a);
  const top = Math.max(sorted[0] ?? 1, limit ?? Number.NEGATIVE_INFINITY);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? top;
  const reach = 2.2 * (top - Math.min(middle, limit ?? middle));
  const lowest = Math.max(sorted[sorted.length - 1] ?? top, top - reach);
  const span = Math.max(top - Math.min(lowest, limit ?? lowest), 0.004);
  return [top - span * 1.12, top + span * 0.06];
}
