// Listing and fetching data sets on the terminal.
import { dataSet, dataSets } from '../data/catalogue.js';
import { fetchDataSet, findDataSet } from '../data/datasets.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { DataOptions } from './commands/data.js';
import { openTerminal } from './terminal.js';

export async function runDataList(cli: Cli, options: DataOptions): Promise<void> {
  const terminal = openTerminal(cli, options);
  const rows = await Promise.all(
    Object.entries(dataSets).map(async ([name, { title, licence, from, bytes, npm }]) => {
      const folder = (await findDataSet(name)) ?? null;
      return { name, title, licence, from, bytes, folder, fetchable: npm !== undefined };
    }),
  );
  if (options.json) {
    terminal.print(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const lines = columns(
    rows.map(({ name, bytes, licence, title }) => [
      name,
      `${(bytes / 1e6).toFixed(1)} MB`,
      licence,
      title,
    ]),
    ['left', 'right', 'left', 'left'],
  ).split('\n');
  const places = rows.map(({ name, from, folder, fetchable }) => {
    if (folder !== null) return folder;
    return `not here: ${fetchable ? `anyformer data fetch ${name}` : from}`;
  });
  terminal.print(places.map((where, i) => `${lines[i]}\n    ${where}\n`).join(''));
}

export async function runDataFetch(
  cli: Cli,
  names: readonly string[],
  options: DataOptions,
): Promise<void> {
  const terminal = openTerminal(cli, options);
  for (const name of names) dataSet(name); // all known, before one is fetched
  const done: { name: string; folder: string; fetched: boolean }[] = [];
  for (const [i, name] of names.entries()) {
    terminal.progress({ stage: 'fetch', done: i, total: names.length, what: name });
    const result = await fetchDataSet(name, { signal: cli.signal });
    done.push({ name, ...result });
    if (options.json) continue;
    terminal.print(
      `${name}: ${result.fetched ? 'fetched into' : 'there already,'} ${result.folder}\n`,
    );
  }
  if (options.json) terminal.print(`${JSON.stringify(done, null, 2)}\n`);
}
