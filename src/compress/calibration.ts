// What activations look like on sample data: for every matrix that is multiplied with, the second
// moment of its inputs, E[x x^T]. The inputs are read by tapping `<path>.input`; the sums stay on the
// device and are added to in place, so only the result is read back. Padding weighs nothing.
import { batches, feedsOf } from '../models/encoder.js';
import { fullDecoderProgram, isEncoder, type Model, wholeProgram } from '../models/model.js';
import { programParameters } from '../models/parameters.js';
import type { Device, DeviceBuffer } from '../runtime/device.js';
import {
  AnyformerError,
  type Graph,
  graph,
  type NDArray,
  ndarray,
  parameter,
  type Tensor,
  tap,
  toNumbers,
} from '../tensor/index.js';

export type Calibration = {
  /** Tokens that were seen. */
  readonly tokens: number;
  /** Whether the inputs of the matrix at a path were measured. */
  has(path: string): boolean;
  /** Mean of x x^T over the inputs of the matrix at a path: float64 [columns, columns]. */
  moment(path: string): NDArray;
  /** Its diagonal: the mean square of each input feature. */
  importance(path: string): Float64Array;
};

export type CalibrateOptions = {
  device: Device;
  /** Token ids of the sample texts. */
  ids: readonly (readonly number[])[];
  signal?: AbortSignal | undefined;
  progress?: ((share: number, what: string) => void) | undefined;
};

/** Runs the sample texts through the model. Errors: `compress/calibration` without texts. */
export async function calibrate(model: Model, options: CalibrateOptions): Promise<Calibration> {
  const { device, signal, progress } = options;
  const ids = options.ids.filter((text) => text.length > 0);
  if (ids.length === 0) {
    throw new AnyformerError('compress/calibration', {
      what: 'there is no calibration data',
      expected: 'at least one text',
      found: 'none',
    });
  }
  const built = isEncoder(model) ? wholeProgram(model) : fullDecoderProgram(model);
  const { program: sums, widths } = momentSums(built.graph, [
    ...built.declarations.matrices.keys(),
  ]);
  const buffers = new Map<string, DeviceBuffer>();
  try {
    const parameters = await programParameters(model, built);
    for (const [path, width] of widths) {
      const buffer = await device.allocate('f32', [width, width]);
      buffers.set(path, buffer);
      parameters.set(sumName(path), buffer);
    }
    await using program = await device.compile(sums, { parameters, signal });
    const groups = batches(ids.map((text) => text.length));
    for (const [i, rows] of groups.entries()) {
      await program.run(feedsOf(rows, ids), { signal });
      progress?.((i + 1) / groups.length, 'calibrating');
    }
    const tokens = ids.reduce((sum, text) => sum + text.length, 0);
    return statistics(await readAll(buffers), tokens);
  } finally {
    for (const buffer of buffers.values()) await buffer.dispose();
  }
}

const sumName = (path: string): string => `moment:${path}`;

/** sum += x^T x over the tokens that stand, for the input of each matrix. */
function momentSums(
  g: Graph,
  paths: readonly string[],
): { program: Graph; widths: [string, number][] } {
  const updates: Record<string, Tensor> = {};
  const widths: [string, number][] = [];
  const stands = g.inputs.get('attention_mask');
  for (const path of paths) {
    if (!g.tags.has(`${path}.input`)) continue;
    const x = tap(g, `${path}.input`);
    const width = Number(x.size(-1));
    // Pooled inputs have one row a text; the others one a token.
    const weighted = x.rank === 3 && stands ? x.mul(stands.cast('f32').unsqueeze(-1)) : x;
    const rows = weighted.reshape(-1, width); // [tokens, width]
    const sum = parameter(sumName(path), 'f32', [width, width]);
    updates[sumName(path)] = sum.add(rows.matmul(rows, { transposeA: true }));
    widths.push([path, width]);
  }
  return { program: graph({}, updates), widths };
}

async function readAll(buffers: ReadonlyMap<string, DeviceBuffer>): Promise<Map<string, NDArray>> {
  const sums = new Map<string, NDArray>();
  for (const [path, buffer] of buffers) sums.set(path, await buffer.read());
  return sums;
}

function statistics(sums: ReadonlyMap<string, NDArray>, tokens: number): Calibration {
  const moment = (path: string): NDArray => {
    const sum = sums.get(path);
    if (!sum) {
      throw new AnyformerError('compress/calibration', {
        what: `the matrix '${path}' was not calibrated`,
        expected: `one of ${sums.size} matrices that are multiplied with`,
        found: path,
      });
    }
    return ndarray(
      'f64',
      sum.shape,
      toNumbers(sum).map((value) => value / tokens),
    );
  };
  return {
    tokens,
    has: (path) => sums.has(path),
    moment,
    importance: (path) => {
      const { shape, data } = moment(path);
      return Float64Array.from({ length: shape[0] }, (_, i) => Number(data[i * (shape[0] + 1)]));
    },
  };
}
