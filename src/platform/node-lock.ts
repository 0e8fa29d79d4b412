// One writer at a time, across processes and machines: a lock file that its holder touches every
// second. A lock that nobody touches any more is broken; ages are those that the waiter saw go by, so
// that clocks which differ do no harm. Not a lock against programs that know nothing of it.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { codeOf, onFile } from './node-errors.js';

const BEAT_MS = 1000;
const POLL_MS = 100;
/** Untouched that long, a lock is given up: its machine is gone or its disk does not answer. */
const LOST_MS = 30_000;
/** The same where the process that held it is known to have ended. */
const ENDED_MS = 2500;

type Seen = { text: string; mtimeMs: number };

const held = new Set<string>();
let watching = false;

/** Runs `work` while this process alone holds the lock at `path`; waits until it is free. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<T> {
  await onFile(path, () => mkdir(dirname(path), { recursive: true }));
  const own = `${JSON.stringify({ id: randomUUID(), host: hostname(), pid: process.pid })}\n`;
  await acquire(path, own, signal);
  watchExit();
  held.add(path);
  const beat = setInterval(() => void touch(path), BEAT_MS);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    held.delete(path);
    // Whoever broke it, after this process had been stopped for long, holds it now.
    if ((await look(path))?.text === own) await rm(path, { force: true });
  }
}

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.once('exit', () => {
    for (const path of held) rmSync(path, { force: true });
  });
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}

async function acquire(path: string, own: string, signal: AbortSignal | undefined): Promise<void> {
  let seen: (Seen & { since: number }) | undefined;
  for (;;) {
    signal?.throwIfAborted();
    if (await create(path, own)) return;
    const now = await look(path);
    if (!now) continue;
    if (seen?.text !== now.text || seen.mtimeMs !== now.mtimeMs) {
      seen = { ...now, since: performance.now() };
    } else if (performance.now() - seen.since > patience(now.text)) await breakLock(path, now);
    await pause(POLL_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    return await onFile(path, () => Promise.reject(error));
  }
}

async function look(path: string): Promise<Seen | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { text, mtimeMs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    return await onFile(path, () => Promise.reject(error));
  }
}

function patience(text: string): number {
  try {
    const { host, pid } = JSON.parse(text) as { host: unknown; pid: unknown };
    return host === hostname() && typeof pid === 'number' && !runs(pid) ? ENDED_MS : LOST_MS;
  } catch {
    return LOST_MS; // not written to its end yet, or never
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** Removes the lock that was seen and no other: who breaks locks takes turns, and looks again. */
async function breakLock(path: string, seen: Seen): Promise<void> {
  const turn = `${path}.break`;
  if (!(await create(turn, ''))) {
    const facts = await stat(turn).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > LOST_MS) await rm(turn, { force: true });
    return;
  }
  try {
    const now = await look(path);
    if (now?.text === seen.text && now.mtimeMs === seen.mtimeMs) await rm(path, { force: true });
  } finally {
    await rm(turn, { force: true });
  }
}
