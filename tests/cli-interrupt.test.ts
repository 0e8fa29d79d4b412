// Ctrl-C: the program stops with code 130 and leaves nothing half-written, whenever it comes.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { shellCode, start } from './support/cli.js';
import { smallEncoder } from './support/small-models.js';

let place: string;
let model: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'interrupt-'));
  model = join(place, 'model');
  await saveModel(smallEncoder(), model);
});
afterAll(() => rm(place, { recursive: true }));

let count = 0;
/** A folder for outputs, and one for what the program keeps elsewhere meanwhile. */
async function room() {
  const at = join(place, `room${count++}`);
  const scratch = join(at, 'scratch');
  await mkdir(scratch, { recursive: true });
  return { at, out: join(at, 'deep', 'out'), env: { TMPDIR: scratch, TEMP: scratch } };
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

const jobs = {
  optimize: (out: string) => ['optimize', 'use-lite', '--out', out],
  compress: (out: string) => ['compress', 'use-lite', '--pass', 'low-rank+int8', '--out', out],
};

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  it.each(Object.entries(jobs))('during %s', { timeout: 120_000 }, async (_, argv) => {
    for (const delay of [0, 1500, 4000]) {
      const { at, out, env } = await room();
      const { child, ended, says } = start(argv(out), { env });
      await says('data: ');
      await pause(delay);
      child.kill('SIGINT');
      const { code, stdout, stderr } = await ended;
      expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
      expect(stderr).not.toMatch(/^error/m);
      expect(await readdir(at, { recursive: true })).toEqual(['scratch']);
    }
  });

  it('at any moment of a short job: nothing, or a model that loads', {
    timeout: 120_000,
  }, async () => {
    let [stopped, done] = [0, 0];
    for (let round = 0; round < 8; round++) {
      const { at, out, env } = await room();
      const { child, ended, says } = start(['compress', model, '--pass', 'int8', '--out', out], {
        env,
      });
      await says('data: ');
      await pause(60 * round);
      child.kill('SIGINT');
      const code = shellCode(await ended);
      expect([0, 130]).toContain(code);
      const left = await readdir(at, { recursive: true });
      expect(left.filter((name) => /tmp|old/.test(name))).toEqual([]);
      if (code === 130 && left.length === 1) stopped++;
      else {
        await using _ = await loadModelFolder(out);
        done++;
      }
    }
    expect(stopped + done).toBe(8);
    expect(stopped).toBeGreaterThan(0);
  });

  it('twice ends at once, and a termination signal is told apart', {
    timeout: 60_000,
  }, async () => {
    const { at, out, env } = await room();
    const twice = start(jobs.optimize(out), { env });
    await twice.says('data: ');
    await pause(1000);
    twice.child.kill('SIGINT');
    await pause(50); // two of one signal that are both pending count as one
    twice.child.kill('SIGINT');
    expect(shellCode(await twice.ended)).toBe(130);
    const terminated = start(jobs.compress(out), { env });
    await terminated.says('data: ');
    terminated.child.kill('SIGTERM');
    expect((await terminated.ended).code).toBe(143);
    expect(await readdir(at, { recursive: true })).toEqual(['scratch']);
  });
});
