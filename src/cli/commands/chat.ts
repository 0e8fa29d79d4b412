// `chat`: a conversation with a language model.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, realNumber, shared, wholeNumber } from '../options.js';

export type ChatOptions = {
  system?: string;
  maxNewTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed: number;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Messages are written by the model's own chat template; a model without one is
given "User:" and "Assistant:" lines, and that is said. Sampling is as the
model's generation_config.json says, unless options say otherwise; --temperature
0 takes the best token.
While it answers, Ctrl-C stops the answer; again, or while it waits, it ends the
program. From a pipe each line is a message.
In the conversation:
  /reset           begin anew, with the same system message
  /system TEXT     set the system message (nothing: none) and begin anew
  /save FILE       write the conversation as JSON
  /exit            end, as Ctrl-D does
  //TEXT           a message that begins with /`;

export function registerChat(program: Command, cli: Cli): void {
  const command = program
    .command('chat')
    .summary('talk with a language model')
    .argument('<model>', 'a language model: a folder, org/name of the Hub, or a .bin file')
    .usage('MODEL [options]')
    .option('--system <text>', 'what the model is told first')
    .option('--max-new-tokens <n>', 'tokens of an answer at most', wholeNumber(1), 512)
    .option('--temperature <t>', 'below 1 bolder on the likely tokens', realNumber(0))
    .option('--top-k <k>', 'draw among the k best only', wholeNumber(0))
    .option('--top-p <p>', 'draw among the fewest of this probability', realNumber(0, 1))
    .addOption(shared.seed())
    .addOption(shared.threads())
    .option('--json', 'print one JSON document a line and answer')
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (model: string, options: ChatOptions) => {
      const { runChat } = await import('../chat-run.js');
      await runChat(cli, model, options);
    });
  examples(command, [
    ['a model of the Hub', 'chat HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['questions from a file', 'chat my-model --system "Answer in one word." < questions.txt'],
  ]);
}
