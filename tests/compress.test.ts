// The conformance suite of compression passes: whatever a pass makes is really smaller, saves and
// loads as it is, carries its quality record, and is refused when it should be.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Calibration, calibrate } from '../src/compress/calibration.js';
import { rankFor } from '../src/compress/low-rank.js';
import { matchesAny } from '../src/compress/matrices.js';
import { applyChain, parseChain, passes, showSteps, step } from '../src/compress/registry.js';
import { feedsOf, openEncoder, tokenize } from '../src/models/encoder.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import {
  declare,
  fullDecoderProgram,
  isEncoder,
  type Model,
  storedBytes,
} from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { measureQuality } from '../src/optimize/quality.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { type NDArray, toNumbers } from '../src/tensor/index.js';
import { sampleTexts, smallDecoder, smallEncoder } from './support/small-models.js';

let device: Device;
let folder: string;
const models = {
  encoder: smallEncoder(),
  'tied decoder': smallDecoder(1, true),
  'untied decoder': smallDecoder(2, false),
};
const data = { name: 'sample', sha256: 'x', texts: sampleTexts };

beforeAll(async () => {
  device = await cpuDevice();
  folder = await mkdtemp(join(tmpdir(), 'compress-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(folder, { recursive: true });
});

const calibrations = new Map<Model, Promise<Calibration>>();
const calibrationOf = (model: Model): Promise<Calibration> => {
  const known =
    calibrations.get(model) ?? calibrate(model, { device, ids: tokenize(model, sampleTexts) });
  calibrations.set(model, known);
  return known;
};

/** What a model says about the sample texts. */
async function outputOf(model: Model): Promise<NDArray> {
  if (isEncoder(model)) {
    await using encoder = await openEncoder(model, device);
    return await encoder.encode(sampleTexts);
  }
  const built = fullDecoderProgram(model);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(built.graph, { parameters });
  const ids = tokenize(model, sampleTexts);
  return (await program.run(feedsOf([0, 1, 2], ids))).logits;
}

const error = (a: NDArray, b: NDArray): number => {
  const [x, y] = [toNumbers(a), toNumbers(b)];
  let miss = 0;
  let all = 0;
  for (let i = 0; i < x.length; i++) {
    miss += (x[i] - y[i]) ** 2;
    all += x[i] ** 2;
  }
  return Math.sqrt(miss / all);
};

const chains = [
  ...[...passes.values()].flatMap((pass) =>
    pass.settings.map((options) => [step(pass.name, options)]),
  ),
  parseChain('low-rank:ratio=0.7+int8:block=16'),
  parseChain('four-bit:element=E3M0,group=0,embedding=4'),
  parseChain('four-bit:element=auto,group=16'),
  parseChain('int8:exclude=**.mlp.*'),
];

describe.each(Object.entries(models))('on the %s', (kind, model) => {
  describe.each(chains.map((chain) => [showSteps(chain), chain] as const))('%s', (name, chain) => {
    let small: Model;
    beforeAll(async () => {
      small = await applyChain(model, chain, { device, calibration: await calibrationOf(model) });
    });

    it('is smaller, and stores what it declares', () => {
      expect(storedBytes(small)).toBeLessThan(storedBytes(model));
      expect([...declare(small).stored.keys()].sort()).toEqual([...small.weights.names()].sort());
      expect(small.quantization?.passes.map((pass) => pass.name)).toEqual(
        chain.map(({ pass }) => pass.name),
      );
    });

    it('leaves the original as it was', () => {
      expect(model.quantization).toBeUndefined();
      expect(model.weights.has([...declare(model).matrices.keys()][0].concat('.weight'))).toBe(
        true,
      );
    });

    it('still resembles the original', async () => {
      const limit = name.startsWith('low-rank')
        ? 1
        : name.includes('E3M0')
          ? 0.7
          : name.startsWith('int8')
            ? 0.05
            : 0.35;
      expect(error(await outputOf(model), await outputOf(small))).toBeLessThan(limit);
    });

    it('is refused without a quality record, and saved and loaded with one', async () => {
      const path = join(folder, `${kind} ${name.replaceAll(/\W+/g, '_')}`);
      await expect(saveModel(small, path)).rejects.toMatchObject({ code: 'models/quality' });
      const { record } = await measureQuality(model, small, data, device, { version: 'test' });
      const measured = { ...small, quality: record };
      const metric = isEncoder(model) ? 'cosine' : 'agreement';
      await expect(saveModel(measured, path, { floor: { [metric]: 1.01 } })).rejects.toMatchObject({
        code: 'models/quality-floor',
      });
      expect(await readdir(folder)).not.toContain(path.slice(folder.length + 1));
      await saveModel(measured, path);
      await using again = await loadModelFolder(path);
      expect(again.quality).toEqual(record);
      expect(await outputOf(again)).toEqual(await outputOf(small));
      const second = await measureQuality(model, again, data, device, { version: 'test' });
      expect(second.record.metrics).toEqual(record.metrics);
      const { size } = await stat(join(path, 'model.safetensors'));
      expect(size).toBeGreaterThanOrEqual(storedBytes(small));
      expect(size).toBeLessThan(storedBytes(small) + 20_000);
    });

    it('is not compressed twice', async () => {
      const again = applyChain(small, [step('int8')], { device });
      if (name.includes('exclude') || !/int8|four-bit/.test(name)) await again;
      else await expect(again).rejects.toMatchObject({ code: 'compress/already' });
    });
  });
});

describe('low-rank factors', () => {
  it('are the best of their rank on the outputs', async () => {
    const model = smallEncoder(7);
    const calibration = await calibrationOf(model);
    const small = await applyChain(model, parseChain('low-rank:ratio=0.7'), {
      device,
      calibration,
    });
    const path = 'layers.1.mlp.down';
    const { rows, columns } = declare(model).matrices.get(path) ?? { rows: 0, columns: 0 };
    const rank = rankFor({ rows, columns }, 0.7) ?? 0;
    const matrix = async (from: Model, name: string, r: number, c: number) =>
      Matrix.from1DArray(r, c, [...toNumbers(await from.weights.read(name))]);
    const w = await matrix(model, `${path}.weight`, rows, columns);
    const product = (await matrix(small, `${path}.up.weight`, rows, rank)).mmul(
      await matrix(small, `${path}.down.weight`, rank, columns),
    );
    const s = Matrix.from1DArray(columns, columns, [...toNumbers(calibration.moment(path))]);
    const miss = (approximation: Matrix) => {
      const d = Matrix.sub(w, approximation);
      return d.mmul(s).mmul(d.transpose()).trace();
    };
    // The best there is: the leading eigenvectors of the output covariance, by dense decomposition.
    const { realEigenvalues } = new EigenvalueDecomposition(w.mmul(s).mmul(w.transpose()), {
      assumeSymmetric: true,
    });
    const least = realEigenvalues
      .sort((a, b) => a - b)
      .slice(0, rows - rank)
      .reduce((a, b) => a + b, 0);
    expect(miss(product)).toBeGreaterThan(least * (1 - 1e-6));
    expect(miss(product)).toBeLessThan(least * 1.02 + 1e-12);
  });

  it('need calibration', async () => {
    const run = applyChain(smallEncoder(), parseChain('low-rank'), { device });
    await expect(run).rejects.toMatchObject({ code: 'compress/calibration' });
  });
});

describe('calibration', () => {
  it('measures the second moment of what enters a matrix', async () => {
    const model = smallEncoder(3);
    const ids = tokenize(model, sampleTexts);
    const whole = await calibrate(model, { device, ids });
    const parts = await Promise.all(ids.map((text) => calibrate(model, { device, ids: [text] })));
    const path = 'layers.0.attn.qkv';
    const mean = new Float64Array(32 * 32);
    for (const part of parts) {
      toNumbers(part.moment(path)).forEach((value, i) => {
        mean[i] += (value * part.tokens) / whole.tokens;
      });
    }
    toNumbers(whole.moment(path)).forEach((value, i) => {
      expect(value).toBeCloseTo(mean[i], 4);
    });
  });

  it('needs texts', async () => {
    const run = calibrate(smallEncoder(), { device, ids: [] });
    await expect(run).rejects.toMatchObject({ code: 'compress/calibration' });
  });
});

describe('chains', () => {
  it.each([
    ['int9', 'compress/unknown-pass', 'int8'],
    ['int8:blok=64', 'compress/option', 'block'],
    ['int8:block=48', 'compress/option', '48'],
    ['low-rank:ratio=1.5', 'compress/option', '1.5'],
    ['int8+low-rank', 'compress/order', 'low-rank first'],
    ['int8+four-bit', 'compress/order', 'one of them'],
    ['int8:a=b=c', 'compress/chain', 'pass:option=value'],
    ['', 'compress/chain', 'pass'],
  ])('%s is refused', (text, code, words) => {
    expect(() => parseChain(text)).toThrowError(expect.objectContaining({ code }));
    expect(() => parseChain(text)).toThrowError(words);
  });

  it('are shown as they are written', () => {
    const text = 'low-rank:ratio=0.5+int8:block=64,exclude=head|**.mlp.*';
    expect(showSteps(parseChain(text))).toBe(text);
  });
});

it('globs match module paths', () => {
  expect(matchesAny('layers.0.mlp.up', ['layers.*.mlp.*'])).toBe(true);
  expect(matchesAny('layers.0.mlp.up', ['**.up'])).toBe(true);
  expect(matchesAny('layers.0.mlp.up', ['*.up'])).toBe(false);
  expect(matchesAny('layersX0.mlp.up', ['layers.0.mlp.up'])).toBe(false);
});
