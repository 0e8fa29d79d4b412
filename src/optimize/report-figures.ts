// The report's figures with their captions and keys, and the facts at its end.
import type { Assessment } from './assess.js';
import { breakdown } from './breakdown.js';
import { formatBytes, formatCount, formatRatio } from './format.js';
import { type Html, html } from './html.js';
import { isQuality, metricOf } from './metric.js';
import type { Canvas } from './plot-canvas.js';
import { intervals } from './plot-intervals.js';
import { scatter } from './plot-scatter.js';
import { stackColour, stacked } from './plot-stacked.js';
import type { ReportData } from './report.js';
import { shownRow } from './report-choice.js';

const figure = (svg: Html, caption: string): Html =>
  html`<figure>${svg}<figcaption>${caption}</figcaption></figure>`;

export function tradeOffSection(canvas: Canvas, assessment: Assessment): Html {
  const { original, budget, rows, recommendation } = assessment;
  const has = (name: string) => original.metrics[name] !== undefined;
  // The quality that the budget is about, where that is not the headline one.
  const quality =
    budget.constraints.find(({ metric }) => isQuality(metric) && metric.better === 'higher')?.metric
      .name ?? 'quality';
  const costs = ['size', 'latency'].filter(has);
  if (!has(quality) || costs.length === 0) return html``;
  const screened = rows.some(({ candidate }) => candidate.stage === 'screened');
  return html`<section>
<h2>What is paid, what is kept</h2>
<p class="note">Up and to the left is better. The tinted zone is what the budget allows on the two axes. The line joins the candidates that no other beats on these two; an arrowhead at the foot stands for one further down.</p>
<ul class="key">
${recommendation.chosen !== undefined && html`<li><i style="background:var(--chosen)"></i>chosen</li>`}
${recommendation.nearest !== undefined && html`<li><i style="background:var(--warn)"></i>nearest to the budget</li>`}
<li><i class="diamond" style="background:var(--ink)"></i>original</li>
<li><i style="background:var(--front)"></i>on the front</li>
<li><i style="background:var(--faint)"></i>beaten by another</li>
${screened && html`<li><i class="hollow"></i>screened on a small slice only</li>`}
<li><i class="dash"></i>limit of the budget</li>
</ul>
<div class="pair">${costs.map((cost) =>
    figure(
      scatter(canvas, assessment, cost, quality),
      `${metricOf(cost).title}: ${metricOf(cost).about}. ${metricOf(quality).title}: ${metricOf(quality).about}.`,
    ),
  )}</div>
</section>`;
}

export function latencySection(canvas: Canvas, assessment: Assessment): Html {
  const known = ['latency', 'throughput'].filter(
    (name) => assessment.original.metrics[name] !== undefined,
  );
  if (known.length === 0) return html``;
  return html`<section>
<h2>Speed, with intervals</h2>
<p class="note">Best first. Dots are medians, bars their 95 % intervals; the solid line is the original, the dashed one the budget.</p>
<div class="pair">${known.map((name) => {
    const { title, about, better } = metricOf(name);
    return figure(intervals(canvas, assessment, name), `${title}: ${about}; ${better} is better.`);
  })}</div>
</section>`;
}

export function modulesSection(canvas: Canvas, { assessment, modules }: ReportData): Html {
  const row = shownRow(assessment);
  if (modules === undefined || row === undefined) return html``;
  const shares = breakdown(modules.before, modules.after);
  const names = { before: assessment.original.name, after: row.candidate.name };
  const change = (before: number, after: number): string =>
    before === 0 ? '–' : formatRatio(after / before);
  return html`<section>
<h2>Where the bytes and the work are</h2>
<div class="pair">${(['bytes', 'flops'] as const).map((what) =>
    figure(
      stacked(canvas, shares, what, names),
      what === 'bytes'
        ? 'Bytes of the weights, by module.'
        : 'Floating-point operations of one call from the cost model, by module.',
    ),
  )}</div>
<div class="scroll" tabindex="0" role="region" aria-label="Modules"><table>
<thead><tr><th>Module</th><th class="n">Bytes before</th><th class="n">after</th><th class="n">ratio</th><th class="n">FLOPs before</th><th class="n">after</th><th class="n">ratio</th></tr></thead>
<tbody>${shares.map(
    ({ group, before, after }, i) =>
      html`<tr><th scope="row"><span class="swatch" style="background:${stackColour(i, group)}"></span>${group}</th><td class="n">${formatBytes(before.bytes)}</td><td class="n">${formatBytes(after.bytes)}</td><td class="n">${change(before.bytes, after.bytes)}</td><td class="n">${formatCount(before.flops)}</td><td class="n">${formatCount(after.flops)}</td><td class="n">${change(before.flops, after.flops)}</td></tr>
`,
  )}</tbody>
</table></div>
</section>`;
}

export function factsSection({ machine, method, command, created }: ReportData): Html {
  const load = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(', ');
  const facts: [string, string][] = [
    ['Processor', `${machine.cpu}, ${machine.cores} logical cores`],
    ['Threads used', String(machine.threads)],
    ['Memory', machine.memoryBytes > 0 ? formatBytes(machine.memoryBytes) : 'unknown'],
    ['System', `${machine.platform}, ${machine.runtime}`],
    ['Load before', `${load(machine.loadBefore)} (1, 5, 15 minutes)`],
    ['Load after', load(machine.loadAfter)],
    ...Object.entries(machine.versions),
    ['Made', created],
  ];
  return html`<section>
<h2>How it was measured</h2>
${method.map((sentence) => html`<p>${sentence}</p>`)}
<h2>Where it was measured</h2>
<dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
<h2>Do it again</h2>
<pre><code>${command}</code></pre>
</section>`;
}
