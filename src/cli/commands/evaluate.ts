// `evaluate`: how well a language model predicts texts, beside what simple methods do.
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared, wholeNumber } from '../options.js';

export type EvaluateOptions = {
  data?: string[];
  documents?: 'file' | 'line';
  stride?: number;
  baselines?: string[] | boolean;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Prints bits a byte (UTF-8 bytes of the texts) and the perplexity of a token. A
document is scored after the token that ends the one before, its own end token
included, in windows of the model's context that overlap: every token is
predicted once, those beyond the first window after at least half a context.

Without --data the texts are those that the model's training held out: its
training.json, in the model's folder or beside it, names them.

--baselines compares with what learns from the training texts alone: a 5-gram
model with modified Kneser-Ney smoothing over the model's own tokens, and brotli,
xz and bzip2, by what the texts add to the compressed training texts. Takes a
minute or two for ten megabytes; xz and bzip2 are left out where they are not
installed.`;

export function registerEvaluate(program: Command, cli: Cli): void {
  const command = program
    .command('evaluate')
    .summary('bits a byte of a language model on texts, beside simple methods')
    .argument('<model>', 'a language model: a folder or a TinyStories .bin file')
    .usage('MODEL [options]')
    .option('--data <files...>', 'text files, or folders of .txt files')
    .addOption(
      new Option(
        '--documents <rule>',
        'a document is a file, or a line (default: as in training, else file)',
      ).choices(['file', 'line']),
    )
    .option(
      '--stride <n>',
      'tokens from window to window (default: half the context)',
      wholeNumber(1),
    )
    .option(
      '--baselines [files...]',
      'compare; files to learn from, unless training.json names them',
    )
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, options: EvaluateOptions) => {
      const { runEvaluate } = await import('../evaluate-run.js');
      await runEvaluate(cli, model, options);
    });
  examples(command, [
    [
      'a model that was trained here, on what its training held out',
      'evaluate runs/speeches/model --baselines',
    ],
    ['any texts', 'evaluate runs/speeches/model --data tests.txt --documents line'],
  ]);
}
