// 4-bit weights: the floating formats of LLM-FP4 (Liu et al. 2023) or integers, weight-only. With
// `element: auto` each matrix takes the format with the least squared error on its own weights,
// weighted by how much each input feature varies on the calibration data where there is some.
// Embedding tables are the most sensitive part of small models: `embedding` sets their bits apart.
import { z } from 'zod';
import { type MatrixSpec, type MatrixUse, resolveFormat } from '../nn/index.js';
import { type NDArray, ndarray, toNumbers } from '../tensor/index.js';
import { breathe, denseMatrices, quantize } from './matrices.js';
import { compressPass } from './pass.js';

const elements = ['E2M1', 'E1M2', 'E3M0', 'int4'] as const;

const options = z.strictObject({
  element: z.enum([...elements, 'auto']).default('auto'),
  /** Weights that share a scale; 0 gives one scale an output feature (floating formats only). */
  group: z.literal([0, 16, 32, 64, 128, 256]).default(32),
  embedding: z.literal([4, 8]).default(8),
  exclude: z.array(z.string()).default([]),
});
type Options = z.output<typeof options>;

export const fourBit = compressPass<Options>({
  name: 'four-bit',
  summary: '4-bit floating point or integers, one scale a group of weights',
  source: 'LLM-FP4, Liu et al. 2023 (arXiv 2310.16836), weight-only',
  needs: 'nothing',
  order: 60,
  options,
  settings: [
    { element: 'int4', group: 32 },
    { element: 'E2M1', group: 32 },
  ],
  apply: (model, o, context) => {
    const matrices = denseMatrices(model, 'four-bit', o.exclude);
    const choose = async (matrix: MatrixUse, values: NDArray): Promise<MatrixSpec> => {
      const table = matrix.roles.has('lookup');
      if (table && o.embedding === 8)
        return { format: 'block-int', bits: 8, block: 64, scale: 'float' };
      if (o.element !== 'auto') return specOf(o.element, o.group);
      const { path } = matrix;
      const weights = context.calibration?.has(path)
        ? context.calibration.importance(path)
        : undefined;
      return await leastError(values, path, o.group, weights);
    };
    return quantize(model, { name: 'four-bit', options: o }, matrices, choose, context);
  },
});

const specOf = (element: (typeof elements)[number], group: Options['group']): MatrixSpec =>
  element === 'int4'
    ? { format: 'block-int', bits: 4, block: group === 0 ? 256 : group, scale: 'float' }
    : { format: 'fp4', element, group };

/** Rows looked at when formats are compared. */
const SAMPLE_ROWS = 64;

async function leastError(
  values: NDArray,
  path: string,
  group: Options['group'],
  importance: ArrayLike<number> | undefined,
): Promise<MatrixSpec> {
  const [rows, columns] = values.shape;
  const taken = Math.min(rows, SAMPLE_ROWS);
  const sample = new Float32Array(taken * columns);
  for (let i = 0; i < taken; i++) {
    const row = Math.floor((i * rows) / taken);
    sample.set(
      (values.data as Float32Array).subarray(row * columns, (row + 1) * columns),
      i * columns,
    );
  }
  const matrix = ndarray('f32', [taken, columns], sample);
  let best: { spec: MatrixSpec; error: number } | undefined;
  for (const element of elements) {
    const spec = specOf(element, group);
    const { format, options: o } = resolveFormat(spec, path);
    const stored = format.encode(matrix, o, { importance });
    const back = toNumbers(format.decode(stored, { rows: taken, columns }, o));
    let error = 0;
    for (let i = 0; i < back.length; i++) {
      error += (back[i] - sample[i]) ** 2 * (importance ? importance[i % columns] : 1);
    }
    if (!best || error < best.error) best = { spec, error };
    await breathe();
  }
  return best?.spec ?? specOf('int4', group);
}
