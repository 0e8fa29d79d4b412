// Universal Sentence Encoder lite against values recorded from the package's own runtime.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Encoder, openEncoder, tokenize } from '../src/models/encoder.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { loadUseLitePackage } from '../src/models/import/use-lite.js';
import { encoderProgram, type Model } from '../src/models/model.js';
import { meanCosine } from '../src/optimize/neighbours.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { cost, type NDArray } from '../src/tensor/index.js';

let device: Device;
let model: Model;
let encoder: Encoder;

beforeAll(async () => {
  device = await cpuDevice();
  model = await loadUseLitePackage();
  encoder = await openEncoder(model, device);
});
afterAll(() => device.dispose());

const row = (array: NDArray, i: number): Float32Array =>
  (array.data as Float32Array).subarray(i * array.shape[1], (i + 1) * array.shape[1]);
const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, x, i) => sum + x * b[i], 0);

describe('use-lite', () => {
  it('splits text as its tokenizer does', () => {
    expect(tokenize(model, ['hello'])[0]).toEqual([2002, 102]);
  });

  it('gives the recorded vector', async () => {
    const vector = row(await encoder.encode(['hello']), 0);
    const recorded = [0.041678, -0.022363, -0.047608, -0.049279, 0.045071, -0.048594];
    recorded.forEach((value, i) => {
      expect(Math.abs(vector[i] - value)).toBeLessThan(1e-5);
    });
  });

  it('tells likeness as recorded', async () => {
    const vectors = await encoder.encode([
      'How do I reset my password?',
      'I forgot my login credentials.',
      'The weather in Paris is sunny today.',
    ]);
    expect(dot(row(vectors, 0), row(vectors, 1))).toBeCloseTo(0.5133, 4);
    expect(dot(row(vectors, 0), row(vectors, 2))).toBeCloseTo(0.012, 4);
  });

  it('is not moved by padding, batch or order', async () => {
    const texts = [
      'One.',
      'A sentence of middling length, nothing more.',
      'x '.repeat(200),
      '',
      'One.',
    ];
    const together = await encoder.encode(texts);
    for (const [i, text] of texts.entries()) {
      const alone = row(await encoder.encode([text]), 0);
      alone.forEach((value, k) => {
        expect(Math.abs(value - row(together, i)[k])).toBeLessThan(1e-5);
      });
    }
  });

  it('survives its folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'use-lite-'));
    try {
      await saveModel(model, join(folder, 'model'));
      await using loaded = await loadModelFolder(join(folder, 'model'));
      const again = await openEncoder(loaded, device);
      const texts = ['hello', 'The same text twice.'];
      expect(await again.encode(texts)).toEqual(await encoder.encode(texts));
      expect(meanCosine(await again.encode(texts), await encoder.encode(texts))).toBeCloseTo(1, 12);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('costs what its second block costs by hand', () => {
    const seq = 100;
    const { byPath } = cost(encoderProgram(model, { padded: false }).graph, { batch: 1, seq });
    const flops = (prefix: string) =>
      [...byPath]
        .filter(([path]) => path.startsWith(prefix))
        .reduce((sum, [, c]) => sum + c.flops, 0);
    const linear = (rows: number, columns: number) => seq * (2 * rows * columns + rows); // with bias
    const width = 512;
    const attention = linear(3 * width, width) + linear(width, width) + 2 * (2 * seq * seq * width); // q k^T and p v
    const scale = 4 * seq * seq; // a product with 1 / sqrt(d) before it is fused
    const softmax = 5 * 4 * seq * seq;
    const mlp = linear(1536, width) + seq * 1536 + linear(width, 1536); // relu between
    const norms = 2 * 8 * seq * width;
    const residuals = 2 * seq * width;
    expect(flops('layers.1')).toBe(attention + scale + softmax + mlp + norms + residuals);
  });
});
