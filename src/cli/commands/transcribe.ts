// `transcribe`: speech in WAV files, written down.
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { examples, shared } from '../options.js';

export type TranscribeOptions = {
  model: string;
  threads?: number;
  json?: boolean;
  quiet?: boolean;
};

const HELP = `
Files are WAV: PCM or floats, any rate, any number of channels. What is not of
one channel at the model's rate is mixed down and resampled, and a note says so.
Long recordings are cut into pieces of at most half a minute where it is quiet.
Several files give a line each: its name, a tab, its text. With --json: one
document with the pieces, their times and tokens.`;

export function registerTranscribe(program: Command, cli: Cli): void {
  const command = program
    .command('transcribe')
    .summary('write speech down')
    .argument('<files...>', 'WAV files')
    .usage('FILE... [options]')
    .option('--model <model>', 'a speech-to-text model: a name or a folder', 'moonshine-tiny')
    .addOption(shared.threads())
    .addOption(shared.json())
    .addOption(shared.quiet())
    .addHelpText('after', HELP)
    .action(async (files: string[], options: TranscribeOptions) => {
      const { runTranscribe } = await import('../transcribe-run.js');
      await runTranscribe(cli, files, options);
    });
  examples(command, [
    ['one recording', 'transcribe speech.wav'],
    ['several, with the times of their pieces', 'transcribe monday.wav tuesday.wav --json'],
  ]);
}
