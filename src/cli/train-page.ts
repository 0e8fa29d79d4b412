// The page of a training run: where it stands, curves of loss, learning rate and gradient norm, the
// configuration. One HTML file without scripts; it reloads itself while the run goes on.
import { Html, html } from '../optimize/html.js';
import { type Canvas, openCanvas } from '../optimize/plot-canvas.js';
import { STYLE } from '../optimize/report-style.js';

/** How often a running page is drawn and reloaded. */
export const EVERY_SECONDS = 30;

export type RunState = {
  state: 'running' | 'steps' | 'early-stop' | 'data' | 'aborted' | 'failed';
  step: number;
  steps: number;
  parameters: number;
};

/** A line of metrics.jsonl. */
export type MetricsLine = {
  step: number;
  /** Null where it was no number. */
  loss: number | null;
  norm?: number;
  rate?: number;
  tokens?: number;
  seconds?: number;
  evaluation?: boolean;
};

const ENDS: Readonly<Record<RunState['state'], string>> = {
  running: 'running',
  steps: 'finished',
  'early-stop': 'stopped early: held-out loss no longer fell',
  data: 'stopped: the data ended',
  aborted: 'interrupted; go on with --resume',
  failed: 'ended by an error, which the terminal told',
};

export type TrainPage = RunState & {
  name: string;
  /** The configuration, for the reader. */
  config: unknown;
  /** What was read, in sentences. */
  notes: readonly string[];
  lines: readonly MetricsLine[];
};

/** The page of a run as far as it is. */
export async function renderTrainReport(page: TrainPage): Promise<string> {
  const { name, config, notes, state, step, steps, parameters, lines } = page;
  const canvas = await openCanvas();
  const trained = lines.filter(({ evaluation }) => !evaluation);
  const held = lines.filter(({ evaluation }) => evaluation);
  const tokens = trained.reduce((sum, line) => sum + (line.tokens ?? 0), 0);
  const seconds = trained.reduce((sum, line) => sum + (line.seconds ?? 0), 0);
  const count = (n: number) => n.toLocaleString('en-US');
  const facts: [string, string][] = [
    ['state', `${ENDS[state]}, step ${count(step)} of ${count(steps)}`],
    ['parameters', count(parameters)],
    ['loss', lossOf(trained) ?? 'none yet'],
    ['held out', lossOf(held) ?? 'not evaluated yet'],
    ['speed', `${count(Math.round(tokens / Math.max(seconds, 1e-9)))} tokens/s in steps`],
  ];
  const figure = (title: string, drawn: Html) => html`<figure><h2>${title}</h2>${drawn}</figure>`;
  const body =
    trained.length === 0
      ? html`<p class="soft">The first step is not done yet.</p>`
      : html`${figure('Loss by step', lossFigure(canvas, trained, held))}
<div class="pair">${figure('Learning rate', lineFigure(canvas, 'Learning rate', trained, 'rate'))}
${figure('Gradient norm before clipping', lineFigure(canvas, 'Gradient norm', trained, 'norm'))}</div>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
${state === 'running' && html`<meta http-equiv="refresh" content="${EVERY_SECONDS}">`}
<meta name="generator" content="anyformer">
<title>Training: ${name}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>Training: ${name}</h1>
<dl class="facts">${facts.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>
${body}
<h2>What was read</h2>
${notes.map((note) => html`<p>${note}</p>`)}
<h2>Configuration</h2>
<pre>${JSON.stringify(config, null, 2)}</pre>
<footer>Every step's numbers are in metrics.jsonl beside this file.</footer>
</main>
</body>
</html>
`.text;
}

function lossOf(lines: readonly MetricsLine[]): string | undefined {
  const last = lines.at(-1);
  return last && (last.loss?.toFixed(4) ?? 'no number');
}

/** Points of a curve: more would not be seen. */
const MOST_POINTS = 600;

/** Means over equal stretches of steps. */
function thinned(lines: readonly MetricsLine[], key: 'loss' | 'rate' | 'norm') {
  const per = Math.max(1, Math.ceil(lines.length / MOST_POINTS));
  const points: { step: number; value: number }[] = [];
  for (let at = 0; at < lines.length; at += per) {
    const part = lines.slice(at, at + per);
    const value = part.reduce((sum, line) => sum + (line[key] ?? Number.NaN), 0) / part.length;
    if (Number.isFinite(value)) points.push({ step: part[part.length - 1].step, value });
  }
  return points;
}

const AXES = { width: 900, height: 320, marginLeft: 52, marginBottom: 38 };
const axis = (label: string) => ({ label, labelArrow: 'none', grid: true }) as const;

function lossFigure(
  canvas: Canvas,
  trained: readonly MetricsLine[],
  held: readonly MetricsLine[],
): Html {
  const { Plot } = canvas;
  const points = thinned(trained, 'loss');
  const evaluations = held.flatMap(({ step, loss }) =>
    loss === null ? [] : [{ step, value: loss }],
  );
  const last = evaluations.at(-1);
  const told = `training loss ${points.at(-1)?.value.toFixed(3)}${last ? `, held out ${last.value.toFixed(3)}` : ''}`;
  return canvas.draw('Loss by step', `At the last step: ${told}`, {
    ...AXES,
    x: axis('step'),
    y: { ...axis('loss, nats'), nice: true },
    marks: [
      Plot.line(points, { x: 'step', y: 'value', stroke: 'var(--front)', strokeWidth: 1.5 }),
      Plot.line(evaluations, { x: 'step', y: 'value', stroke: 'var(--warn)', strokeWidth: 1.5 }),
      Plot.dot(evaluations, { x: 'step', y: 'value', fill: 'var(--warn)', r: 4 }),
      Plot.text(evaluations.slice(-1), {
        ...{ x: 'step', y: 'value', text: () => 'held out', fill: 'var(--warn)' },
        ...{ dy: -12, textAnchor: 'end' },
      }),
    ],
  });
}

function lineFigure(
  canvas: Canvas,
  title: string,
  lines: readonly MetricsLine[],
  key: 'rate' | 'norm',
): Html {
  const points = thinned(lines, key);
  return canvas.draw(title, `Last: ${points.at(-1)?.value.toPrecision(3)}`, {
    ...{ ...AXES, width: 440, height: 200, marginLeft: 60 },
    x: { ...axis('step'), ticks: 5 },
    y: { ...axis(title.toLowerCase()), zero: true, ticks: 5 },
    marks: [canvas.Plot.line(points, { x: 'step', y: 'value', stroke: 'var(--front)' })],
  });
}
