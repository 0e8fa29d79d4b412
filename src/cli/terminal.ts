// Where words go: results to standard output; notes and progress to standard error. A bar appears
// only on a terminal, and only for what has taken two seconds; elsewhere progress says nothing.
import type { SingleBar } from 'cli-progress';
import type { Cli } from './cli.js';

export type Progress = { stage: string; done: number; total: number; what: string };

export type Terminal = {
  /** A result, line by line or piece by piece. */
  print(text: string): void;
  /** A remark for the person in front of it; nothing with --quiet. */
  note(text: string): void;
  progress(event: Progress): void;
  /** Takes the bar away. */
  clear(): void;
};

const PATIENCE_MS = 2000;
const LONGEST_WHAT = 36;

export function openTerminal(
  cli: Cli,
  { quiet = false }: { quiet?: boolean | undefined },
): Terminal {
  const shows = () => !quiet && cli.stderr.isTTY === true && !cli.signal.aborted;
  let stage: string | undefined;
  let latest: Progress | undefined;
  let timer: NodeJS.Timeout | undefined;
  let bar: SingleBar | undefined;

  const show = async () => {
    const { default: progress } = await import('cli-progress');
    if (!latest || bar || !shows()) return;
    bar = new progress.SingleBar({
      format: '{stage} [{bar}] {percentage}% {what}',
      barsize: 24,
      stream: cli.stderr,
      clearOnComplete: true,
      // The command line has its own handler, which stops the work too.
      gracefulExit: false,
      autopadding: true,
    });
    bar.start(Math.max(1, latest.total), latest.done, wordsOf(latest));
  };
  const clear = () => {
    clearTimeout(timer);
    timer = undefined;
    bar?.stop();
    bar = undefined;
    latest = undefined;
    stage = undefined;
  };

  // A bar that is left standing would keep the process alive.
  cli.atEnd.push(clear);
  cli.signal.addEventListener('abort', clear, { once: true });

  return {
    print(text) {
      clear();
      cli.stdout.write(text);
    },
    note(text) {
      if (quiet) return;
      const [shown, before] = [bar !== undefined, latest];
      if (shown) clear();
      cli.stderr.write(`${text}\n`);
      if (shown && before) {
        [stage, latest] = [before.stage, before];
        void show();
      }
    },
    progress(event) {
      if (!shows()) return;
      if (event.stage !== stage) {
        clear();
        stage = event.stage;
        timer = setTimeout(() => void show(), PATIENCE_MS);
        timer.unref();
      }
      latest = event;
      if (!bar) return;
      bar.setTotal(Math.max(1, event.total));
      bar.update(event.done, wordsOf(event));
    },
    clear,
  };
}

function wordsOf({ stage, what }: Progress): { stage: string; what: string } {
  const characters = [...what];
  const cut = characters.length <= LONGEST_WHAT;
  return { stage, what: cut ? what : `${characters.slice(0, LONGEST_WHAT - 1).join('')}…` };
}

/** Columns of the terminal; for files and pipes wide enough for every table. */
export const widthOf = ({ stdout }: Cli): number => (stdout.isTTY ? stdout.columns : 140);
