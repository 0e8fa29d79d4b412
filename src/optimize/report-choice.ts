// The report's words and tables: the verdict, the budget line by line, every candidate, quality.
import type { Assessed, Assessment } from './assess.js';
import { fromBase } from './budget-units.js';
import { showChain } from './candidate.js';
import { showConstraint } from './constraint.js';
import { formatEstimate, formatRatio, formatValue } from './format.js';
import { type Html, html } from './html.js';
import { showVerdict, type Verdict } from './judge.js';
import { isQuality, METRICS, type Metric, ratioTo } from './metric.js';
import type { ReportData } from './report.js';

/** The row that the report compares with the original: the chosen one, else the nearest. */
export function shownRow({ rows, recommendation }: Assessment): Assessed | undefined {
  const name = recommendation.chosen ?? recommendation.nearest?.name;
  return rows.find(({ candidate }) => candidate.name === name);
}

const measuredOf = (row: Assessed): Metric[] =>
  METRICS.filter(({ name }) => row.candidate.metrics[name] !== undefined);

export function verdictSection(assessment: Assessment): Html {
  const { recommendation, original } = assessment;
  const row = shownRow(assessment);
  const headline =
    recommendation.chosen !== undefined
      ? `Chosen: ${recommendation.chosen}`
      : 'Nothing tried meets the budget';
  return html`<section class="verdict ${recommendation.chosen === undefined ? 'none' : ''}" aria-label="Verdict">
<p class="name">${headline}</p>
${
  row &&
  html`<p class="chain">${recommendation.chosen === undefined ? html`Nearest: <strong>${row.candidate.name}</strong>, ` : ''}<code>${showChain(row.candidate.passes)}</code></p>
<dl class="tiles">${measuredOf(row)
    .filter((metric) => !isQuality(metric) || metric.name === 'quality')
    .map((metric) => tile(metric, row, original.metrics))}</dl>`
}
<ul>${recommendation.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>
</section>`;
}

function tile(
  metric: Metric,
  { candidate }: Assessed,
  baseline: Assessed['candidate']['metrics'],
): Html {
  const value = candidate.metrics[metric.name];
  const base = baseline[metric.name];
  const ratio = ratioTo(metric.name, candidate.metrics, baseline);
  const show = (number: number) => formatValue(metric.unit, number);
  const big =
    isQuality(metric) || ratio === undefined
      ? value && show(value.value)
      : formatRatio(ratio.value);
  const change =
    value === undefined || base === undefined
      ? ''
      : isQuality(metric)
        ? `original ${show(base.value)}`
        : `${show(base.value)} → ${show(value.value)}`;
  return html`<div class="tile"><dt>${metric.title}</dt><dd><div class="big">${big}</div><div class="small">${change}</div></dd></div>`;
}

/** Each limit with what the chosen (or nearest) candidate has. */
export function budgetSection(assessment: Assessment): Html {
  const row = shownRow(assessment);
  if (row === undefined) return html``;
  return html`<section>
<h2>The budget, limit by limit</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Budget"><table>
<thead><tr><th>Limit</th><th class="n">${row.candidate.name}</th><th class="n">Room left</th><th>Holds</th><th class="n">Held by</th></tr></thead>
<tbody>${row.verdicts.map((verdict, i) => {
    const rest = assessment.rows.filter(({ candidate }) => candidate.stage === 'confirmed');
    const holding = rest.filter(({ verdicts }) => verdicts[i].holds).length;
    return html`<tr><th scope="row"><code>${showConstraint(verdict.constraint)}</code></th>
<td class="n">${shownValue(verdict)}</td><td class="n">${roomOf(verdict)}</td><td>${holdsOf(verdict)}</td><td class="n">${holding} of ${rest.length}</td></tr>`;
  })}</tbody>
</table></div>
</section>`;
}

function shownValue(verdict: Verdict): string {
  if (verdict.value === undefined) return 'not measured';
  // The verdict's own words, so that page and terminal never disagree: "latency 0.72x > 0.6x".
  return showVerdict(verdict).split(' ')[1];
}

function roomOf({ margin, constraint, value, limit }: Verdict): string {
  if (margin === undefined || value === undefined) return '-';
  const sign = margin < 0 ? '−' : '';
  if (isQuality(constraint.metric)) {
    const { unit } = constraint;
    return `${sign}${Math.abs(fromBase(value - limit, unit)).toFixed(unit.name === '%' ? 1 : 3)}${unit.name}`;
  }
  return `${sign}${Math.abs(100 * margin).toFixed(Math.abs(margin) < 0.1 ? 1 : 0)} %`;
}

function holdsOf({ holds, sure }: Verdict): Html {
  if (!sure) {
    return html`<span class="maybe">${holds ? 'yes' : 'no'}, but the interval crosses the limit</span>`;
  }
  return holds ? html`<span class="yes">yes</span>` : html`<span class="no">no</span>`;
}

export function candidatesSection(assessment: Assessment): Html {
  const { rows, original, recommendation } = assessment;
  const metrics = METRICS.filter(({ name }) =>
    rows.some(({ candidate }) => candidate.metrics[name] !== undefined),
  );
  const badges = (row: Assessed): Html[] => {
    const { name, stage } = row.candidate;
    const near = name === recommendation.nearest?.name;
    return [
      ...(row.chosen ? [html` <span class="badge chosen">chosen</span>`] : []),
      ...(near ? [html` <span class="badge near">nearest</span>`] : []),
      ...(row.onFront ? [html` <span class="badge front">front</span>`] : []),
      ...(stage !== 'confirmed' ? [html` <span class="badge">${stage}</span>`] : []),
    ];
  };
  const cell = (metric: Metric, { candidate }: Assessed): Html => {
    const measured = candidate.metrics[metric.name];
    if (measured === undefined) return html`<td class="n soft">–</td>`;
    const ratio = ratioTo(metric.name, candidate.metrics, original.metrics);
    const value = formatValue(metric.unit, measured.value);
    return html`<td class="n" title="${formatEstimate(metric, measured)}">${value}${!isQuality(metric) && ratio !== undefined && html`<span class="ratio">${formatRatio(ratio.value)}</span>`}</td>`;
  };
  return html`<section>
<h2>Every candidate that was tried</h2>
<p class="note">In the order tried. Front: no other confirmed candidate is at least as good on ${assessment.front.axes.join(', ')} and better on one of them. Screened candidates were measured on a small slice only and not taken further.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Candidates"><table>
<thead><tr><th>Candidate, and why not</th>${metrics.map((metric) => html`<th class="n">${metric.title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (
      row,
    ) => html`<tr class="${row.candidate.stage}${row.chosen ? ' chosen' : ''}"><th scope="row" class="candidate">${row.candidate.name}${badges(row)}${row.candidate.passes.length > 0 && html`<code class="chain">${showChain(row.candidate.passes)}</code>`}${row.why !== '' && html`<span class="why">${row.why}</span>`}</th>${metrics.map((metric) => cell(metric, row))}</tr>
`,
  )}</tbody>
</table></div>
</section>`;
}

export function qualitySection({ assessment, quality }: ReportData): Html {
  const row = shownRow(assessment);
  const metrics = row ? measuredOf(row).filter(isQuality) : [];
  if (row === undefined || metrics.length === 0) return html``;
  const { original } = assessment;
  return html`<section>
<h2>What became of the quality</h2>
${quality.map((sentence) => html`<p class="note">${sentence}</p>`)}
<div class="scroll" tabindex="0" role="region" aria-label="Quality"><table>
<thead><tr><th>Metric</th><th class="n">original</th><th class="n">${row.candidate.name}</th><th class="n">Change</th><th>What it is</th></tr></thead>
<tbody>${metrics.map((metric) => {
    const before = original.metrics[metric.name];
    const after = row.candidate.metrics[metric.name];
    const change = before && after ? after.value - before.value : undefined;
    return html`<tr><th scope="row">${metric.title}</th><td class="n">${before ? formatEstimate(metric, before) : '–'}</td><td class="n">${after ? formatEstimate(metric, after) : '–'}</td><td class="n">${change === undefined ? '–' : signed(change, metric)}</td><td>${metric.about}</td></tr>`;
  })}</tbody>
</table></div>
</section>`;
}

function signed(change: number, metric: Metric): string {
  const size = Math.abs(change);
  const text =
    metric.unit === 'share' ? size.toFixed(size < 0.001 && size > 0 ? 5 : 3) : size.toPrecision(3);
  return `${change < 0 ? '−' : change > 0 ? '+' : ''}${text}`;
}
