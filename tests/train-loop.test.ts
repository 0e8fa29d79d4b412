// The training loop: what it tells and when, resuming to the bit, stopping early or on a signal, what it
// does with numbers that overflow and with bad input.
import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { layeredStore, memoryStore } from '../src/models/checkpoint.js';
import { loadModelFolder } from '../src/models/folder.js';
import type { Model } from '../src/models/model.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, type NDArray, toNumbers } from '../src/tensor/index.js';
import { latestCheckpoint } from '../src/train/checkpoint.js';
import { train } from '../src/train/loop.js';
import { sgd } from '../src/train/optimizers.js';
import { constantRate } from '../src/train/schedules.js';
import { batches, collect, heldOut, losses, model, only, options } from './support/train-run.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice();
});
afterAll(() => device.dispose());
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'loop-'));
  return () => rm(place, { recursive: true });
});

const weights = async ({ weights: store }: Model): Promise<Map<string, NDArray>> => {
  const all = new Map<string, NDArray>();
  for (const name of store.names()) all.set(name, await store.read(name));
  return all;
};

describe('a run', () => {
  it('tells its steps, rates, evaluations, checkpoints and end', async () => {
    const folder = join(place, 'run');
    const events = await collect(
      options(device, {
        evaluation: { every: 8, batches: heldOut },
        checkpoints: { folder, every: 6, keep: 2 },
        metrics: join(place, 'metrics.jsonl'),
      }),
    );
    expect(events[0]).toMatchObject({ type: 'start', step: 0, steps: 20, skipped: [] });
    const steps = only(events, 'step');
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(steps[19].loss).toBeLessThan(steps[0].loss - 0.5);
    expect(steps[0].rate).toBeCloseTo(0.005 * Math.cos(0), 5);
    expect(steps[1].rate).toBeCloseTo(0.01, 5);
    expect(steps[19].rate).toBeCloseTo(0, 6);
    const mask = batches.at(0).attention_mask;
    expect(steps[0].tokens).toBe(toNumbers(mask).reduce((a, b) => a + b, 0));
    expect(only(events, 'evaluation').map(({ step }) => step)).toEqual([8, 16, 20]);
    expect(only(events, 'checkpoint').map(({ step }) => step)).toEqual([6, 12, 18, 20]);
    expect((await readdir(folder)).sort()).toEqual(['step-000018', 'step-000020']);
    expect(events.at(-1)).toMatchObject({ type: 'done', step: 20, reason: 'steps' });
    const lines = (await readFile(join(place, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(23);
    expect(JSON.parse(lines[8])).toMatchObject({ step: 8, evaluation: true });
    // A checkpoint is a model.
    await using loaded = await loadModelFolder(join(folder, 'step-000020'));
    const [done] = only(events, 'done');
    expect(await loaded.weights.read('model.norm.weight')).toEqual(
      await done.model.weights.read('model.norm.weight'),
    );
  });

  it('is a mean over all places in an evaluation, however they are cut into batches', async () => {
    const evaluate = async (cut: typeof heldOut) => {
      const events = await collect(
        options(device, { steps: 2, evaluation: { every: 9, batches: cut } }),
      );
      return only(events, 'evaluation')[0];
    };
    const [all, apart] = [
      await evaluate(heldOut),
      await evaluate({ count: 2, at: (i) => heldOut.at(1 - i) }),
    ];
    expect(apart.loss).toBeCloseTo(all.loss, 6);
    expect(apart.weight).toBe(all.weight);
  });

  it.each([
    ['numbered', 1],
    ['numbered', 2],
    ['iterated', 1],
  ])('of %s batches, %i a step, resumed is the run itself to the bit', async (kind, accumulate) => {
    const series = () =>
      kind === 'numbered'
        ? batches
        : (function* () {
            for (let i = 0; ; i++) yield batches.at(i);
          })();
    const made = (folder: string, more = {}) =>
      options(device, {
        accumulate,
        batches: series(),
        checkpoints: { folder: join(place, folder), every: 5, keep: 9 },
        evaluation: { every: 7, batches: heldOut },
        metrics: join(place, `${folder}.jsonl`),
        config: { rate: 0.01, layers: [1, 2] },
        ...more,
      });
    const whole = await collect(made('whole'));
    // Stopped without a word after step 12, so that it goes on from step 10.
    for await (const event of train(made('cut'))) {
      if (event.type === 'step' && event.step === 12) break;
    }
    await appendFile(join(place, 'cut.jsonl'), '{"step":13,"lo');
    const rest = await collect(made('cut', { resume: true }));
    expect(rest[0]).toMatchObject({ type: 'start', step: 10 });
    expect(losses(rest)).toEqual(losses(whole).slice(10));
    const [a, b] = [only(whole, 'done')[0], only(rest, 'done')[0]];
    expect(await weights(b.model)).toEqual(await weights(a.model));
    expect(b.best).toEqual(a.best);
    const lines = async (name: string) =>
      (await readFile(join(place, name), 'utf8')).replace(/"seconds":[^,}]+/g, '');
    expect(await lines('cut.jsonl')).toBe(await lines('whole.jsonl'));
    // Once more there is nothing left to do.
    const again = await collect(made('cut', { resume: true }));
    expect(again.map(({ type }) => type)).toEqual(['start', 'done']);
  });

  it('finishes its step on a signal, keeps a checkpoint, and goes on to the bit', async () => {
    const folder = join(place, 'run');
    const whole = losses(await collect(options(device)));
    const stop = new AbortController();
    const events = [];
    for await (const event of train(
      options(device, { checkpoints: { folder, every: 50 }, signal: stop.signal }),
    )) {
      events.push(event);
      // While step 8 is under way or about to be.
      if (event.type === 'step' && event.step === 7) stop.abort(new Error('enough'));
    }
    expect(events.at(-1)).toMatchObject({ type: 'done', reason: 'aborted', step: 7 });
    expect(events.at(-2)).toMatchObject({ type: 'checkpoint', step: 7 });
    const rest = await collect(
      options(device, { checkpoints: { folder, every: 50 }, resume: true }),
    );
    expect(losses(rest)).toEqual(whole.slice(7));
  });

  it('stops early after evaluations without progress, and names the best one', async () => {
    const folder = join(place, 'run');
    const made = {
      // A rate that spoils what there is.
      step: { optimizer: sgd({ momentum: 0 }), rate: -0.02, schedule: constantRate() },
      evaluation: { every: 2, batches: heldOut, patience: 3 },
      checkpoints: { folder, every: 4, keep: 1 },
    };
    const events = await collect(options(device, made));
    const [done] = only(events, 'done');
    expect(done).toMatchObject({ reason: 'early-stop', step: 8, best: { step: 2 } });
    expect(done.best?.path).toBe(join(folder, 'step-000002'));
    await using best = await loadModelFolder(join(folder, 'step-000002'));
    expect(best.family.kind).toBe('decoder');
    expect((await readdir(folder)).sort()).toEqual(['step-000002', 'step-000008']);
    const again = await collect(options(device, { ...made, resume: true }));
    expect(again.map(({ type }) => type)).toEqual(['start', 'done']);
    expect(again.at(-1)).toMatchObject({ reason: 'early-stop', best: { step: 2 } });
  });

  it('ends where the batches end', async () => {
    const three = [0, 1, 2].map((i) => batches.at(i));
    const events = await collect(options(device, { batches: three }));
    expect(events.at(-1)).toMatchObject({ type: 'done', reason: 'data', step: 3 });
  });
});

describe('numbers that overflow', () => {
  const overflowing =
    (change: (w: NDArray) => NDArray, name: string) => async (): Promise<Model> => {
      const changed = new Map([[name, change(await model.weights.read(name))]]);
      return { ...model, weights: layeredStore(memoryStore(changed), model.weights) };
    };
  const filled = (value: number) => (w: NDArray) =>
    fromNumbers('f32', w.shape, new Float64Array(w.data.length).fill(value));

  it('stop the run, and the module is named', async () => {
    const name = 'model.layers.1.mlp.up_proj.weight';
    const broken = await overflowing(filled(3e38), name)();
    const error = await collect(options(device, { model: broken })).catch((e) => e);
    expect(error.code).toBe('train/not-finite');
    expect(error.message).toContain('step 1');
    expect(error.found).toContain('activation of model.layers.1.mlp');
    expect(error.found).not.toContain('layers.0');
    expect(error.hint).toContain('no checkpoint');
  });

  it('a parameter that is NaN is named itself', async () => {
    const name = 'model.layers.0.self_attn.k_proj.weight';
    const broken = await overflowing(filled(Number.NaN), name)();
    const error = await collect(options(device, { model: broken })).catch((e) => e);
    expect(error.found).toContain(`parameter ${name}`);
  });

  it('leave the last good checkpoint, from which the steps are done again', async () => {
    const folder = join(place, 'run');
    const error = await collect(
      options(device, {
        // What one step leaves is finite, the next one is not.
        step: { optimizer: sgd({ momentum: 0 }), rate: 1e25, schedule: constantRate() },
        checkpoints: { folder, every: 1, keep: 5 },
        metrics: join(place, 'metrics.jsonl'),
      }),
    ).catch((e) => e);
    expect(error.code).toBe('train/not-finite');
    const { checkpoint } = await latestCheckpoint(folder);
    expect(checkpoint?.manifest.step).toBeGreaterThan(0);
    const path = checkpoint?.path ?? '';
    expect(error.hint).toContain(path);
    await using good = await loadModelFolder(path);
    for (const array of (await weights(good)).values()) {
      expect(toNumbers(array).every(Number.isFinite)).toBe(true);
    }
    expect(error.found).toMatch(/not finite, first in the/);
  });
});

describe('bad input', () => {
  it('a changed configuration is refused, naming the key', async () => {
    const folder = join(place, 'run');
    const checkpoints = { folder, every: 5 };
    const config = { optimizer: { rate: 0.01, name: 'adamw' }, data: ['a.txt'] };
    await collect(options(device, { steps: 5, checkpoints, config }));
    const resumed = (changed: object, seed?: number) =>
      collect(
        options(device, { checkpoints, config: { ...config, ...changed }, seed, resume: true }),
      );
    await expect(resumed({ optimizer: { rate: 0.02, name: 'adamw' } })).rejects.toMatchObject({
      code: 'config/changed',
      what: expect.stringContaining('optimizer.rate'),
      expected: '0.01',
      found: '0.02',
    });
    await expect(resumed({ data: ['a.txt', 'b.txt'] })).rejects.toThrow('data.1');
    await expect(resumed({}, 3)).rejects.toThrow('seed');
    await expect(collect(options(device, { checkpoints, config }))).rejects.toMatchObject({
      code: 'train/exists',
    });
  });

  it('tokens that the model does not have, labels outside the classes', async () => {
    const token = { ...batches.at(0), input_ids: fromNumbers('i64', [1, 3], [1, 32, 2]) };
    await expect(collect(options(device, { batches: [token] }))).rejects.toMatchObject({
      code: 'train/token',
      found: '32',
    });
    const label = { ...batches.at(0), labels: fromNumbers('i64', [3], [0, 2, 1]) };
    await expect(collect(options(device, { batches: [label], classes: 2 }))).rejects.toMatchObject({
      code: 'train/label',
      found: '2',
    });
  });

  it.runIf(mayMount())('a disk that fills during a checkpoint leaves the older ones', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', place]);
    try {
      const folder = join(place, 'run');
      const made = (more = {}) =>
        options(device, { checkpoints: { folder, every: 2, keep: 20 }, ...more });
      const seen: string[] = [];
      const run = async () => {
        for await (const event of train(made())) seen.push(event.type);
      };
      await expect(run()).rejects.toMatchObject({ code: 'file/disk-full' });
      const written = seen.filter((type) => type === 'checkpoint').length;
      expect(written).toBeGreaterThan(0);
      const { checkpoint, skipped } = await latestCheckpoint(folder);
      expect(checkpoint?.manifest.step).toBe(2 * written);
      expect(skipped).toEqual([]);
      expect((await readdir(folder)).every((name) => name.startsWith('step-'))).toBe(true);
    } finally {
      execFileSync('umount', [place]);
    }
  });
});

function mayMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

describe('damaged checkpoints', () => {
  it('every file cut at any byte, or changed, is passed over for the one before', async () => {
    const folder = join(place, 'run');
    const events = await collect(
      options(device, { steps: 4, checkpoints: { folder, every: 2, keep: 9 } }),
    );
    expect(only(events, 'checkpoint')).toHaveLength(2);
    const newest = join(folder, 'step-000004');
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 1;
      return seed % below;
    };
    for (const name of await readdir(newest)) {
      const path = join(newest, name);
      const bytes = await readFile(path);
      const damages = [
        ...[0, 1, bytes.length - 1, ...Array.from({ length: 6 }, () => random(bytes.length))].map(
          (length) => bytes.subarray(0, length),
        ),
        Buffer.concat([bytes, Buffer.from('x')]),
        Buffer.from(bytes.map((b, i) => (i === bytes.length >> 1 ? b ^ 1 : b))),
      ];
      // One bit of the manifest may be of a word that nothing depends on.
      for (const damaged of name === 'trainer.json' ? damages.slice(0, -1) : damages) {
        await writeFile(path, damaged);
        const { checkpoint, skipped } = await latestCheckpoint(folder);
        expect(checkpoint?.manifest.step, `${name} of ${damaged.length} bytes`).toBe(2);
        expect(skipped).toHaveLength(1);
        expect(skipped[0].reason).toContain(name);
      }
      await rm(path);
      expect((await latestCheckpoint(folder)).checkpoint?.manifest.step).toBe(2);
      await writeFile(path, bytes);
      expect((await latestCheckpoint(folder)).checkpoint?.manifest.step).toBe(4);
    }
    // A run goes on from the one before, tells so, and writes the damaged one anew.
    await writeFile(join(newest, 'state.safetensors'), 'nothing');
    const rest = await collect(
      options(device, { steps: 4, checkpoints: { folder, every: 2 }, resume: true }),
    );
    expect(rest[0]).toMatchObject({ step: 2, skipped: [{ path: newest }] });
    expect(losses(rest)).toEqual(losses(events).slice(2));
    expect((await latestCheckpoint(folder)).checkpoint?.manifest.step).toBe(4);
  });
});
