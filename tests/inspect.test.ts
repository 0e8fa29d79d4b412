// What `inspect` says against numbers found in other ways: the tensors summed one by one, and the
// FLOPs of a block counted by hand.
import { describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { loadUseLitePackage } from '../src/models/import/use-lite.js';
import { inspectModel, type ModuleFacts, moduleTree, total } from '../src/models/inspect.js';
import { declare, type Model } from '../src/models/model.js';
import type { Device } from '../src/runtime/device.js';
import { byteLength, sizeOf } from '../src/tensor/index.js';
import { smallDecoder, smallEncoder } from './support/small-models.js';

const dense = {
  encoder: smallEncoder(),
  'tied decoder': smallDecoder(),
  decoder: smallDecoder(1, false),
};
// Passes that need no calibration run no graph.
const compressed = (model: Model, chain: string) =>
  applyChain(model, parseChain(chain), { device: undefined as unknown as Device });

async function summed(model: Model): Promise<{ bytes: number; elements: number }> {
  let [bytes, elements] = [0, 0];
  for (const name of declare(model).stored.keys()) {
    const array = await model.weights.read(name);
    bytes += byteLength(array);
    elements += sizeOf(array.shape);
  }
  return { bytes, elements };
}

const below = (modules: readonly ModuleFacts[], path: string) =>
  total(modules.filter((row) => row.path === path || row.path.startsWith(`${path}.`)));

describe('parameters and bytes', () => {
  it.each(Object.entries(dense))('are those of the tensors: %s', async (_, model) => {
    const { bytes, elements } = await summed(model);
    const facts = inspectModel(model);
    expect([facts.bytes, facts.parameters]).toEqual([bytes, elements]);
    expect(total(facts.modules)).toEqual({ bytes, parameters: elements, flops: facts.flops });
  });

  it.each([
    'int8:block=64',
    'int8:block=channel',
    'four-bit:element=E2M1',
    'four-bit:element=int4,group=32',
  ])('of a model in %s: its bytes, and as many parameters as before', async (chain) => {
    for (const model of Object.values(dense)) {
      const made = await compressed(model, chain);
      const facts = inspectModel(made);
      expect(facts.bytes).toBe((await summed(made)).bytes);
      expect(facts.bytes).toBeLessThan(inspectModel(model).bytes);
      expect(facts.parameters).toBe(inspectModel(model).parameters);
      const held = facts.formats.reduce((sum, { matrices }) => sum + matrices, 0);
      expect(held).toBe(declare(made).matrices.size);
    }
  });

  it('of use-lite are those of its 61 tensors but for what is no parameter', async () => {
    const facts = inspectModel(await loadUseLitePackage());
    expect(facts.bytes).toBe(4 * facts.parameters);
    // The package holds 6,975,877 float32 numbers; five are constants of its graph.
    expect(facts.parameters).toBe(6_975_872);
  });
});

describe('FLOPs', () => {
  it('of a pre-norm block of the encoder, counted by hand', () => {
    const [batch, seq, width, heads, d, hidden] = [3, 17, 64, 2, 24, 96];
    const tokens = batch * seq;
    const inner = heads * d;
    const linear = (from: number, to: number) => tokens * (2 * from * to + to); // with its bias
    const norm = 8 * tokens * width;
    const scores = batch * heads * seq * seq;
    const attention =
      linear(width, 3 * inner) + // queries, keys, values
      2 * scores * d + // q k^T, scaled for nothing
      scores + // the mask's bias
      5 * scores + // softmax
      2 * scores * d + // times v
      linear(inner, width);
    const mlp = linear(width, hidden) + tokens * hidden + linear(hidden, width);
    const residuals = 2 * tokens * width;
    const { modules } = inspectModel(smallEncoder(), { batch, seq });
    expect(below(modules, 'layers.1.attn').flops).toBe(attention);
    expect(below(modules, 'layers.1.mlp').flops).toBe(mlp);
    expect(below(modules, 'layers.1').flops).toBe(2 * norm + attention + mlp + residuals);
  });

  it('grow with the batch, and faster than the length', () => {
    const at = (batch: number, seq: number) => inspectModel(smallEncoder(), { batch, seq }).flops;
    const perToken = inspectModel(smallEncoder(), { batch: 1, seq: 8 });
    expect(at(4, 8) / at(2, 8)).toBeCloseTo(2, 2);
    expect(at(1, 32)).toBeGreaterThan(4 * perToken.flops);
  });
});

describe('the rest', () => {
  it('a decoder keeps keys and values of each layer for each token, in float32', () => {
    // 2 layers x (keys + values) x 2 key-value heads x 16 x 4 bytes.
    expect(inspectModel(smallDecoder()).cacheBytesPerToken).toBe(2 * 2 * 2 * 16 * 4);
    expect(inspectModel(smallEncoder()).cacheBytesPerToken).toBeUndefined();
  });

  it('trees hold the same sums at every depth', () => {
    const { modules } = inspectModel(smallDecoder());
    for (const depth of [0, 1, 2, 3, 9]) {
      const tree = moduleTree(modules, depth);
      expect({ parameters: tree.parameters, bytes: tree.bytes, flops: tree.flops }).toEqual(
        total(modules),
      );
      const deepest = (node: typeof tree): number =>
        Math.max(0, ...node.children.map((child) => 1 + deepest(child)));
      expect(deepest(tree)).toBeLessThanOrEqual(depth);
      for (const child of tree.children) expect(child.name).toBe(child.path);
    }
  });

  it('refuses sizes that the model cannot run at', () => {
    for (const sizes of [{ batch: 0 }, { seq: 65 }, { seq: 1.5 }, { batch: Number.NaN }]) {
      expect(() => inspectModel(smallEncoder(), sizes)).toThrow(
        expect.objectContaining({ code: 'models/length' }),
      );
    }
  });
});
