// report.html of a training run: the curves of metrics.jsonl beside it, drawn anew every half minute
// while the run goes on. The page reloads itself until the run has ended; it has no scripts.
import { exists, joinPath, readFile, writeAtomic } from '#platform';
import type { TrainEvent } from '../train/events.js';
import { EVERY_SECONDS, type MetricsLine, type RunState, renderTrainReport } from './train-page.js';

export type TrainReport = {
  /** To be told of every event; draws at times, without keeping the run waiting. */
  see(event: TrainEvent): void;
  /** Draws the last state and waits for it. */
  close(): Promise<void>;
};

export type ReportOptions = {
  /** Where metrics.jsonl is and report.html goes. */
  folder: string;
  name: string;
  /** The configuration, for the reader. */
  config: unknown;
  /** What was read, in sentences. */
  notes: readonly string[];
  /** Told once if the report cannot be written: the run goes on without. */
  failed(error: unknown): void;
};

export function openTrainReport({ folder, failed, ...page }: ReportOptions): TrainReport {
  let last = Number.NEGATIVE_INFINITY;
  let state: RunState = { state: 'running', step: 0, steps: 0, parameters: 0 };
  let writing: Promise<void> | undefined;
  let broken = false;
  const write = async () => {
    if (broken) return;
    last = performance.now();
    try {
      const lines = await readMetrics(joinPath(folder, 'metrics.jsonl'));
      const text = await renderTrainReport({ ...page, ...state, lines });
      await writeAtomic(joinPath(folder, 'report.html'), new TextEncoder().encode(text));
    } catch (error) {
      broken = true;
      failed(error);
    }
  };
  return {
    see: (event) => {
      state = after(state, event);
      const due = performance.now() - last > 1000 * EVERY_SECONDS;
      if (event.type !== 'step' || !due || writing) return;
      writing = write().finally(() => {
        writing = undefined;
      });
    },
    close: async () => {
      await writing;
      if (state.state === 'running') state = { ...state, state: 'failed' };
      if (state.step > 0) await write();
    },
  };
}

function after(state: RunState, event: TrainEvent): RunState {
  const { step } = event;
  if (event.type === 'start') {
    return { ...state, step, steps: event.steps, parameters: event.parameters };
  }
  return event.type === 'done' ? { ...state, step, state: event.reason } : { ...state, step };
}

async function readMetrics(path: string): Promise<MetricsLine[]> {
  if (!(await exists(path))) return [];
  const text = new TextDecoder().decode(await readFile(path));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as MetricsLine);
}
