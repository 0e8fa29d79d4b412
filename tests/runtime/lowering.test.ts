// Every row of the op table, on the device against the reference kernels: the `lower` column is only
// right if both agree. Types that ONNX Runtime has no kernel for are listed, and must be refused.
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/runtime/device.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import { graph, type OpRow, scalar, type Tensor } from '../../src/tensor/index.js';
import { cases } from './lowering-cases.js';
import { expectParity, inputsOf } from './support.js';

const folder = new URL('../../src/tensor/ops/', import.meta.url);

/** Names of all rows that the op table's files export, alone or in a table. */
async function allRows(): Promise<Set<string>> {
  const names = new Set<string>();
  const add = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    if ('infer' in value && 'lower' in value) names.add((value as OpRow).name);
    else Object.values(value).forEach(add);
  };
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.test.ts')) continue;
    const module = (await import(new URL(file, folder).href)) as object;
    Object.values(module).forEach(add);
  }
  return names;
}

describe('every row of the op table on the CPU device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpuDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  it('has a case', async () => {
    const covered = new Set(cases.map(({ row }) => row));
    const rows = await allRows();
    const uncovered = [...rows].filter((name) => !covered.has(name));
    // Leaves are fed to every graph here.
    expect(uncovered.sort()).toEqual(['input', 'parameter']);
    expect(rows.size).toBeGreaterThan(60);
  });

  for (const { row, of, types, missing = [], arrays, make, tolerance = {} } of cases) {
    for (const dtype of types) {
      const feeds = arrays(dtype);
      const title = `${row} ${dtype}${of ? `, ${of}` : ''}`;
      const outputs = () => {
        const made = make(inputsOf(feeds));
        return 'node' in made ? { result: made as Tensor } : (made as Record<string, Tensor>);
      };
      if (missing.includes(dtype)) {
        it(`${title} is refused`, async () => {
          await expect(device.compile(graph(outputs()))).rejects.toMatchObject({
            code: 'runtime/compile',
          });
        });
      } else {
        it(title, () => expectParity(device, outputs(), feeds, tolerance[dtype]));
      }
    }
  }

  it('keeps 64-bit integers whole', async () => {
    const big = 2n ** 53n + 1n;
    const feeds = { x: { dtype: 'i64' as const, shape: [2], data: BigInt64Array.of(big, -big) } };
    const { x } = inputsOf(feeds);
    await expectParity(device, { y: x.add(scalar('i64', 1)), z: x.mul(3) }, feeds);
  });
});
