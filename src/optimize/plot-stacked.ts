// Bytes or FLOPs by module, before and after, as two bars on one scale.
import { REST, type Share } from './breakdown.js';
import { formatBytes, formatCount, formatRatio } from './format.js';
import type { Html } from './html.js';
import { asIs, type Canvas, shortened } from './plot-canvas.js';

export const stackColour = (index: number, group: string): string =>
  group === REST ? 'var(--rest)' : `var(--stack-${(index % 8) + 1})`;

const SIDES = ['before', 'after'] as const;

/** `names` are those of the two variants; `after` may lack everything (nothing was chosen). */
export function stacked(
  canvas: Canvas,
  shares: readonly Share[],
  what: 'bytes' | 'flops',
  names: { before: string; after: string },
): Html {
  const { Plot } = canvas;
  const show = what === 'bytes' ? formatBytes : (count: number) => `${formatCount(count)}FLOP`;
  const total = { before: 0, after: 0 };
  const bars = SIDES.flatMap((side) =>
    shares.map((share, i) => {
      const x1 = total[side];
      const amount = share[side][what];
      total[side] += amount;
      const tip = `${names[side]}, ${share.group}: ${show(amount)}`;
      return { side, x1, x2: total[side], fill: stackColour(i, share.group), tip };
    }),
  );
  const headings = SIDES.map((side) => {
    const ratio = side === 'after' && total.before > 0 ? total.after / total.before : undefined;
    const times = ratio === undefined ? '' : ` (${formatRatio(ratio)})`;
    return { side, text: `${shortened(names[side], 34)}: ${show(total[side])}${times}` };
  });
  return canvas.draw(
    `${what === 'bytes' ? 'Bytes' : 'FLOPs'} by module, ${names.before} and ${names.after}`,
    bars.map(({ tip }) => tip).join('; '),
    {
      width: 440,
      height: 136,
      marginLeft: 2,
      marginRight: 2,
      marginTop: 8,
      marginBottom: 4,
      x: { domain: [0, Math.max(total.before, total.after) || 1], axis: null },
      y: { domain: SIDES, axis: null, paddingInner: 0.5, paddingOuter: 0.3 },
      marks: [
        Plot.rectX(bars, {
          ...{ x1: 'x1', x2: 'x2', y: 'side', title: 'tip', stroke: 'var(--page)' },
          ...{ strokeWidth: 0.75, fill: asIs<(typeof bars)[number]>(({ fill }) => fill) },
        }),
        Plot.text(headings, {
          ...{ x: 0, y: 'side', text: 'text', dy: -27, textAnchor: 'start', fill: 'var(--ink)' },
        }),
      ],
    },
  );
}
