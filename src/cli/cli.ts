// What every command is given, and what its process may end with.

export type Cli = {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborts on Ctrl-C; every long call takes it. */
  readonly signal: AbortSignal;
  /** What to do when the command ends, however it ends. */
  readonly atEnd: (() => void)[];
  /** Asked first when Ctrl-C comes: true where it is dealt with, and the command goes on. */
  interrupted?: (() => boolean) | undefined;
  /** The code of a command that ends without an error. */
  exitCode: number;
};

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** `optimize`, `start`: nothing tried meets the budget. */
  unmet: 3,
  interrupted: 130,
  terminated: 143,
} as const;

export const EXIT_CODES_HELP = `Exit codes:
  0    done
  1    failed: the message says why and what to do
  2    wrong usage: an option, a budget, a data file or a config that cannot
       be taken
  3    optimize, start: done, but nothing tried meets the budget
  130  stopped by Ctrl-C (143: by a termination signal); nothing half-written
       is left`;
