// `generate`: continues a text with a language model, token by token.
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { examples, realNumber, shared, wholeNumber } from '../options.js';

export type GenerateOptions = {
  maxNewTokens: number;
  strategy?: 'greedy' | 'sample';
  temperature?: number;
  topK?: number;
  topP?: number;
  seed: number;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Prints the prompt and its continuation as it comes. The options have the names
of Hugging Face's generate. --temperature, --top-k and --top-p mean drawing;
without them the best token is taken. With --json: one document with the
continuation, its tokens and the speed.`;

export function registerGenerate(program: Command, cli: Cli): void {
  const command = program
    .command('generate')
    .summary('continue a text with a language model')
    .argument('<model>', 'a language model: a folder or a TinyStories .bin file')
    .argument('<prompt>', 'the text to continue; "" begins a new one')
    .usage('MODEL PROMPT [options]')
    .option('--max-new-tokens <n>', 'tokens to add at most', wholeNumber(1), 256)
    .addOption(
      new Option('--strategy <name>', 'greedy takes the best token, sample draws one').choices([
        'greedy',
        'sample',
      ]),
    )
    .option(
      '--temperature <t>',
      'below 1 bolder on the likely ones, above 1 more even',
      realNumber(0),
    )
    .option('--top-k <k>', 'draw among the k best only', wholeNumber(0))
    .option(
      '--top-p <p>',
      'draw among the fewest that together have this probability',
      realNumber(0, 1),
    )
    .addOption(shared.seed())
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, prompt: string, options: GenerateOptions) => {
      const { runGenerate } = await import('../generate-run.js');
      await runGenerate(cli, model, prompt, options);
    });
  examples(command, [
    ['the likeliest story', 'generate stories260K.bin "Once upon a time" --max-new-tokens 100'],
    [
      'another one',
      'generate stories260K.bin "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 7',
    ],
  ]);
}
