// How much memory a process needs that loads a model and runs it: a fresh process does just that and
// tells its peak. The process that measures everything else has far more in memory than one model.
import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFolder } from '#platform';
import { modelFiles } from '../models/folder.js';
import type { Model } from '../models/model.js';
import { AnyformerError } from '../tensor/error.js';

export type MemoryTask = { folder: string; texts: readonly string[]; threads: number | undefined };
export type MemoryAnswer = { bytes: number } | { failure: string };

export type MemoryProbe = AsyncDisposable & {
  of(model: Model, signal?: AbortSignal): Promise<number>;
};

/** Texts that the process runs the model on. */
const TEXTS = 64;

// Built files, also when this one is run from src by the tests.
const child = fileURLToPath(new URL('../../dist/cli/memory-child.js', import.meta.url));

/** Models pass through a folder of their own, removed at the end. */
export async function memoryProbe(
  texts: readonly string[],
  threads: number | undefined,
): Promise<MemoryProbe> {
  const place = await mkdtemp(join(tmpdir(), 'anyformer-'));
  // Leaving at once must not leave the models behind.
  const onExit = () => rmSync(place, { recursive: true, force: true });
  process.once('exit', onExit);
  let count = 0;
  return {
    async of(model, signal) {
      const folder = join(place, `${count++}`);
      await writeFolder(folder, modelFiles(model), { signal, last: 'config.json' });
      try {
        return await peakOf({ folder, texts: texts.slice(0, TEXTS), threads }, signal);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async [Symbol.asyncDispose]() {
      process.off('exit', onExit);
      await rm(place, { recursive: true, force: true });
    },
  };
}

function peakOf(task: MemoryTask, signal: AbortSignal | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const runner = fork(child, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      signal,
    });
    let answer: MemoryAnswer | undefined;
    runner.once('message', (message: MemoryAnswer) => {
      answer = message;
    });
    runner.once('error', (error) => reject(signal?.aborted ? signal.reason : error));
    runner.once('exit', (code) => {
      if (signal?.aborted) reject(signal.reason);
      else if (answer && 'bytes' in answer) resolve(answer.bytes);
      else reject(failed(answer?.failure ?? `exit code ${code}`));
    });
    runner.send(task, () => undefined);
  });
}

const failed = (found: string): AnyformerError =>
  new AnyformerError('optimize/memory', {
    what: 'the process that measures the memory of a model failed',
    found,
  });
