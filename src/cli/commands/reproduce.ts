// `reproduce`: papers' claims, measured here.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type ReproduceOptions = {
  quick?: boolean;
  list?: boolean;
  data?: string;
  ledger: string;
  seed: number;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Measures each claim of the systems named (all that are built, unless told) on
this machine, from fixed seeds, and says whether it holds. A full run takes
minutes a claim; --quick takes seconds, at a reduced scale, and leaves out what
has no meaning there. Results are added to the ledger file.

Data sets are read from FOLDER/NAME of --data, or from where their packages put
them; nothing is downloaded. A claim whose data is missing does not hold.

Exit codes: 0 every claim holds, 1 one falls short, 2 wrong usage`;

export function registerReproduce(program: Command, cli: Cli): void {
  const command = program
    .command('reproduce')
    .summary("papers' claims, measured here: what holds, and by how much")
    .argument('[systems]', 'numbers of systems, as in 17,42')
    .usage('[NN,NN...] [options]')
    .option('--quick', 'seconds instead of minutes, at a reduced scale')
    .option('--list', 'list all systems and stop')
    .option('--data <folder>', 'where data sets lie', '.cache/data')
    .option('--ledger <file>', 'where results are kept', 'anyformer-out/ledger.json')
    .addOption(shared.seed())
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (systems: string | undefined, options: ReproduceOptions) => {
      const { runReproduce } = await import('../reproduce-run.js');
      await runReproduce(cli, systems, options);
    });
  examples(command, [
    ['every claim of positions and activations, in seconds', 'reproduce 17,42 --quick'],
    ['one system at full scale, as JSON', 'reproduce 41 --json'],
  ]);
}
