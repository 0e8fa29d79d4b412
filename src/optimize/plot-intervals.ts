// One metric of every confirmed candidate, best first: the median as a dot, its 95 % interval as a
// bar; the original's value is a solid line, the budget's limits are dashed.
import type { Assessment } from './assess.js';
import { formatEstimate } from './format.js';
import type { Html } from './html.js';
import { metricOf } from './metric.js';
import { asIs, type Canvas, shortened } from './plot-canvas.js';
import { kindOf, LOOK, limitsOn } from './plot-look.js';

const ROW = 21;

export function intervals(canvas: Canvas, assessment: Assessment, metric: string): Html {
  const { Plot } = canvas;
  const row = metricOf(metric);
  const { scale, unit } = axisUnit(row.unit);
  const data = assessment.rows
    .flatMap((one) => {
      const { name, stage, metrics } = one.candidate;
      const measured = metrics[metric];
      if (measured === undefined || stage !== 'confirmed') return [];
      const { value, low = value, high = value } = measured;
      const { fill } = LOOK[kindOf(one, assessment.front.front, assessment)];
      const tip = `${name}\n${formatEstimate(row, measured)}`;
      return [{ name, value: value * scale, low: low * scale, high: high * scale, fill, tip }];
    })
    .sort((a, b) => (row.better === 'lower' ? a.value - b.value : b.value - a.value));
  type Datum = (typeof data)[number];
  const colour = asIs<Datum>(({ fill }) => fill);
  const base = assessment.original.metrics[metric]?.value;
  const marks = limitsOn(assessment, metric, 'amount').map(({ at, text }) => ({
    at: at * scale,
    text,
  }));
  return canvas.draw(
    `${row.title} of every confirmed candidate, with 95 % intervals`,
    data.map(({ tip }) => tip.replace('\n', ': ')).join('; '),
    {
      width: 440,
      height: 62 + ROW * data.length,
      marginLeft: 132,
      marginRight: 24,
      marginTop: 22,
      marginBottom: 40,
      x: {
        zero: true,
        nice: true,
        label: `${row.title}, ${unit}`,
        labelArrow: 'none',
        labelAnchor: 'center',
        ticks: 6,
      },
      y: {
        domain: data.map(({ name }) => name),
        tickFormat: (name: string) => shortened(name, 20),
        label: null,
        tickSize: 0,
      },
      marks: [
        Plot.gridX({ stroke: 'var(--line)', strokeOpacity: 1, ticks: 6 }),
        Plot.ruleX(base === undefined ? [] : [base * scale], {
          ...{ stroke: 'var(--ink)', strokeOpacity: 0.4 },
        }),
        Plot.ruleX(marks, { x: 'at', stroke: 'var(--limit)', strokeDasharray: '4 3' }),
        Plot.text(marks, {
          ...{ x: 'at', frameAnchor: 'top', text: 'text', dy: -14, fill: 'var(--limit)' },
        }),
        Plot.link(data, {
          ...{ x1: 'low', x2: 'high', y1: 'name', y2: 'name', stroke: colour },
          ...{ strokeWidth: 5, strokeOpacity: 0.35, strokeLinecap: 'round' },
        }),
        Plot.dot(data, { x: 'value', y: 'name', r: 4, fill: colour, title: 'tip' }),
      ],
    },
  );
}

function axisUnit(unit: string): { scale: number; unit: string } {
  switch (unit) {
    case 'seconds':
      return { scale: 1e3, unit: 'milliseconds' };
    case 'bytes':
      return { scale: 1e-6, unit: 'MB' };
    case 'perSecond':
      return { scale: 1, unit: 'per second' };
    default:
      return { scale: 1, unit };
  }
}
