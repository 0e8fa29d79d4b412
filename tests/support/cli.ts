// Running the command line: inside this process for its output and exit code, or as the real program
// where signals, pipes and standard input matter.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { repository } from '../../scripts/tree.mjs';
import { main } from '../../src/cli/main.js';

export type Ended = {
  code: number | null;
  /** The signal that ended the process, which then has no code. */
  signal?: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
};

export async function cli(...argv: string[]): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const into = (pieces: string[]) => (chunk: string | Uint8Array) => {
    pieces.push(String(chunk));
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(into(out)),
    vi.spyOn(process.stderr, 'write').mockImplementation(into(err)),
  ];
  try {
    const code = await main(argv);
    return { code, stdout: out.join(''), stderr: err.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

export const bin = join(repository, 'bin', 'anyformer');

export type Started = {
  child: ChildProcess;
  ended: Promise<Ended>;
  says(text: string): Promise<void>;
};

/**
 * The code as a shell tells it. Node, on its way out, takes its handlers away: a signal that comes then
 * ends the process as it would any other, without a code, and a shell says 128 and the signal's number.
 */
export const shellCode = ({ code, signal }: Ended): number | null =>
  code ?? (signal ? 128 + constants.signals[signal] : null);

/** The real program; `stdin` is all its standard input, unless it stays open. */
export function start(
  argv: readonly string[],
  {
    stdin = '',
    open = false,
    cwd,
    env = {},
  }: {
    stdin?: string | Uint8Array;
    open?: boolean;
    cwd?: string;
    env?: Record<string, string>;
  } = {},
): Started {
  const child = spawn(process.execPath, [bin, ...argv], { cwd, env: { ...process.env, ...env } });
  let [stdout, stderr] = ['', ''];
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
    for (const listener of listeners) listener();
  });
  child.stdin.on('error', () => undefined);
  if (!open) child.stdin.end(stdin);
  const ended = new Promise<Ended>((done) => {
    child.once('close', (code, signal) => done({ code, signal, stdout, stderr }));
  });
  const says = (text: string) =>
    new Promise<void>((done, fail) => {
      const look = () => {
        if (!stderr.includes(text)) return;
        listeners.delete(look);
        done();
      };
      listeners.add(look);
      look();
      ended.then(({ code }) => fail(new Error(`ended with ${code} before '${text}': ${stderr}`)));
    });
  return { child, ended, says };
}
