// Facts about the machine and the process, for measurements that name where they were taken.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import type { MachineFacts } from './platform.js';

export async function machine(): Promise<MachineFacts> {
  const cores = cpus();
  const [one, five, fifteen] = loadavg();
  return {
    cpu: cores[0]?.model.trim() || 'unknown',
    cores: cores.length,
    parallelism: parallelism(),
    memoryBytes: memoryLimit(),
    load: [one, five, fifteen],
    platform: `${process.platform}-${process.arch}`,
    runtime: `node ${process.versions.node}`,
  };
}

let quota: number | undefined;

/** Never more threads than a container's CPU quota pays for: more would only be throttled. */
export function parallelism(): number {
  quota ??= cpuQuota();
  return Math.max(1, Math.min(availableParallelism(), quota));
}

function cpuQuota(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  try {
    const [allowed, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').split(' ').map(Number);
    return allowed > 0 && period > 0 ? Math.ceil(allowed / period) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function memoryLimit(): number {
  const limit = process.constrainedMemory();
  // 0, undefined or an absurd number where nothing is limited.
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

export const residentBytes = (): number => process.memoryUsage.rss();

/**
 * Linux counts what a parent held when it forked into its child's `maxRSS`, and keeps a mark of the
 * program's own beside it.
 */
export function peakResidentBytes(): number {
  const marked = process.platform === 'linux' ? ownMark() : undefined;
  return marked ?? process.resourceUsage().maxRSS * 1024;
}

function ownMark(): number | undefined {
  try {
    const [, kilobytes] =
      /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
  } catch {
    return undefined;
  }
}
