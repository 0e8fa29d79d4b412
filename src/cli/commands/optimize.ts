// `optimize`: which compression fits this model, this data, this machine and this budget?
import type { Command } from 'commander';
import { type Cli, EXIT_CODES_HELP } from '../cli.js';
import { examples, metricName, repeated, shared } from '../options.js';
import { shellLine } from '../shell.js';

type Options = {
  data?: string;
  budget?: string;
  pass?: string[];
  prefer?: string;
  out?: string;
  threads?: number;
  seed: number;
  overwrite?: boolean;
  json?: boolean;
  quiet?: boolean;
};

export const DATA_HELP = `Data files are UTF-8: one text a line; or, in a file named .tsv, a label, a tab
and a text a line.`;

export const PASSES_HELP = `Compression passes, joined with + in a chain:
  low-rank   two thin factors in place of a matrix: low-rank:ratio=0.5
  int8       8-bit integers: int8:block=64, int8:block=channel
  four-bit   4-bit floats or integers: four-bit:element=int4,group=32`;

const HELP = `
Tries compressions of MODEL on this machine: all of them on a small slice, the
best ones in full on texts that no compression has seen. Prints what each costs
and keeps, says which one fits the budget and why the others do not, and writes
FOLDER/model and FOLDER/report.html.

A budget is a list of limits, all of which must hold, such as
  "size<=0.3x, latency<=12ms, cosine>=0.99"
An x is a multiple of the original's value. Limits can be set on
  size, latency, throughput, memory
  cosine, recall, accuracy (of text encoders; accuracy needs labelled texts)
  agreement, perplexity (of language models)
Without --budget: size<=0.3x, with next to nothing lost.

${DATA_HELP}

${PASSES_HELP}

${EXIT_CODES_HELP}`;

export function registerOptimize(program: Command, cli: Cli): void {
  const command = program
    .command('optimize')
    .summary('find the compression that fits a budget, measured here')
    .argument('<model>', 'use-lite, a model folder or a TinyStories .bin file')
    .usage('MODEL [options]')
    .option('--data <file>', 'texts to measure on (default: some that come with anyformer)')
    .option('--budget <limits>', 'what the result must keep to (see below)')
    .option(
      '--pass <chain>',
      'try this chain instead of the usual ones; may be given again',
      repeated,
    )
    .option(
      '--prefer <metric>',
      'what decides among those that fit (default: the size)',
      metricName,
    )
    .option('--out <folder>', 'where the result goes (default: anyformer-out/MODEL)')
    .addOption(shared.threads())
    .addOption(shared.seed())
    .addOption(shared.overwrite())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, options: Options) => {
      const { runOptimize } = await import('../optimize-run.js');
      const out = options.out ?? `anyformer-out/${lastPart(model)}`;
      await runOptimize(cli, { ...options, model, out, command: typed(model, options) });
    });
  examples(command, [
    [
      'a text encoder that comes in an npm package, at most 0.3 of its size',
      'optimize use-lite --budget "size<=0.3x, cosine>=0.99"',
    ],
    [
      'your model on your labelled texts',
      'optimize ./my-model --data mails.tsv --budget "latency<=0.6x, accuracy>=0.99x"',
    ],
    [
      'two ways of your choice',
      'optimize use-lite --pass int8 --pass low-rank:ratio=0.5+int8 --out try',
    ],
  ]);
}

const lastPart = (model: string): string =>
  model
    .split(/[/\\]/)
    .filter((part) => !/^\.*$/.test(part))
    .at(-1) ?? 'model';

function typed(model: string, options: Options): string {
  const { data, budget, pass = [], prefer, threads, seed } = options;
  return shellLine(
    ['optimize', model],
    [
      ['--data', data],
      ['--budget', budget],
      ...pass.map((chain) => ['--pass', chain] as const),
      ['--prefer', prefer],
      ['--threads', threads],
      ['--seed', seed],
    ],
  );
}
