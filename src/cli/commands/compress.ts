// `compress`: one chain of passes, its quality measured and written along.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, floor, repeated, shared } from '../options.js';
import { DATA_HELP, PASSES_HELP } from './optimize.js';

export type CompressOptions = {
  pass: string[];
  data?: string;
  out: string;
  floor?: Record<string, number>;
  threads?: number;
  seed: number;
  overwrite?: boolean;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Applies the passes in the order given, measures what became of the quality on
texts that no pass has seen, and writes a model folder with that record in
quality.json. A model whose quality lies under a --floor is not written.

${PASSES_HELP}

${DATA_HELP}`;

export function registerCompress(program: Command, cli: Cli): void {
  const command = program
    .command('compress')
    .summary('make a model smaller with passes of your choice')
    .argument('<model>', 'use-lite, a model folder or a TinyStories .bin file')
    .usage('MODEL --pass CHAIN --out FOLDER [options]')
    .requiredOption(
      '--pass <chain>',
      'what to do to it; given again, the chains are joined',
      repeated,
    )
    .requiredOption('--out <folder>', 'the folder to write')
    .option('--data <file>', 'texts to measure on (default: some that come with anyformer)')
    .option(
      '--floor <metric=value>',
      'least quality to accept, as in cosine=0.98; may be given again',
      floor,
    )
    .addOption(shared.threads())
    .addOption(shared.seed())
    .addOption(shared.overwrite())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, options: CompressOptions) => {
      const { runCompress } = await import('../compress-run.js');
      await runCompress(cli, model, options);
    });
  examples(command, [
    ['8-bit integers, blocks of 64 weights', 'compress use-lite --pass int8:block=64 --out small'],
    [
      'half the parameters, then 8 bits; not written under a mean cosine of 0.95',
      'compress use-lite --pass low-rank:ratio=0.5 --pass int8 --floor cosine=0.95 --out smaller',
    ],
  ]);
}
