// What reaches the terminal while something is going on.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Cli } from '../src/cli/cli.js';
import { openTerminal } from '../src/cli/terminal.js';

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

function scene({ tty = true, quiet = false } = {}) {
  const stop = new AbortController();
  const streams = [new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream, { isTTY: tty, columns: 80 }),
  );
  const [stdout, stderr] = streams as unknown as NodeJS.WriteStream[];
  const cli: Cli = {
    stdin: process.stdin,
    stdout,
    stderr,
    signal: stop.signal,
    atEnd: [],
    exitCode: 0,
  };
  const said = () => String(streams[1].read() ?? '');
  return { cli, stop, said, terminal: openTerminal(cli, { quiet }) };
}

const at = (done: number, stage = 'screen') => ({
  stage,
  done,
  total: 10,
  what: `candidate ${done}`,
});

describe('progress', () => {
  it('shows only on a terminal, and only what takes two seconds', { timeout: 20_000 }, async () => {
    const [shown, piped, hushed, brief] = [
      scene(),
      scene({ tty: false }),
      scene({ quiet: true }),
      scene(),
    ];
    for (const { terminal } of [shown, piped, hushed, brief]) terminal.progress(at(1));
    await pause(500);
    brief.terminal.progress(at(2, 'confirm'));
    for (const { said } of [shown, piped, hushed, brief]) expect(said()).toBe('');
    await pause(1700);
    shown.terminal.progress(at(4));
    await pause(200);
    expect(shown.said()).toMatch(/screen \[.*40% candidate 4/s);
    brief.terminal.clear();
    for (const { said } of [piped, hushed, brief]) expect(said()).toBe('');

    // An abort takes it away for good: what still reports progress is not heard.
    shown.stop.abort();
    shown.said();
    shown.terminal.progress(at(5));
    await pause(2300);
    expect(shown.said()).toBe('');
    expect(shown.cli.atEnd).toHaveLength(1);
  });

  it('notes go to standard error unless hushed', () => {
    const [loud, hushed] = [scene({ tty: false }), scene({ quiet: true })];
    for (const { terminal } of [loud, hushed]) terminal.note('data: 3 texts');
    expect([loud.said(), hushed.said()]).toEqual(['data: 3 texts\n', '']);
  });
});
