// The candidates as a table for a terminal and as rows of JSON. The table fits the width by leaving
// out, in this order: further qualities, absolute amounts, memory, throughput; then the reasons are
// cut, then the names.
import type { Assessed, Assessment } from './assess.js';
import { showChain } from './candidate.js';
import { formatRatio, formatValue, listed } from './format.js';
import { meets } from './judge.js';
import { isQuality, METRICS, type Metric, ratioTo } from './metric.js';

const GAP = '  ';
const WHY_LEAST = 24;
const NAME_LEAST = 10;

type Column = { head: string; cells: string[]; right: boolean };

/**
 * One line a candidate: `>` before the chosen one, `*` before those on the front. `width` in columns;
 * 100 unless told. Without a width limit pass Infinity.
 */
export function renderTable(assessment: Assessment, options: { width?: number } = {}): string {
  const { width = 100 } = options;
  const measured = METRICS.filter(({ name }) =>
    assessment.rows.some(({ candidate }) => candidate.metrics[name] !== undefined),
  );
  const further = measured.filter((metric) => isQuality(metric) && metric.name !== 'quality');
  const without = (...names: string[]) => measured.filter(({ name }) => !names.includes(name));
  const fewer = without(...further.map(({ name }) => name));
  const layouts: [readonly Metric[], boolean][] = [
    [measured, true],
    [fewer, true],
    [fewer, false],
    [fewer.filter(({ name }) => name !== 'memory'), false],
    [fewer.filter(({ name }) => name !== 'memory' && name !== 'throughput'), false],
  ];
  const laidOut = layouts.map(([metrics, amounts]) => columns(assessment, metrics, amounts));
  const chosen =
    laidOut.find((cols) => widthOf(cols) + GAP.length + WHY_LEAST <= width) ??
    laidOut[laidOut.length - 1];
  shortenNames(chosen[0], width - widthOf(chosen));
  const room = width - widthOf(chosen) - GAP.length;
  const reasons = assessment.rows.map(({ short }) => clean(short));
  const showReasons = room >= WHY_LEAST && reasons.some((why) => why !== '');
  if (showReasons) {
    chosen.push({ head: 'Why not', cells: reasons.map((why) => cut(why, room)), right: false });
  }
  const lines = [line(chosen, (column) => column.head)];
  lines.push(chosen.map((column) => '-'.repeat(columnWidth(column))).join(GAP));
  assessment.rows.forEach((_, i) => {
    lines.push(line(chosen, (column) => column.cells[i]));
  });
  lines.push('', legend(assessment));
  return lines.join('\n');
}

function columns(
  { rows, original }: Assessment,
  metrics: readonly Metric[],
  amounts: boolean,
): Column[] {
  const mark = ({ chosen, onFront }: Assessed) => `${chosen ? '>' : ' '}${onFront ? '*' : ' '}`;
  const made: Column[] = [
    {
      head: '   Candidate',
      cells: rows.map((row) => `${mark(row)} ${clean(row.candidate.name)}`),
      right: false,
    },
  ];
  for (const metric of metrics) {
    const ratios = rows.map(({ candidate }) => {
      const ratio = ratioTo(metric.name, candidate.metrics, original.metrics);
      return ratio === undefined ? '-' : formatRatio(ratio.value);
    });
    const values = rows.map(({ candidate }) => {
      const value = candidate.metrics[metric.name]?.value;
      return value === undefined ? '-' : formatValue(metric.unit, value);
    });
    if (isQuality(metric)) {
      made.push({ head: metric.title, cells: values, right: true });
    } else if (amounts) {
      const widest = Math.max(...ratios.map((text) => text.length));
      const both = values.map((value, i) => `${value}  ${ratios[i].padStart(widest)}`);
      made.push({ head: metric.title, cells: both, right: true });
    } else {
      made.push({ head: metric.title, cells: ratios, right: true });
    }
  }
  made.push({ head: 'Stage', cells: rows.map(({ candidate }) => candidate.stage), right: false });
  return made;
}

function shortenNames(names: Column, room: number): void {
  if (room >= 0) return;
  const least = Math.max(NAME_LEAST, columnWidth(names) + room);
  names.cells = names.cells.map((name) => cut(name, least));
  names.head = cut(names.head, Math.max(least, names.head.length));
}

const lengthOf = (text: string): number => [...text].length;

const columnWidth = ({ head, cells }: Column): number =>
  Math.max(lengthOf(head), ...cells.map(lengthOf));

const widthOf = (cols: readonly Column[]): number =>
  cols.reduce((sum, column) => sum + columnWidth(column), 0) + GAP.length * (cols.length - 1);

function line(cols: readonly Column[], cell: (column: Column) => string): string {
  return cols
    .map((column) => {
      const text = cell(column);
      const pad = ' '.repeat(columnWidth(column) - lengthOf(text));
      return column.right ? pad + text : text + pad;
    })
    .join(GAP)
    .trimEnd();
}

function cut(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

// Names and notes may come from files: control characters would move the cursor or recolour.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed.
const clean = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');

function legend({ front, recommendation }: Assessment): string {
  const marks = [`* on the front: none is better on ${listed(front.axes)} together`];
  if (recommendation.chosen !== undefined) marks.unshift('> chosen');
  return `${marks.join('   ')}   x: multiple of the original`;
}

export type CandidateRow = ReturnType<typeof tableRows>[number];

/** What `--json` prints: one object a candidate. Bytes, seconds, per second; ratios to the original. */
export function tableRows(assessment: Assessment) {
  const { original } = assessment;
  return assessment.rows.map(({ candidate, verdicts, onFront, chosen, why }) => ({
    name: candidate.name,
    chain: showChain(candidate.passes),
    passes: candidate.passes,
    stage: candidate.stage,
    chosen,
    onFront,
    meetsBudget: candidate.stage !== 'failed' && meets(verdicts),
    why,
    metrics: Object.fromEntries(
      Object.entries(candidate.metrics).flatMap(([name, measured]) => {
        if (measured === undefined) return [];
        const { value, low, high } = measured;
        const ratio = ratioTo(name, candidate.metrics, original.metrics);
        return [[name, { value, low, high, ratio }]];
      }),
    ),
  }));
}
