// Checkpoints: a folder `step-000123` that is a model's folder (it loads as one) with what training
// needs besides in state.safetensors, and trainer.json, written last, with the hash of every other
// file. A folder is there whole or not at all; one that was damaged later is told by its hashes.
import { z } from 'zod';
import {
  exists,
  type FolderFile,
  hashFile,
  joinPath,
  list,
  machine,
  remove,
  type WrittenFile,
  writeFolder,
} from '#platform';
import { layeredStore, memoryStore } from '../models/checkpoint.js';
import { checkConfig } from '../models/config-file.js';
import { modelFiles } from '../models/folder.js';
import { readJsonFile } from '../models/json-file.js';
import { declare, type Model } from '../models/model.js';
import { readSafetensors } from '../models/safetensors.js';
import { encodeSafetensors } from '../models/safetensors-write.js';
import { AnyformerError, type NDArray, VERSION } from '../tensor/index.js';
import type { Training } from './training.js';

export const TRAINER = 'trainer.json';
const MODEL = 'model.safetensors';
const STATE = 'state.safetensors';

const manifestSchema = z.object({
  format: z.literal('anyformer-checkpoint'),
  /** Steps done. */
  step: z.int().nonnegative(),
  /** Number of the next batch. */
  position: z.int().nonnegative(),
  /** All randomness is a function of this and the step. */
  seed: z.int(),
  /** What decides the run; a resumed one must have the same. */
  config: z.record(z.string(), z.unknown()),
  /** The best evaluation so far, and how many have passed since. */
  best: z.object({ step: z.int(), loss: z.number(), since: z.int() }).optional(),
  versions: z.object({ anyformer: z.string(), runtime: z.string() }),
  files: z.record(
    z.string().regex(/^[\w-][\w.-]*$/),
    z.object({ bytes: z.int(), sha256: z.string() }),
  ),
});

export type Manifest = z.output<typeof manifestSchema>;

export type Checkpoint = { readonly path: string; readonly manifest: Manifest };

/** A checkpoint that was passed over, and why. */
export type Skipped = { readonly path: string; readonly reason: string };

export const folderName = (step: number): string => `step-${String(step).padStart(6, '0')}`;

export type CheckpointFacts = Pick<Manifest, 'step' | 'position' | 'seed' | 'config' | 'best'>;

/**
 * Writes the run as it stands. Nothing is written, and `train/not-finite` names the tensor, where a
 * number of it is NaN or infinite. When the disk is full (`file/disk-full`) older checkpoints stay.
 */
export async function writeCheckpoint(
  folder: string,
  training: Training,
  facts: CheckpointFacts,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const state = await training.state();
  for (const [name, { data }] of state) checkFinite(name, data);
  const { model } = training;
  const now: Model = {
    ...model,
    weights: layeredStore(memoryStore(state), model.weights),
    quality: undefined,
  };
  const files: FolderFile[] = modelFiles(now);
  // The optimiser's state, and parameters that belong to the objective: heads of classes.
  const { stored } = declare(model);
  const rest = [...state].filter(([name]) => !stored.has(name));
  const { chunks, bytes } = encodeSafetensors(rest, [['format', 'pt']]);
  files.push({ name: STATE, chunks, bytes });
  const { runtime } = await machine();
  files.push({ name: TRAINER, chunks: (written) => manifest(facts, runtime, written) });
  const path = joinPath(folder, folderName(facts.step));
  // Only a damaged one can be here, or one of a run that went on from an older step.
  if (await exists(path)) await remove(path);
  await writeFolder(path, files, { signal, last: TRAINER });
  return path;
}

function manifest(
  facts: CheckpointFacts,
  runtime: string,
  written: readonly WrittenFile[],
): Uint8Array {
  const full: Manifest = {
    format: 'anyformer-checkpoint',
    ...facts,
    versions: { anyformer: VERSION, runtime },
    files: Object.fromEntries(written.map(({ name, bytes, sha256 }) => [name, { bytes, sha256 }])),
  };
  return new TextEncoder().encode(JSON.stringify(full, null, 2));
}

function checkFinite(name: string, data: NDArray['data']): void {
  const at = (data as Float32Array).findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new AnyformerError('train/not-finite', {
    what: `the tensor '${name}' is not written to a checkpoint`,
    expected: 'finite numbers',
    found: `${data[at]} at place ${at}`,
    hint: 'lower the learning rate, clip gradients, or warm up longer',
  });
}

/** Checkpoints by step, the newest first; none where there is no such folder. */
async function found(folder: string): Promise<{ step: number; path: string }[]> {
  if (!(await exists(folder))) return [];
  const entries = await list(folder);
  return entries
    .flatMap(({ name, kind }) => {
      const [, step] = /^step-(\d{6,})$/.exec(name) ?? [];
      return kind === 'folder' && step !== undefined
        ? [{ step: Number(step), path: joinPath(folder, name) }]
        : [];
    })
    .sort((a, b) => b.step - a.step);
}

/** The newest checkpoint whose every file has the size and hash that its manifest gives. */
export async function latestCheckpoint(
  folder: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<{ checkpoint: Checkpoint | undefined; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  for (const { step, path } of await found(folder)) {
    try {
      return { checkpoint: { path, manifest: await verified(path, step, signal) }, skipped };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof AnyformerError)) throw error;
      const { what, found: instead } = error;
      skipped.push({ path, reason: instead === undefined ? what : `${what} (${instead})` });
    }
  }
  return { checkpoint: undefined, skipped };
}

async function verified(path: string, step: number, signal?: AbortSignal): Promise<Manifest> {
  const file = joinPath(path, TRAINER);
  const json = await readJsonFile(file, { code: 'checkpoint', maxBytes: 10_000_000 });
  const manifest = checkConfig(manifestSchema, json, file);
  const damaged = (name: string, expected: string, instead: string) =>
    new AnyformerError('checkpoint/damaged', {
      what: `${joinPath(path, name)} is not what was written`,
      expected,
      found: instead,
    });
  if (manifest.step !== step) throw damaged(TRAINER, `step ${step}`, `step ${manifest.step}`);
  for (const name of [MODEL, STATE]) {
    if (!Object.hasOwn(manifest.files, name))
      throw damaged(TRAINER, `${name} among its files`, 'none');
  }
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const now = await hashFile(joinPath(path, name), { signal });
    if (now.bytes !== bytes) throw damaged(name, `${bytes} bytes`, `${now.bytes} bytes`);
    if (now.sha256 !== sha256) throw damaged(name, `SHA-256 ${sha256}`, now.sha256);
  }
  return manifest;
}

/** What `Training.restore` takes. */
export async function readCheckpoint(path: string): Promise<Map<string, NDArray>> {
  const model = await readSafetensors(joinPath(path, MODEL));
  const state = await readSafetensors(joinPath(path, STATE));
  return new Map([...model.tensors, ...state.tensors]);
}

/** Removes all but the newest `keep` and the one of step `spare`. */
export async function pruneCheckpoints(
  folder: string,
  keep: number,
  spare?: number,
): Promise<void> {
  for (const { step, path } of (await found(folder)).slice(Math.max(1, keep))) {
    if (step !== spare) await remove(path);
  }
}

/** Removes what a writer left that was killed: call it where no other run writes to the folder. */
export async function removeRemains(folder: string): Promise<void> {
  if (!(await exists(folder))) return;
  for (const { name } of await list(folder)) {
    if (/^\.step-\d+\.[\w-]+\.tmp$/.test(name)) await remove(joinPath(folder, name));
  }
}
