// ONNX's own test models (Debian's libonnx-testdata: `apt-get install libonnx-testdata`): every
// model.onnx goes through our reader, and what it accepts through our checker; every refusal must
// be for one of the reasons listed here. Then each accepted model is given to the executors below
// with the inputs of its data set, and the outputs must be the published ones.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { checkModel } from '../src/onnx/check.js';
import type { OnnxModel } from '../src/onnx/model.js';
import { decodeModel } from '../src/onnx/read.js';
import { readTensorFile } from '../src/onnx/tensor.js';
import { fromOnnx } from '../src/onnx/to-graph.js';
import { encodeModel } from '../src/onnx/write.js';
import { type NDArray, ndarray, toNumbers } from '../src/tensor/array.js';
import { type DType, isInteger, type TypedArray } from '../src/tensor/dtype.js';
import { AnyformerError } from '../src/tensor/error.js';
import { interpret } from '../src/tensor/interpret.js';

/** Outputs by name; throws `Skip` where the executor cannot run such a model. */
type Execute = (
  model: OnnxModel,
  inputs: ReadonlyMap<string, NDArray>,
  /** The model's file as it was published. */
  original: Uint8Array,
) => Promise<ReadonlyMap<string, NDArray>>;
class Skip extends Error {}

/** Add an executor here to have it compared with the published outputs. */
const executors: Record<string, { execute: Execute; atLeast: number }> = {
  // Decoded by our reader, encoded by our writer, computed by ONNX Runtime.
  'onnxruntime-node': { execute: runWithOnnxRuntime, atLeast: 940 },
  // Imported as a graph of tensors, computed by the reference kernels of the op table.
  'reference kernels': { execute: runImported, atLeast: 875 },
};

// Published outputs that no executor need meet, and why.
const notComparable: [RegExp, string][] = [
  [/bernoulli|training_dropout(_default)?(_mask)?$/, 'the outputs are random draws'],
  [
    /resize_downsample_scales_(cubic|linear)_align_corners$/,
    'published before ONNX corrected them',
  ],
  [/maxunpool_export_with_output_shape$/, 'ONNX Runtime places the values by another rule'],
];

const root = '/usr/share/libonnx-testdata/data';

function listCases(): string[] {
  try {
    return readdirSync(root)
      .flatMap((group) => readdirSync(join(root, group)).map((name) => join(group, name)))
      .filter((name) => readdirSync(join(root, name)).includes('model.onnx'));
  } catch {
    return [];
  }
}

// Every reason for which a valid model may be turned away.
const reasons: Record<string, RegExp> = {
  'onnx/type': /not a dense tensor/,
  'onnx/dtype': /element type that cannot be loaded/,
  'onnx/attribute': /of a kind that is not supported/,
  'onnx/opset': /does not import/,
  'onnx/unknown-op': /no operator/,
};

const readModel = (name: string) => readFileSync(join(root, name, 'model.onnx'));

type Case = { name: string; model: OnnxModel } | { name: string; refused: AnyformerError };

function load(name: string): Case {
  try {
    const model = decodeModel(readModel(name));
    checkModel(model);
    return { name, model };
  } catch (error) {
    if (error instanceof AnyformerError) return { name, refused: error };
    throw error;
  }
}

const cases = listCases().map(load);
const skipped = cases.length === 0;
if (skipped)
  console.warn(`skipped: no ONNX test data in ${root} (apt-get install libonnx-testdata)`);

describe.skipIf(skipped)('ONNX test data', () => {
  test('every model is accepted or refused for a stated reason', () => {
    const refusals = cases.flatMap((one) => ('refused' in one ? [one] : []));
    const counts = new Map<string, number>();
    const unexplained = refusals.filter(({ refused: { code, what } }) => {
      counts.set(code, (counts.get(code) ?? 0) + 1);
      return !(Object.hasOwn(reasons, code) && reasons[code].test(what));
    });
    console.info(`read ${cases.length} models, refused ${refusals.length}:`, counts);
    expect(unexplained.map(({ name, refused }) => `${name}: ${refused.message}`)).toEqual([]);
    expect(refusals.length).toBeLessThan(cases.length / 8);
  });

  test('what is written again reads as the same model', () => {
    for (const one of cases) {
      if ('model' in one) expect(decodeModel(encodeModel(one.model))).toEqual(one.model);
    }
  });

  for (const [name, { execute, atLeast }] of Object.entries(executors)) {
    test(`${name} computes the published outputs`, { timeout: 180_000 }, async () => {
      const failures: string[] = [];
      const skips = new Map<string, number>();
      let agreed = 0;
      for (const one of cases) {
        if (!('model' in one) || notComparable.some(([pattern]) => pattern.test(one.name)))
          continue;
        const outcome = await compare(one.name, one.model, execute);
        if (outcome === 'agrees') agreed++;
        else if (outcome instanceof Skip) {
          skips.set(outcome.message, (skips.get(outcome.message) ?? 0) + 1);
        } else failures.push(`${one.name}: ${outcome}`);
      }
      console.info(`${name}: ${agreed} models agree, ${failures.length} differ, not run:`, skips);
      expect(failures).toEqual([]);
      expect(agreed).toBeGreaterThanOrEqual(atLeast);
    });
  }
});

async function compare(name: string, model: OnnxModel, execute: Execute) {
  const folder = join(root, name, 'test_data_set_0');
  const files = (kind: string) =>
    readDirectory(folder)
      .filter((file) => file.startsWith(kind))
      .sort((a, b) => indexOf(a) - indexOf(b))
      .map((file) => readTensorFile(readFileSync(join(folder, file))));
  try {
    const inputs = files('input_').map((array, i) => [model.graph.inputs[i].name, array] as const);
    const expected = files('output_');
    if (expected.length === 0) return new Skip('no published outputs');
    const outputs = await execute(model, new Map(inputs), readModel(name));
    const wrong = model.graph.outputs
      .slice(0, expected.length)
      .map((output, i) => difference(outputs.get(output.name), expected[i]))
      .find((found) => found !== undefined);
    return wrong ?? 'agrees';
  } catch (error) {
    if (error instanceof Skip) return error;
    // An input or output that is no array of ours (u16, strings): the model itself only declares it.
    if (error instanceof AnyformerError && error.code === 'onnx/dtype') {
      return new Skip(`tensors of ${error.found}`);
    }
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function readDirectory(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
const indexOf = (file: string): number => Number(/\d+/.exec(file)?.[0]);

/** ONNX's own backend tests allow a relative error of 1e-3; sums that cancel, 1e-6 of the largest value. */
function difference(found: NDArray | undefined, expected: NDArray): string | undefined {
  if (found === undefined) return 'an output is missing';
  if (found.dtype !== expected.dtype) return `dtype ${found.dtype}, published ${expected.dtype}`;
  if (`${found.shape}` !== `${expected.shape}`) {
    return `shape [${found.shape}], published [${expected.shape}]`;
  }
  const [a, b] = [toNumbers(found), toNumbers(expected)];
  const largest = b.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const slack = 1e-5 + (Number.isFinite(largest) ? 1e-6 * largest : 0);
  const at = a.findIndex((value, i) => {
    const close = Math.abs(value - b[i]) <= slack + 1e-3 * Math.abs(b[i]);
    return !close && !Object.is(value, b[i]);
  });
  if (at < 0) return undefined;
  return `element ${at} is ${a[at]}, published ${b[at]}`;
}

const ortTypes: Partial<Record<DType, ort.Tensor.Type>> = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  i8: 'int8',
  u8: 'uint8',
  i32: 'int32',
  u32: 'uint32',
  i64: 'int64',
  u64: 'uint64',
  bool: 'bool',
};

async function runWithOnnxRuntime(
  model: OnnxModel,
  inputs: ReadonlyMap<string, NDArray>,
  original: Uint8Array,
): Promise<ReadonlyMap<string, NDArray>> {
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, { dtype, shape, data }] of inputs) {
    const type = ortTypes[dtype];
    if (type === undefined) throw new Skip(`onnxruntime-node has no ${dtype} tensors`);
    feeds[name] = new ort.Tensor(type, data as never, shape);
  }
  const run = async (bytes: Uint8Array) => {
    const options = { logSeverityLevel: 4, intraOpNumThreads: 1 } as const;
    const session = await ort.InferenceSession.create(bytes, options);
    const results = await session.run(feeds);
    await session.release();
    return results;
  };
  const results = await run(encodeModel(model)).catch(async (ours) => {
    // What the runtime cannot do with the published file either is not our writer's fault.
    const theirs = await run(original).catch((error) => error);
    throw theirs instanceof Error ? new Skip('ONNX Runtime cannot run the original') : ours;
  });
  return new Map(
    Object.entries(results).map(([name, { type, dims, data }]) => {
      const dtype = (Object.keys(ortTypes) as DType[]).find((one) => ortTypes[one] === type);
      if (dtype === undefined) throw new Skip(`onnxruntime-node returned ${type}`);
      return [name, ndarray(dtype, dims, data as TypedArray)];
    }),
  );
}

/**
 * Many of these models take axes, shapes and repeats as inputs, which a graph of ours must know when
 * it is built: where the import asks for them, whole numbers (or all inputs) are fixed to the data's.
 */
async function runImported(
  model: OnnxModel,
  inputs: ReadonlyMap<string, NDArray>,
): Promise<ReadonlyMap<string, NDArray>> {
  const given = [...inputs].filter(([name]) => !model.graph.initializers.has(name));
  const whole = given.filter(([, { dtype }]) => isInteger(dtype));
  let refusal = new AnyformerError('onnx/import', { what: 'not tried' });
  for (const fixed of [[], whole.slice(-1), whole, given]) {
    try {
      const { graph, parameters } = fromOnnx(model, { inputs: new Map(fixed) });
      const feeds = given.filter(([name]) => graph.inputs.has(name));
      return interpret(graph, new Map(feeds), parameters).outputs;
    } catch (error) {
      if (!(error instanceof AnyformerError) || error.code !== 'onnx/import') throw error;
      refusal = error;
    }
  }
  throw new Skip(refusal.what.replace(/node "[^"]*" /, '').replace(/\S+ > .*\]: /, ''));
}
