// A training run killed again and again at random moments ends with the very numbers of one that was
// left alone. The real program, `kill -9`. ANYFORMER_KILLS sets how often (10 unless told).
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { latestCheckpoint } from '../src/train/checkpoint.js';
import { start } from './support/cli.js';

const kills = Number(process.env.ANYFORMER_KILLS ?? 10);
const EVERY = 4;
const steps = 30 * kills;

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'kill-'));
  const texts = Array.from({ length: 200 }, (_, i) => `row ${i} holds ${i * i} and ${i % 7} more.`);
  await writeFile(join(place, 'texts.txt'), texts.join('\n'));
});
afterAll(() => rm(place, { recursive: true }));

async function config(out: string): Promise<string> {
  const path = join(place, `${out}.json`);
  const content = {
    model: {
      model_type: 'llama',
      hidden_size: 32,
      intermediate_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 2,
    },
    tokenizer: { type: 'bpe', vocabulary: 300 },
    data: { train: 'texts.txt', heldOut: 0.1 },
    optimizer: { type: 'adamw', rate: 0.003, decay: 0.1 },
    schedule: { type: 'cosine', warmup: 5 },
    steps,
    batch: 4,
    sequence: 32,
    accumulate: 2,
    evaluate: { every: 50 },
    checkpoint: { every: EVERY, keep: 2 },
    out,
  };
  await writeFile(path, JSON.stringify(content));
  return path;
}

const timeless = async (out: string) =>
  (await readFile(join(place, out, 'metrics.jsonl'), 'utf8')).replace(/"seconds":[^,}]+/g, '');

/** Until the program has told so many events: moments that do not depend on the machine's speed. */
const events = (child: ChildProcess, count: number) =>
  new Promise<void>((done) => {
    let lines = 0;
    child.stdout?.on('data', (text: string) => {
      lines += text.split('\n').length - 1;
      if (lines >= count) done();
    });
    child.once('close', () => done());
  });

it(
  `${kills} kills change nothing`,
  async () => {
    const alone = await start(['train', await config('alone'), '--quiet']).ended;
    expect(alone).toMatchObject({ code: 0, stderr: '' });
    const path = await config('killed');
    const folder = join(place, 'killed', 'checkpoints');
    const from: number[] = [];
    while (from.length < kills) {
      const { child, ended } = start(['train', path, '--resume', '--json']);
      await events(child, 1 + Math.floor(Math.random() * 20));
      await new Promise((done) => setTimeout(done, Math.random() * 60));
      child.kill('SIGKILL');
      const { code } = await ended;
      expect(code, 'finished before it was killed').toBeNull();
      const { checkpoint, skipped } = await latestCheckpoint(folder);
      expect(skipped).toEqual([]);
      from.push(checkpoint?.manifest.step ?? 0);
    }
    // It got somewhere, and by far not in one go.
    expect(new Set(from).size).toBeGreaterThan(kills / 3);
    const last = await start(['train', path, '--resume', '--quiet']).ended;
    expect(last).toMatchObject({ code: 0, stderr: '' });
    expect(await timeless('killed')).toBe(await timeless('alone'));
    for (const kept of ['model', `checkpoints/step-${String(steps).padStart(6, '0')}`]) {
      for (const name of await readdir(join(place, 'alone', kept))) {
        if (name === 'trainer.json') continue;
        const [a, b] = await Promise.all(
          ['alone', 'killed'].map((run) => readFile(join(place, run, kept, name))),
        );
        expect(b.equals(a), `${kept}/${name}`).toBe(true);
      }
    }
    // Nothing of the killed writers is left.
    expect((await readdir(folder)).every((name) => name.startsWith('step-'))).toBe(true);
  },
  60_000 + 12_000 * kills,
);
