// Weights that stay in their file: a matrix looked up and multiplied, cut into parts, packed or left as it
// lies, gives what the same matrix gives from memory.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExternalData, OnnxModel } from '../../src/onnx/model.js';
import type { Device, FileBytes, ParameterValue } from '../../src/runtime/device.js';
import { forMapping } from '../../src/runtime/mapped.js';
import { cpuDevice } from '../../src/runtime/node-cpu.js';
import {
  bytesOf,
  fromNumbers,
  graph,
  input,
  ndarray,
  parameter,
  toNumbers,
} from '../../src/tensor/index.js';

const [rows, columns] = [3001, 800];
const other = 700;
let folder = '';
let device: Device;
const table = ndarray(
  'f32',
  [rows, columns],
  Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 0.37)),
);
const plain = ndarray(
  'f32',
  [columns, other],
  Float32Array.from({ length: columns * other }, (_, i) => Math.cos(i * 0.11)),
);
const files = new Map<string, FileBytes>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anyformer-mapped-'));
  device = await cpuDevice({ threads: 2 });
  const path = join(folder, 'weights.bin');
  // Weights begin where they begin: not at a page, not at a multiple of their size.
  const head = new Uint8Array(4097);
  await writeFile(path, Buffer.concat([head, bytesOf(table), bytesOf(plain)]));
  let offset = head.length;
  for (const [name, { dtype, shape, data }] of [
    ['table', table] as const,
    ['plain', plain] as const,
  ]) {
    files.set(name, { dtype, shape, path, offset, length: data.byteLength });
    offset += data.byteLength;
  }
});
afterAll(async () => {
  await device.dispose();
  await rm(folder, { recursive: true });
});

const both = graph({
  rows: parameter('table', 'f32', [rows, columns]).gather(input('ids', 'i64', ['n'])),
  scores: input('x', 'f32', ['batch', 'm', columns]).matmul(
    parameter('table', 'f32', [rows, columns]),
    { transposeB: true },
  ),
  plain: input('x', 'f32', ['batch', 'm', columns]).matmul(
    parameter('plain', 'f32', [columns, other]),
  ),
});

async function run(parameters: ReadonlyMap<string, ParameterValue>, pack?: boolean) {
  await using program = await device.compile(both, {
    parameters,
    ...(pack === undefined ? {} : { pack }),
  });
  return await program.run({
    ids: fromNumbers('i64', [3], [0, 3000, 1500]),
    x: fromNumbers(
      'f32',
      [2, 5, columns],
      Array.from({ length: 10 * columns }, (_, i) => Math.sin(i)),
    ),
  });
}

test('the same numbers from memory, from the file, packed and not', async () => {
  const expected = await run(
    new Map([
      ['table', table],
      ['plain', plain],
    ]),
  );
  for (const pack of [undefined, true, false]) {
    const found = await run(files, pack);
    expect(found.rows).toEqual(expected.rows);
    for (const name of ['scores', 'plain']) {
      expect(found[name].shape).toEqual(expected[name].shape);
      const [ours, theirs] = [toNumbers(found[name]), toNumbers(expected[name])];
      const worst = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i])));
      expect(worst).toBeLessThan(1e-3);
    }
  }
  const mixed = await run(new Map<string, ParameterValue>([...files, ['plain', plain]]));
  expect(mixed.rows).toEqual(expected.rows);
});

test('parts tile the matrix, lookups keep the whole, and other products are left alone', () => {
  const matrix = { dtype: 'f32' as const, location: 'w', offset: 100, length: 4 * rows * columns };
  const model = (transB: number): OnnxModel => ({
    irVersion: 10,
    opsets: {},
    producer: { name: '', version: '' },
    metadata: {},
    graph: {
      name: 'g',
      inputs: [],
      outputs: [],
      initializers: new Map([['w', { ...matrix, shape: [rows, columns] }]]),
      nodes: [
        { op: 'Gather', domain: '', name: 'g', inputs: ['w', 'i'], outputs: ['r'], attributes: {} },
        {
          op: 'FusedMatMul',
          domain: 'com.microsoft',
          name: 'p',
          inputs: ['x', 'w'],
          outputs: ['y'],
          attributes: { transB: { kind: 'int', value: transB } },
        },
      ],
    },
  });
  const { nodes, initializers } = forMapping(model(1)).graph;
  const parts = nodes
    .filter(({ op }) => op === 'FusedMatMul')
    .map(({ inputs }) => initializers.get(inputs[1]) as ExternalData);
  expect(parts.length).toBeGreaterThan(1);
  let [end, count] = [matrix.offset, 0];
  for (const { offset, length, shape } of parts) {
    expect(offset).toBe(end);
    expect(length).toBe(4 * shape[0] * columns);
    [end, count] = [offset + length, count + shape[0]];
  }
  expect([end, count]).toEqual([matrix.offset + matrix.length, rows]);
  expect(nodes[0].inputs[0]).toBe('rows:w');
  expect(nodes.at(-1)).toMatchObject({ op: 'Concat', outputs: ['y'] });
  expect(initializers.has('w')).toBe(false);
  expect(forMapping(model(0)).graph.nodes[1].inputs).toEqual(['x', 'w']);
});
