// The command line's entry: parses, dispatches, turns failures into exit codes. Each command is a
// file of its own and is imported only when it runs, so that `--help` starts at once.
// Exit codes: 0 done, 1 failed, 2 wrong usage.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';

const version = (): string =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;

/** Runs the command line; `argv` begins after the program's name. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('anyformer')
    .description('Any transformer, fitted to your budget.')
    .version(version())
    .exitOverride();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Help and version end this way too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
