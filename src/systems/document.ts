// docs/systems.md from the catalogue and a ledger: every system, and for the built ones every claim
// with the paper's figure, what was measured, and whether it holds.
import { catalogue, type Entry, isBuilt, numberOf } from './catalogue.js';
import { figuresText } from './figures.js';
import type { LedgerRecord } from './ledger.js';
import type { Mode, System } from './system.js';

const HEAD = `# Systems

The methods that anyformer gathers, each with the claims of its paper as measurements. This page is
generated from the ledger (\`docs/ledger.json\`) by \`node scripts/make-systems-doc.mjs\`;
\`anyformer reproduce\` measures again. *Quick* figures are measured at a reduced scale, in seconds.
Where a claim does not hold at the scale of one small machine, the figure stands here all the same.
`;

/** Pipes and line ends would break the table. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

function sourceOf({ paper: { authors, venue, arxiv } }: System): string {
  return `${authors}. ${venue}${arxiv ? `, arXiv ${arxiv}` : ''}.`;
}

const MODES: readonly Mode[] = ['full', 'quick'];

function built(system: System, records: readonly LedgerRecord[]): string[] {
  const lines = [`## ${numberOf(system)} ${system.paper.title}`, '', sourceOf(system), ''];
  lines.push(row(['claim', 'paper', 'must hold', 'measured', 'holds', 'seconds', 'run']));
  lines.push(row(['---', '---', '---', '---', '---', '---', '---']));
  const notes: string[] = [];
  for (const claim of system.claims) {
    // The full figure where there is one.
    const found = MODES.flatMap((mode) => {
      const text = claim.thresholds[mode]?.text;
      return records.filter(
        (one) => one.claim === claim.says && one.mode === mode && one.threshold === text,
      );
    })[0];
    if (!found) {
      const wanted = claim.thresholds.full?.text ?? '';
      lines.push(row([claim.says, claim.paper, wanted, 'not measured', '', '', '']));
      continue;
    }
    const { threshold, measured, holds, seconds, mode, date } = found;
    const verdict = holds ? 'yes' : measured === null ? 'no data' : '**no**';
    const figures = figuresText(measured);
    const run = `${mode}, ${date}`;
    lines.push(
      row([claim.says, claim.paper, threshold, figures, verdict, seconds.toFixed(1), run]),
    );
    for (const note of found.notes) notes.push(`- ${claim.says}: ${note}`);
  }
  return notes.length > 0 ? [...lines, '', ...notes, ''] : [...lines, ''];
}

function machines(records: readonly LedgerRecord[]): string[] {
  const all = records.map(({ machine: m, seed, version }) => {
    const on = `${m.cpu}, ${m.cores} cores, ${m.platform}, ${m.runtime}`;
    return `- anyformer ${version}, seed ${seed}, ${on}, device ${m.device} with ${m.threads} threads`;
  });
  const known = [...new Set(all)];
  return known.length > 0 ? ['## Where it was measured', '', ...known, ''] : [];
}

const listed = (entry: Entry, state: string): string => row([numberOf(entry), entry.title, state]);

/** The page. Records of claims that no longer stand are left out. */
export async function systemsDocument(records: readonly LedgerRecord[]): Promise<string> {
  const overview = [row(['system', 'what', 'state']), row(['---', '---', '---'])];
  const parts: string[] = [];
  const shown: LedgerRecord[] = [];
  for (const entry of catalogue) {
    if (!isBuilt(entry)) {
      overview.push(listed(entry, 'not built'));
      continue;
    }
    const { default: system } = await entry.load();
    const own = records.filter(({ system: id }) => id === numberOf(entry));
    shown.push(...own);
    parts.push(...built(system, own));
    overview.push(listed(entry, `built, ${system.claims.length} claims`));
  }
  const lines = [HEAD, ...overview, '', ...parts, ...machines(shown)];
  return `${lines.join('\n').trimEnd()}\n`;
}
