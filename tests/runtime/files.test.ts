// Weights that stay in files until a program is compiled.
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, FileBytes } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import { bytesOf, graph, input, type NDArray, parameter } from '../../src/tensor/index.js';
import { expectClose, random } from './support.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

describe('weights in files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anyformer-weights-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const w = random('f32', [512, 768], { low: -1, high: 1 });
  const gain = random('f32', [768], { seed: 2 });
  const g = graph({
    y: input('x', 'f32', ['n', 512])
      .matmul(parameter('w', 'f32', [512, 768]))
      .mul(parameter('gain', 'f32', [768])),
  });
  const feed = () => ({ x: random('f32', [3, 512], { seed: 3 }) });

  async function write(name: string, offset: number): Promise<Map<string, FileBytes>> {
    const path = join(folder, name);
    const bytes = [new Uint8Array(offset), bytesOf(w), bytesOf(gain)];
    await writeFile(path, Buffer.concat(bytes));
    const at = (array: NDArray, start: number): FileBytes => ({
      dtype: 'f32',
      shape: array.shape,
      path,
      offset: start,
      length: array.data.byteLength,
    });
    return new Map([
      ['w', at(w, offset)],
      ['gain', at(gain, offset + w.data.byteLength)],
    ]);
  }

  it('gives what arrays give, wherever in the file they begin', async () => {
    const parameters = new Map([
      ['w', w],
      ['gain', gain],
    ]);
    await using inMemory = await device.compile(g, { parameters });
    const expected = await inMemory.run(feed());
    for (const offset of [0, 8, 13, 4096]) {
      const files = await write(`at-${offset}.bin`, offset);
      await using program = await device.compile(g, { parameters: files });
      expectClose((await program.run(feed())).y, expected.y, 1e-6);
    }
    // Links, as in the Hub's cache, are followed here and not by the runtime.
    const files = await write('real.bin', 8);
    const link = join(folder, 'link.safetensors');
    await symlink('real.bin', link);
    const linked = new Map([...files].map(([name, file]) => [name, { ...file, path: link }]));
    await using program = await device.compile(g, { parameters: linked });
    expectClose((await program.run(feed())).y, expected.y, 1e-6);
  });

  it('sees a file that was replaced', async () => {
    const files = await write('changing.bin', 8);
    await using before = await device.compile(g, { parameters: files });
    const first = await before.run(feed());
    const other = random('f32', [512, 768], { seed: 9, low: -1, high: 1 });
    await rm(join(folder, 'changing.bin'));
    await writeFile(
      join(folder, 'changing.bin'),
      Buffer.concat([new Uint8Array(8), bytesOf(other), bytesOf(gain)]),
    );
    await using after = await device.compile(g, { parameters: files });
    expect((await after.run(feed())).y.data[0]).not.toBe(first.y.data[0]);
    expect(await before.run(feed())).toEqual(first);
  });

  it('refuses a file that is missing or too short', async () => {
    const files = await write('short.bin', 8);
    await writeFile(join(folder, 'short.bin'), new Uint8Array(100));
    await expect(device.compile(g, { parameters: files })).rejects.toMatchObject({
      code: 'file/truncated',
    });
    await rm(join(folder, 'short.bin'));
    await expect(device.compile(g, { parameters: files })).rejects.toMatchObject({
      code: 'file/not-found',
    });
  });
});
