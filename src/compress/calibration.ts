// What activations look like on sample data: for every matrix that is multiplied with, the second
// moment of its inputs. Read by tapping `<path>.input`; the products run on the device, and texts of
// equal length go together, so that no padding is counted.
import {
  encoderProgram,
  fullDecoderProgram,
  isEncoder,
  type Model,
  parameterValues,
} from '../models/model.js';
import type { Device } from '../runtime/device.js';
import {
  AnyformerError,
  fromNumbers,
  type Graph,
  graph,
  type NDArray,
  type Tensor,
  tap,
} from '../tensor/index.js';

export type Calibration = {
  /** Tokens that were seen. */
  readonly tokens: number;
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

/** Most places of one batch. */
const BATCH_TOKENS = 2048;

export async function calibrate(model: Model, options: CalibrateOptions): Promise<Calibration> {
  const { device, ids, signal, progress } = options;
  if (ids.length === 0) {
    throw new AnyformerError('compress/calibration', {
      what: 'there is no calibration data',
      expected: 'at least one text',
      found: 'none',
    });
  }
  const built = isEncoder(model)
    ? encoderProgram(model, { padded: false })
    : fullDecoderProgram(model);
  const outputs = momentOutputs(built.graph, [...built.declarations.matrices.keys()]);
  const parameters = await parameterValues(model, built);
  await using program = await device.compile(outputs, { parameters, signal });
  const sums = new Map<string, Float64Array<ArrayBuffer>>();
  let tokens = 0;
  const groups = byLength(ids);
  for (const [index, group] of groups.entries()) {
    signal?.throwIfAborted();
    const shape = [group.length, group[0].length];
    const feeds: Record<string, NDArray> = { input_ids: fromNumbers('i64', shape, group.flat()) };
    if (!isEncoder(model)) {
      feeds.attention_mask = fromNumbers('i64', shape, group.flat().fill(1));
    }
    const results = await program.run(feeds, { signal });
    tokens += shape[0] * shape[1];
    for (const [path, moment] of Object.entries(results)) {
      const sum = sums.get(path) ?? new Float64Array(moment.data.length);
      const part = moment.data as Float32Array;
      for (let i = 0; i < sum.length; i++) sum[i] += part[i];
      sums.set(path, sum);
    }
    progress?.((index + 1) / groups.length, 'calibrating');
  }
  return statistics(sums, tokens);
}

/** x^T x over all tokens, for the input of each matrix; inputs of one tensor are measured once. */
function momentOutputs(g: Graph, paths: readonly string[]): Graph {
  const outputs: Record<string, Tensor> = {};
  for (const path of paths) {
    if (!g.tags.has(`${path}.input`)) continue;
    const x = tap(g, `${path}.input`);
    const rows = x.reshape(-1, x.size(-1)); // [tokens, columns]
    outputs[path] = rows.matmul(rows, { transposeA: true });
  }
  return graph(outputs);
}

function byLength(ids: readonly (readonly number[])[]): number[][][] {
  const groups: number[][][] = [];
  const sorted = ids.filter((text) => text.length > 0).sort((a, b) => a.length - b.length);
  for (const text of sorted) {
    const last = groups.at(-1);
    const fits =
      last && last[0].length === text.length && (last.length + 1) * text.length <= BATCH_TOKENS;
    if (fits) last.push([...text]);
    else groups.push([[...text]]);
  }
  return groups;
}

function statistics(
  sums: ReadonlyMap<string, Float64Array<ArrayBuffer>>,
  tokens: number,
): Calibration {
  const moment = (path: string): NDArray => {
    const sum = sums.get(path);
    if (!sum) {
      throw new AnyformerError('compress/calibration', {
        what: `the matrix '${path}' was not calibrated`,
        expected: `one of ${sums.size} matrices that are multiplied with`,
        found: path,
      });
    }
    const width = Math.sqrt(sum.length);
    return { dtype: 'f64', shape: [width, width], data: sum.map((value) => value / tokens) };
  };
  return {
    tokens,
    moment,
    importance: (path) => {
      const { shape, data } = moment(path);
      return Float64Array.from({ length: shape[0] }, (_, i) => Number(data[i * shape[0] + i]));
    },
  };
}
