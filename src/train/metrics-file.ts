// metrics.jsonl: one JSON object a line, in the order of the steps. Rewritten whole under a temporary
// name every few seconds, so that a reader never sees half a line; a resumed run goes on after the
// step that it resumes from.
import { exists, readFile, writeAtomic } from '#platform';

export type MetricsLine = { readonly step: number; readonly [key: string]: unknown };

export type MetricsFile = {
  add(line: MetricsLine): Promise<void>;
  flush(): Promise<void>;
};

const EVERY_MS = 3000;

/** Keeps the lines up to step `after` of what is there. */
export async function openMetrics(path: string, after: number): Promise<MetricsFile> {
  const lines = after > 0 ? await linesUpTo(path, after) : [];
  let [written, last] = [-1, performance.now()];
  const encoder = new TextEncoder();
  const flush = async () => {
    if (written === lines.length) return;
    written = lines.length;
    await writeAtomic(path, encoder.encode(lines.map((line) => `${line}\n`).join('')));
    last = performance.now();
  };
  return {
    add: async (line) => {
      lines.push(JSON.stringify(line));
      if (performance.now() - last > EVERY_MS) await flush();
    },
    flush,
  };
}

async function linesUpTo(path: string, after: number): Promise<string[]> {
  if (!(await exists(path))) return [];
  const text = new TextDecoder().decode(await readFile(path));
  return text.split('\n').filter((line) => {
    try {
      return (JSON.parse(line) as MetricsLine).step <= after;
    } catch {
      return false; // blank, or not written here
    }
  });
}
