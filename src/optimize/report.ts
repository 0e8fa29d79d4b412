// The report of a run: one HTML file without network access or scripts, that shows what was tried,
// what was chosen and why, and how to do it again. The measurements ride along as JSON.
import type { Assessment } from './assess.js';
import type { ModuleCost } from './breakdown.js';
import { showBudget } from './constraint.js';
import { Html, html, jsonIsland } from './html.js';
import { openCanvas } from './plot-canvas.js';
import {
  budgetSection,
  candidatesSection,
  qualitySection,
  verdictSection,
} from './report-choice.js';
import { factsSection, latencySection, modulesSection, tradeOffSection } from './report-figures.js';
import { STYLE } from './report-style.js';
import { tableRows } from './table.js';

export type ReportMachine = {
  readonly cpu: string;
  readonly cores: number;
  /** Threads that the engine was given. */
  readonly threads: number;
  readonly memoryBytes: number;
  /** `linux-x64`. */
  readonly platform: string;
  /** `node 20.20.2`. */
  readonly runtime: string;
  /** Load averages over 1, 5 and 15 minutes. */
  readonly loadBefore: readonly [number, number, number];
  readonly loadAfter: readonly [number, number, number];
  /** Package to version: the engine's and ours. */
  readonly versions: Readonly<Record<string, string>>;
};

export type ReportData = {
  /** The model as the user named it. */
  readonly model: string;
  readonly assessment: Assessment;
  /** What does it again, as typed in a shell. */
  readonly command: string;
  /** ISO 8601. */
  readonly created: string;
  readonly machine: ReportMachine;
  /** How it was measured, what on: sentences. */
  readonly method: readonly string[];
  /** What the quality numbers are about: data, rows, metric, floor. Sentences. */
  readonly quality: readonly string[];
  /** Costs by module: of the original, and of the chosen (or nearest) candidate. */
  readonly modules?:
    | { readonly before: readonly ModuleCost[]; readonly after: readonly ModuleCost[] }
    | undefined;
};

/** The whole page. Plot and linkedom are loaded here, on first use. */
export async function renderReport(data: ReportData): Promise<string> {
  const { model, assessment, created } = data;
  const canvas = await openCanvas();
  const title = `Compression report: ${model}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="generator" content="anyformer">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p class="soft">${dateOf(created)} on ${data.machine.cpu}, ${data.machine.threads} ${data.machine.threads === 1 ? 'thread' : 'threads'}. Budget: <code>${showBudget(assessment.budget)}</code></p>
</header>
${verdictSection(assessment)}
${budgetSection(assessment)}
${tradeOffSection(canvas, assessment)}
${latencySection(canvas, assessment)}
${modulesSection(canvas, data)}
${candidatesSection(assessment)}
${qualitySection(data)}
${factsSection(data)}
<footer>The measurements of this page are in it as JSON, in the element with the id <code>anyformer-data</code>.</footer>
</main>
${jsonIsland('anyformer-data', reportJson(data))}
</body>
</html>
`;
  return page.text;
}

/** The page's data, one object a candidate; also what `--json` of a report prints. */
export function reportJson(data: ReportData) {
  const { assessment, model, created, command, machine, method, quality, modules } = data;
  const { recommendation, front, budget } = assessment;
  return {
    format: 'anyformer-report-1',
    model,
    created,
    command,
    budget: showBudget(budget),
    chosen: recommendation.chosen ?? null,
    line: recommendation.line,
    reasons: recommendation.reasons,
    nearest: recommendation.nearest
      ? { name: recommendation.nearest.name, wouldMeet: recommendation.nearest.relaxed }
      : null,
    front: front.front,
    candidates: tableRows(assessment),
    modules: modules ?? null,
    machine,
    method,
    quality,
  };
}

const dateOf = (created: string): string =>
  `${created.slice(0, 10)} ${created.slice(11, 16)}`.trim();
