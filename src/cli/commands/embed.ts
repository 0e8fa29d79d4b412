// `embed`: texts in, one vector a line out.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type EmbedOptions = {
  file?: string;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Prints one line a text, in the order of the texts: the numbers of its vector,
separated by tabs. Vectors of use-lite have length 1, so the cosine of two texts
is the sum of products. A folder of a BERT, RoBERTa or DistilBERT says in the
files of sentence-transformers (modules.json, 1_Pooling/config.json,
sentence_bert_config.json) what its vectors are; without them a vector is the
mean over the text's tokens, as long as it comes out. Texts come from the
command line, from a file with one text a line, or from standard input; a blank
line is a text too, so that line i of the output belongs to line i of the input.`;

export function registerEmbed(program: Command, cli: Cli): void {
  const command = program
    .command('embed')
    .summary('turn texts into vectors')
    .argument('<model>', 'a text encoder: use-lite or a model folder')
    .argument('[texts...]', 'texts; without any, and without --file, standard input is read')
    .usage('MODEL [TEXT...] [options]')
    .option('--file <file>', 'a text a line; - is standard input')
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, texts: string[], options: EmbedOptions) => {
      const { runEmbed } = await import('../embed-run.js');
      await runEmbed(cli, model, texts, options);
    });
  examples(command, [
    ['two texts', 'embed use-lite "I forgot my password" "Lost my login"'],
    ['a file', 'embed use-lite --file questions.txt > vectors.tsv'],
    ['from another program', 'embed use-lite --json < questions.txt'],
  ]);
}
