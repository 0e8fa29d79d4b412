// Our own families: every position scheme decodes as it reads whole texts, whatever the padding; what
// the schemes promise; the picture model's sizes and its mixers; configs that are refused.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDecoder } from '../src/decode/index.js';
import { memoryStore } from '../src/models/checkpoint.js';
import { poolformerPresets } from '../src/models/families/poolformer.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { poolformerWeights } from '../src/models/import/poolformer.js';
import { initialModel } from '../src/models/initial.js';
import {
  createModel,
  declare,
  fullDecoderProgram,
  type Model,
  visionProgram,
} from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { Scope } from '../src/nn/index.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, input, type NDArray, sizeOf, toNumbers } from '../src/tensor/index.js';
import { causalLm } from '../src/train/objectives.js';
import { adamw } from '../src/train/optimizers.js';
import { constantRate } from '../src/train/schedules.js';
import { openTraining } from '../src/train/training.js';
import { normalArray } from './support/draw.js';
import { expectNear } from './support/mixer-run.js';

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const attention = { mixer: { type: 'attention' } };
const layers = [
  { ...attention, channel: { type: 'gated', hidden: 24, activation: 'silu' } },
  { ...attention, norm: 'layer', channel: { type: 'mlp', hidden: 24, activation: 'polynorm' } },
  { mixer: { type: 'identity' }, channel: { type: 'mlp', hidden: 24, activation: 'polyrelu' } },
];
const configOf = (position: object, more: object = {}) => ({
  model_type: 'metaformer',
  vocab_size: 20,
  hidden_size: 32,
  num_attention_heads: 4,
  layers,
  position,
  max_position_embeddings: 64,
  ...more,
});
/** Weights large enough for every part to matter. */
async function loud(config: object): Promise<Model> {
  const model = initialModel({ name: 'small', config, tokenizer: undefined }, { seed: 2 });
  const weights = new Map<string, NDArray>();
  for (const name of model.weights.names()) {
    const { dtype, shape, data } = await model.weights.read(name);
    const factor = shape.length > 1 ? 8 : 1;
    weights.set(
      name,
      fromNumbers(
        dtype,
        shape,
        toNumbers({ dtype, shape, data }).map((v) => factor * v),
      ),
    );
  }
  return { ...model, weights: memoryStore(weights) };
}

async function scoresOf(model: Model, ids: readonly number[]): Promise<Float64Array[]> {
  const built = fullDecoderProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  const { logits } = await program.run({
    input_ids: fromNumbers('i64', [1, ids.length], ids),
    attention_mask: fromNumbers(
      'i64',
      [1, ids.length],
      ids.map(() => 1),
    ),
  });
  const values = toNumbers(logits);
  return ids.map((_, i) => values.slice(20 * i, 20 * (i + 1)));
}

const schemes = [
  { type: 'none' },
  { type: 'learned' },
  { type: 'sinusoid' },
  { type: 't5', buckets: 8, max_distance: 20 },
  { type: 'alibi' },
  { type: 'rotary' },
  { type: 'rotary', fraction: 0.25 },
];

describe.each(schemes.map((scheme) => [JSON.stringify(scheme), scheme] as const))(
  '%s',
  (_, scheme) => {
    const texts = [
      [3, 1, 4, 1, 5, 9, 2, 6],
      [7, 11, 5],
    ];
    const next = [
      [10, 12, 1],
      [2, 8, 19],
    ];

    it('decodes what it reads, shorter texts padded on the left', async () => {
      const model = await loud(configOf(scheme));
      await using decoder = await openDecoder(model, device);
      const { logits, cache } = await decoder.prefill(texts);
      const found = [toNumbers(logits)];
      for (const at of [0, 1, 2]) {
        found.push(
          toNumbers(
            await decoder.step(
              next.map((row) => [row[at]]),
              cache,
            ),
          ),
        );
      }
      await cache.dispose();
      for (const [b, text] of texts.entries()) {
        const whole = await scoresOf(model, [...text, ...next[b]]);
        for (const [step, scores] of found.entries()) {
          const wanted = whole[text.length - 1 + step];
          expectNear(scores.subarray(20 * b, 20 * (b + 1)), wanted, 1e-3);
        }
      }
    });

    it('learns', async () => {
      const model = initialModel({ name: 'm', config: configOf(scheme), tokenizer: undefined });
      const options = { optimizer: adamw(), rate: 0.01, schedule: constantRate(), clip: 1 };
      await using training = await openTraining(model, causalLm(), options, device);
      const batch = () => ({
        input_ids: fromNumbers('i64', [2, 8], [...texts[0], ...texts[0].toReversed()]),
        attention_mask: fromNumbers('i64', [2, 8], new Array(16).fill(1)),
      });
      const first = (await training.run(batch())).loss;
      for (let i = 0; i < 40; i++) await training.run(batch());
      expect((await training.run(batch())).loss).toBeLessThan(first / 2);
    });
  },
);

it('saves, loads and gives the same', async () => {
  const { mkdtemp } = await import('node:fs/promises');
  const folder = await mkdtemp('/tmp/anyformer-metaformer-');
  const model = await loud(configOf({ type: 't5' }));
  await saveModel(model, folder, { overwrite: true });
  await using loaded = await loadModelFolder(folder);
  const ids = [1, 2, 3, 4, 5];
  expect(await scoresOf(loaded, ids)).toEqual(await scoresOf(model, ids));
});

describe('configs that are refused, with the key', () => {
  const refused = (config: object) => () =>
    initialModel({ name: 'm', config, tokenizer: undefined });
  it.each([
    ['position', configOf({ type: 'rope' })],
    ['position.fraction', configOf({ type: 'rotary', fraction: 0.4 })],
    [
      'layers[0].channel.activation',
      configOf(
        { type: 'none' },
        {
          layers: [{ ...attention, channel: { type: 'mlp', hidden: 8, activation: 'gelo' } }],
        },
      ),
    ],
    ['token_mixers', { ...poolformerPresets.s12, token_mixers: [{ type: 'pooling' }] }],
    ['image_size', { ...poolformerPresets.s12, image_size: 2 }],
  ])('%s', (key, config) => {
    expect(refused(config)).toThrowError(
      expect.objectContaining({ code: 'config/value', what: expect.stringContaining(key) }),
    );
  });

  it('a bias of scores where no mixer has scores', () => {
    const config = configOf(
      { type: 'alibi' },
      {
        layers: [{ mixer: { type: 'pooling' }, channel: { type: 'none' } }],
      },
    );
    expect(refused(config)).toThrowError(
      expect.objectContaining({
        code: 'models/position',
        found: 'pooling',
      }),
    );
  });
});

describe('poolformer', () => {
  const parameters = (config: object): number => {
    const { family, config: checked } = createModel({
      name: 'p',
      config,
      weights: memoryStore(new Map()),
    });
    if (family.kind !== 'vision') return 0;
    // Shapes alone: nothing is filled.
    const scope = Scope.root();
    family.scores(scope, checked, input('pixels', 'f32', ['batch', 3, 224, 224]));
    const shapes = [...scope.declarations.stored.values()].map(({ shape }) => shape);
    return shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);
  };
  it.each([
    ['s12', 11_915_176],
    ['m36', 56_172_520],
  ] as const)('%s has %i parameters', (name, count) => {
    expect(parameters(poolformerPresets[name])).toBe(count);
  });

  const small = (type: string) => ({
    model_type: 'poolformer',
    num_labels: 4,
    num_channels: 1,
    image_size: 12,
    depths: [1, 1],
    hidden_sizes: [8, 12],
    token_mixers: [{ type }, { type }],
    head_dim: 4,
    layer_scale_init_value: null,
    in_patch: { size: 2, stride: 2, padding: 0 },
  });
  it.each(['pooling', 'identity', 'random', 'attention'])(
    'scores pictures with %s',
    async (type) => {
      const model = initialModel({ name: 'p', config: small(type), tokenizer: undefined });
      const built = visionProgram(model);
      const values = await parameterValues(model, built);
      await using program = await device.compile(built.graph, { parameters: values });
      const pixels = normalArray([3, 1, 12, 12], 1);
      const { scores } = await program.run({
        pixels: fromNumbers('f32', pixels.shape, pixels.data as Float32Array),
      });
      expect(scores.shape).toEqual([3, 4]);
      expect([...toNumbers(scores)].every(Number.isFinite)).toBe(true);
      expect(declare(model).stored.size).toBe(values.size);
    },
  );

  it('loads one set of weights from three layouts of names', async () => {
    const config = { ...small('pooling'), layer_scale_init_value: 0.5 };
    const model = await loud(config);
    const scores = async (weights: Model['weights']) => {
      const built = visionProgram({ ...model, weights });
      const parameters = await parameterValues({ ...model, weights }, built);
      await using program = await device.compile(built.graph, { parameters });
      return toNumbers((await program.run({ pixels: normalArray([2, 1, 12, 12], 4) })).scores);
    };
    const wanted = await scores(model.weights);
    /** Names of stage 1, block 0 and of what stands around it, as each layout has them. */
    const layouts: Record<string, (name: string) => string> = {
      official: (name) => name,
      timm: (name) =>
        name
          .replace('patch_embed.proj', 'stem.conv')
          .replace(/^network\.1\.proj/, 'stages.1.downsample.conv')
          .replace(/^network\.(\d)\.(\d)\./, (_, i, j) => `stages.${i / 2}.blocks.${j}.`)
          .replace(/layer_scale_(\d)$/, 'layer_scale$1.scale')
          .replace(/^head\./, 'head.fc.')
          .replace(/^norm\./, 'head.norm.'),
      huggingFace: (name) =>
        name
          .replace('patch_embed.proj', 'poolformer.encoder.patch_embeddings.0.projection')
          .replace(/^network\.1\.proj/, 'poolformer.encoder.patch_embeddings.1.projection')
          .replace(/^network\.(\d)\.(\d)\./, (_, i, j) => `poolformer.encoder.block.${i / 2}.${j}.`)
          .replace('norm1', 'before_norm')
          .replace('norm2', 'after_norm')
          .replace(/mlp\.fc/, 'output.conv')
          .replace(/^head\./, 'classifier.'),
    };
    for (const rename of Object.values(layouts)) {
      const arrays = new Map<string, NDArray>();
      for (const name of model.weights.names()) {
        const array = await model.weights.read(name);
        const shape = /fc[12]\.weight/.test(name) ? [...array.shape, 1, 1] : array.shape;
        arrays.set(rename(name), { ...array, shape });
      }
      const found = await scores(await poolformerWeights(memoryStore(arrays)));
      expectNear(found, wanted, 1e-6);
    }
  });
});
