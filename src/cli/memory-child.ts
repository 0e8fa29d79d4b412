// A process of its own: loads a model, runs it, tells the most memory it ever held, and ends.
import { peakResidentBytes } from '#platform';
import { loadModelFolder } from '../models/folder.js';
import { openWorkload } from '../optimize/workload.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import type { MemoryAnswer, MemoryTask } from './memory.js';

// Ctrl-C in a terminal reaches every process: the parent decides, and goes with it this one.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(1));

process.once('message', async (task: MemoryTask) => {
  const answer = await peakOf(task).catch(
    (error): MemoryAnswer => ({ failure: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(answer, () => process.exit(0));
});

async function peakOf({ folder, texts, threads }: MemoryTask): Promise<MemoryAnswer> {
  await using model = await loadModelFolder(folder);
  await using device = await cpuDevice(threads === undefined ? {} : { threads });
  await using workload = await openWorkload(model, texts, device);
  await workload.one();
  await workload.batch();
  return { bytes: peakResidentBytes() };
}
