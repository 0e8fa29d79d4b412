// Measuring claims from the command line: each result is printed when it is there, and kept.
import { cpuDevice } from '../runtime/node-cpu.js';
import { catalogue, chosen, isBuilt, numberOf } from '../systems/catalogue.js';
import { dataReader } from '../systems/datasets.js';
import { figuresText } from '../systems/figures.js';
import { addToLedger, type LedgerRecord, readLedger } from '../systems/ledger.js';
import { runClaims } from '../systems/run.js';
import { type Cli, EXIT } from './cli.js';
import { columns } from './columns.js';
import type { ReproduceOptions } from './commands/reproduce.js';
import { openTerminal } from './terminal.js';

export async function runReproduce(
  cli: Cli,
  systems: string | undefined,
  options: ReproduceOptions,
): Promise<void> {
  const terminal = openTerminal(cli, options);
  if (options.list) {
    terminal.print(options.json ? `${JSON.stringify(listing(), null, 2)}\n` : listText());
    return;
  }
  const entries = chosen(systems);
  const { signal } = cli;
  const { ledger, seed, threads, json } = options;
  await readLedger(ledger); // a broken one is told before minutes are spent
  await using device = await cpuDevice({ threads, signal });
  const records: LedgerRecord[] = [];
  const claims = runClaims(entries, {
    device,
    mode: options.quick ? 'quick' : 'full',
    seed,
    signal,
    data: dataReader(options.data === undefined ? [] : [options.data]),
    date: new Date().toISOString().slice(0, 10),
    progress: ({ done, total, what }) =>
      terminal.progress({ stage: 'reproduce', done, total, what }),
  });
  let shown: string | undefined;
  for await (const record of claims) {
    records.push(record);
    await addToLedger(ledger, [record]);
    if (json) continue;
    if (record.system !== shown) {
      const entry = catalogue.find((one) => numberOf(one) === record.system);
      terminal.print(`${shown === undefined ? '' : '\n'}${record.system} ${entry?.title ?? ''}\n`);
      shown = record.system;
    }
    terminal.print(recordText(record));
  }
  const short = records.filter(({ holds }) => !holds).length;
  if (json) terminal.print(`${JSON.stringify(records.map(jsonOf), null, 2)}\n`);
  else terminal.print(closing(records.length, short, systems === undefined));
  terminal.note(`kept in ${ledger}`);
  if (short > 0) cli.exitCode = EXIT.failed;
}

/** What a program reads: figures that are no numbers are null in JSON. */
const jsonOf = ({
  system,
  claim,
  paper,
  measured,
  threshold,
  holds,
  seconds,
  notes,
}: LedgerRecord) => ({
  system,
  claim,
  paper,
  measured,
  threshold,
  holds,
  seconds,
  ...(notes.length > 0 ? { notes } : {}),
});

function recordText(record: LedgerRecord): string {
  const { claim, paper, measured, threshold, holds, seconds, notes } = record;
  const verdict = holds ? 'holds' : measured === null ? 'not measured' : 'FALLS SHORT';
  return [
    `\n  ${claim}\n`,
    columns(
      [
        ['    paper', paper],
        ['    measured', measured === null ? 'nothing' : figuresText(measured)],
        ['    must hold', threshold],
        ['    result', `${verdict}  (${seconds.toFixed(1)} s)`],
        ...notes.map((note) => ['    note', note]),
      ],
      ['left', 'left'],
    ),
  ].join('');
}

function closing(count: number, short: number, all: boolean): string {
  const result =
    short === 0 ? `All ${count} claims hold.` : `${count - short} of ${count} claims hold.`;
  const missing = catalogue.filter((entry) => !isBuilt(entry));
  const rest = all ? ` Not built: ${missing.map(numberOf).join(' ')}.` : '';
  return `\n${result}${rest}\n`;
}

const listing = () =>
  catalogue.map((entry) => ({
    system: numberOf(entry),
    slug: entry.slug,
    title: entry.title,
    built: isBuilt(entry),
  }));

function listText(): string {
  const rows = listing().map(({ system, slug, title, built }) => [
    system,
    slug,
    built ? 'built' : 'not built',
    title,
  ]);
  return columns(rows, ['left', 'left', 'left', 'left']);
}
