// `inspect`: what a model is made of, and what running it takes.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared, wholeNumber } from '../options.js';

export type InspectCommandOptions = {
  batch: number;
  seq?: number;
  depth: number;
  json?: boolean;
};

const HELP = `
Parameters and bytes are those of the checkpoint; a quantised matrix counts all
its numbers, however they are packed. FLOPs and activations are computed for one
pass of the given size, not measured; a multiply and an add count as two.
Nothing is run.`;

export function registerInspect(program: Command, cli: Cli): void {
  const command = program
    .command('inspect')
    .summary('parameters, bytes, FLOPs and memory of a model, part by part')
    .argument('<model>', 'use-lite, a model folder or a TinyStories .bin file')
    .usage('MODEL [options]')
    .option('--batch <n>', 'texts of the pass', wholeNumber(1), 1)
    .option(
      '--seq <n>',
      'tokens of each text (default: 128, or the context where that is shorter)',
      wholeNumber(1),
    )
    .option('--depth <n>', 'levels of parts to show', wholeNumber(0, 100), 3)
    .addOption(shared.json())
    .addHelpText('after', HELP)
    .action(async (model: string, options: InspectCommandOptions) => {
      const { runInspect } = await import('../inspect-run.js');
      await runInspect(cli, model, options);
    });
  examples(command, [
    ['a text encoder', 'inspect use-lite'],
    [
      'a folder written by optimize, for batches of 32',
      'inspect anyformer-out/start/model --batch 32',
    ],
  ]);
}
