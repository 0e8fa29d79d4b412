// ViT and DeiT: scores equal PyTorch's own layers (tests/golden/vit.py); pictures become the numbers
// that Pillow and preprocessor_config.json make of them; classes come out by name.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChain, parseChain } from '../src/compress/registry.js';
import { exportOnnx } from '../src/models/export-onnx.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { initialModel } from '../src/models/initial.js';
import { inspectModel } from '../src/models/inspect.js';
import { classesOf, declare, type Model, storedBytes, visionProgram } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { openPictureClassifier } from '../src/models/picture-classifier.js';
import { resizePlane } from '../src/models/picture-resize.js';
import { type Picture, pixelsOf } from '../src/models/pictures.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { AnyformerError, interpret, type NDArray, toNumbers } from '../src/tensor/index.js';
import { expectClose } from './support/arrays.js';
import { readFixture } from './support/golden.js';

let device: Device;
let place: string;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
  place = await mkdtemp(join(tmpdir(), 'anyformer-vision-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(place, { recursive: true, force: true });
});

async function scoresOf(model: Model, pixels: NDArray): Promise<NDArray> {
  const built = visionProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  const { scores } = await program.run({ pixels: copy(pixels) });
  return scores;
}
const copy = (x: NDArray): NDArray => ({ ...x, data: x.data.slice() }) as NDArray;

/** The pictures of one row. */
function alone({ shape, data }: NDArray, row: number): NDArray {
  const size = data.length / shape[0];
  const part = (data as Float32Array).slice(row * size, (row + 1) * size);
  return { dtype: 'f32', shape: [1, ...shape.slice(1)], data: part };
}

describe.each(['vit', 'vit-deit'])('%s', (name) => {
  it('reads every tensor of its checkpoint, and the graph has the size of the picture', async () => {
    const { weights, model: make } = await readFixture(name);
    const model = make();
    expect([...declare(model).stored.keys()].sort()).toEqual([...weights.keys()].sort());
    const { parameters, flops, context } = inspectModel(model);
    expect(parameters).toBe([...weights.values()].reduce((a, { data }) => a + data.length, 0));
    expect(flops).toBeGreaterThan(0);
    expect(context).toBe(name === 'vit' ? 7 : 11);
  });

  it('equals the reference, in the interpreter and on the device, alone and together', async () => {
    const { model: make, goldens } = await readFixture(name);
    const model = make();
    const { inputs, outputs } = goldens[0];
    const built = visionProgram(model);
    const exact = interpret(built.graph, inputs, await parameterValues(model, built)).outputs;
    const wanted = toNumbers(outputs.scores);
    expectClose(toNumbers(exact.get('scores') as NDArray), wanted, 1e-5, 'interpreter');
    expectClose(toNumbers(await scoresOf(model, inputs.pixels)), wanted, 1e-4, 'device');
    const classes = outputs.scores.shape[1];
    for (let row = 0; row < inputs.pixels.shape[0]; row++) {
      const own = toNumbers(await scoresOf(model, alone(inputs.pixels, row)));
      expectClose(own, wanted.slice(row * classes, (row + 1) * classes), 1e-4, `picture ${row}`);
    }
  });

  it('saves and loads as it is, with and without its prefix', async () => {
    const { model: make, config, weights, goldens } = await readFixture(name);
    const picture = { do_resize: true, size: 30, image_mean: [0.4], image_std: [0.2], more: 1 };
    const model = make({ config: { ...config, picture } });
    const folder = join(place, name);
    await saveModel(model, folder);
    expect(await readdir(folder)).toContain('preprocessor_config.json');
    const written = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    expect(written).toMatchObject(config);
    expect(written).not.toHaveProperty('picture');
    await using again = await loadModelFolder(folder);
    expect(again.config).toEqual(model.config);
    const { pixels } = goldens[0].inputs;
    const before = await scoresOf(model, pixels);
    expect(await scoresOf(again, pixels)).toEqual(before);
    const bare = new Map(
      [...weights].map(([key, value]) => [key.replace(/^(vit|deit)\./, ''), value]),
    );
    expect(await scoresOf(make({ weights: bare }), pixels)).toEqual(before);
  });

  it('refuses configs that cannot be, naming the key', async () => {
    const { model: make, config } = await readFixture(name);
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ image_size: 13 }, /image_size.*a multiple of patch_size/s],
      [{ image_size: [12, 10] }, /image_size.*a multiple of patch_size/s],
      [{ patch_size: 0 }, /patch_size/],
      [{ hidden_size: 25 }, /hidden_size.*num_attention_heads/s],
      [{ id2label: { '1': 'a' } }, /id2label/],
      [{ num_channels: '3' }, /num_channels/],
      [{ picture: { image_std: [0] } }, /picture.image_std\[0\]/],
      [{ picture: { resample: 4 } }, /picture.resample/],
    ];
    for (const [change, says] of wrong) {
      expect(() => make({ config: { ...config, ...change } }), JSON.stringify(change)).toThrow(
        says,
      );
    }
  });

  it('gives the same as an exported graph in plain onnxruntime-node', async () => {
    const { model: make, goldens } = await readFixture(name);
    const folder = join(place, `${name}-onnx`);
    await exportOnnx(make(), folder);
    const session = await InferenceSession.create(join(folder, 'onnx', 'model.onnx'));
    const { inputs, outputs } = goldens[0];
    const { shape, data } = inputs.pixels;
    const pixel_values = new OrtTensor('float32', data as Float32Array, shape);
    const { logits } = await session.run({ pixel_values });
    expectClose(logits.data as Float32Array, toNumbers(outputs.scores), 1e-4);
    await session.release();
  });
});

it('DeiT without a teacher scores the token of its class', async () => {
  const { model: make, config, weights, goldens } = await readFixture('vit-deit');
  const plain = new Map(
    [...weights]
      .filter(([name]) => !name.startsWith('distillation_classifier'))
      .map(([name, value]) => [name.replace('cls_classifier', 'classifier'), value]),
  );
  const architectures = ['DeiTForImageClassification'];
  const model = make({ config: { ...config, architectures }, weights: plain });
  const { inputs, outputs } = goldens[0];
  const found = await scoresOf(model, inputs.pixels);
  expectClose(toNumbers(found), toNumbers(outputs.own_scores), 1e-4);
});

const smallVit = (more = {}): Model =>
  initialModel({
    name: 'small-vit',
    config: {
      model_type: 'vit',
      hidden_size: 32,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 64,
      image_size: 8,
      patch_size: 4,
      id2label: { 0: 'cat', 1: 'dog', 2: 'owl' },
      ...more,
    },
  });

it('int8 keeps the scores', async () => {
  const { model: make, goldens } = await readFixture('vit');
  const model = make();
  const small = await applyChain(model, parseChain('int8:block=16'), { device });
  expect(storedBytes(small)).toBeLessThan(0.6 * storedBytes(model));
  const { inputs, outputs } = goldens[0];
  const [a, b] = [toNumbers(await scoresOf(small, inputs.pixels)), toNumbers(outputs.scores)];
  expect(Math.hypot(...a.map((x, i) => x - b[i])) / Math.hypot(...b)).toBeLessThan(0.1);
});

describe('resizing', () => {
  it('equals Pillow byte for byte', async () => {
    const { goldens } = await readFixture('vit-pictures');
    let [compared, other] = [0, 0];
    for (const { inputs, outputs } of goldens) {
      const [height, width] = inputs.picture.shape;
      const pixels = toNumbers(inputs.picture);
      for (const [key, wanted] of Object.entries(outputs)) {
        const [resample, rows, columns] = key.split('.').map(Number);
        for (let c = 0; c < 3; c++) {
          const data = Float64Array.from({ length: width * height }, (_, k) => pixels[3 * k + c]);
          const found = resizePlane({ width, height, data, bytes: true }, rows, columns, resample);
          toNumbers(wanted)
            .filter((_, k) => k % 3 === c)
            .forEach((value, k) => {
              compared++;
              if (value !== found.data[k]) other++;
              expect(Math.abs(value - found.data[k])).toBeLessThanOrEqual(1);
            });
        }
      }
    }
    expect(compared).toBeGreaterThan(5000);
    expect(other).toBe(0);
  });

  it('leaves a plain colour as it is, at any size, with any filter', () => {
    const side = fc.integer({ min: 1, max: 24 });
    fc.assert(
      fc.property(
        side,
        side,
        side,
        side,
        fc.integer({ min: 0, max: 3 }),
        (w, h, rows, columns, f) => {
          const plane = {
            width: w,
            height: h,
            data: new Float64Array(w * h).fill(77),
            bytes: true,
          };
          const found = resizePlane(plane, rows, columns, f);
          expect([found.width, found.height]).toEqual([columns, rows]);
          expect(found.data.every((x) => x === 77)).toBe(true);
        },
      ),
    );
  });
});

describe('pictures', () => {
  const bytes = (width: number, height: number, channels = 3): Picture => ({
    width,
    height,
    data: Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 37) % 256),
  });

  it('without a file: stretched to the size, from -1 to 1', () => {
    const { shape, data } = pixelsOf(smallVit(), [bytes(8, 8)]);
    expect(shape).toEqual([1, 3, 8, 8]);
    const expected = Array.from({ length: 192 }, (_, k) => {
      const [c, at] = [Math.floor(k / 64), k % 64];
      return (((at * 3 + c) * 37) % 256) / 127.5 - 1;
    });
    expectClose(toNumbers({ dtype: 'f32', shape, data }), expected, 1e-6);
  });

  it('by the file: no resizing, another factor, mean and deviation of each channel', () => {
    const picture = {
      do_resize: false,
      rescale_factor: 1 / 51,
      image_mean: [1, 2, 3],
      image_std: [0.5, 1, 2],
    };
    const found = toNumbers(pixelsOf(smallVit({ picture }), [bytes(8, 8)]));
    for (const k of [0, 63, 64, 100, 150, 191]) {
      const [c, at] = [Math.floor(k / 64), k % 64];
      const byte = ((at * 3 + c) * 37) % 256;
      expect(found[k]).toBeCloseTo((byte / 51 - [1, 2, 3][c]) / [0.5, 1, 2][c], 5);
    }
    const plain = { do_resize: false, do_rescale: false, do_normalize: false };
    expect(toNumbers(pixelsOf(smallVit({ picture: plain }), [bytes(8, 8)]))[1]).toBe(111);
  });

  it('the shortest edge keeps the shape, and the middle is cut out', () => {
    const picture = {
      size: { shortest_edge: 8 },
      do_center_crop: true,
      crop_size: { height: 8, width: 8 },
      do_rescale: false,
      do_normalize: false,
      resample: 0,
    };
    const wide = bytes(32, 16);
    const found = toNumbers(pixelsOf(smallVit({ picture }), [wide]));
    // 32 x 16 becomes 16 x 8, every second pixel; columns 4 to 11 stay.
    const at = (row: number, column: number) =>
      wide.data[3 * ((2 * row + 1) * 32 + 2 * column + 1)];
    expect(found[0]).toBe(at(0, 4));
    expect(found[8 * 5 + 7]).toBe(at(5, 11));
  });

  it('grey, with and without alpha', () => {
    const model = smallVit({ picture: { do_resize: false } });
    const grey = toNumbers(pixelsOf(model, [bytes(8, 8, 1)]));
    expect(grey.slice(0, 64)).toEqual(grey.slice(128));
    const [three, four] = [3, 4].map((channels) => {
      const data = new Uint8Array(64 * channels).fill(9);
      for (let k = 0; k < 64; k++) data.set([10, 20, 30], k * channels);
      return toNumbers(pixelsOf(model, [{ width: 8, height: 8, data }]));
    });
    expect(four).toEqual(three);
  });

  const refused: [string, object, Picture, RegExp][] = [
    [
      'data of another size',
      {},
      { ...bytes(8, 8), width: 7 },
      /picture 0.*does not fit.*7 x 8, 192/s,
    ],
    ['no pixels', {}, { width: 0, height: 0, data: new Uint8Array() }, /picture 0/],
    ['half a pixel', {}, { width: 1.5, height: 2, data: new Uint8Array(9) }, /picture 0/],
    ['colours for a grey model', { num_channels: 1 }, bytes(8, 8), /other channels/],
    [
      'a size that no step leads to',
      { picture: { do_resize: false } },
      bytes(9, 8),
      /8 x 8.*9 x 8/s,
    ],
    ['another size in the file', { picture: { size: 16 } }, bytes(9, 8), /8 x 8.*16 x 16/s],
    ['too few means', { picture: { image_mean: [0, 0] } }, bytes(8, 8), /channel 2/],
  ];
  it.each(refused)('%s is refused', (_, config, picture, says) => {
    const run = () => pixelsOf(smallVit(config), [picture]);
    expect(run).toThrow(AnyformerError);
    expect(run).toThrow(says);
  });

  it('classes by name, the likeliest first, as many pictures as there are', async () => {
    const model = smallVit();
    expect(classesOf(model)).toEqual(['cat', 'dog', 'owl']);
    await using classifier = await openPictureClassifier(model, device);
    const some = Array.from({ length: 19 }, (_, i) => bytes(5 + i, 9));
    const all = await classifier.classify(some);
    expect(all).toHaveLength(19);
    for (const i of [0, 16, 18]) {
      const [own] = await classifier.classify([some[i]]);
      expect(own.map(({ label }) => label)).toEqual(all[i].map(({ label }) => label));
      expect(all[i].reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6);
      expect(all[i][0].score).toBeGreaterThanOrEqual(all[i][1].score);
    }
  });

  it('a file that is no preprocessor is refused with its key', async () => {
    const folder = join(place, 'preprocessor');
    await saveModel(smallVit(), folder);
    await writeFile(join(folder, 'preprocessor_config.json'), '{"size": "big"}');
    await expect(loadModelFolder(folder)).rejects.toThrow(/preprocessor_config.json.*size/);
  });
});
