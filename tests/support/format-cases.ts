// The weight formats under test: every setting, how its stored tensors are made, and the error that
// its algebra allows.
import { expect } from 'vitest';
import { FP4_LEVELS } from '../../src/nn/formats/fp4.js';
import {
  type MatrixSize,
  type MatrixSpec,
  resolveFormat,
  type StoredTensors,
} from '../../src/nn/index.js';
import { fromNumbers, type NDArray, toNumbers } from '../../src/tensor/index.js';
import { normalArray } from './draw.js';

export type Made = { matrix: NDArray; stored: StoredTensors };

export type FormatCase = {
  name: string;
  spec: MatrixSpec;
  /** Format whose tensors store the whole matrix by itself: encode exists, and is its own inverse. */
  encodes: boolean;
  /** Stored tensors of a random matrix, for products or for look-ups. */
  make(matrix: NDArray, role: 'product' | 'lookup'): Made;
  /** Fails where a decoded element is further from the original than the format promises. */
  bound(matrix: NDArray, decoded: NDArray, stored: StoredTensors): void;
  /** Bytes of the stored tensors of a matrix. */
  bytes(size: MatrixSize): number;
};

export const sizeOfMatrix = ({ shape: [rows, columns] }: NDArray): MatrixSize => ({
  rows,
  columns,
});

const encoded = (spec: MatrixSpec) => (matrix: NDArray) => {
  const { format, options } = resolveFormat(spec, 'm');
  return { matrix, stored: format.encode(matrix, options) };
};

/** float16 steps: relative rounding of normal ones, absolute of those below 2^-14. */
const HALF = { relative: 2 ** -11, absolute: 2 ** -24 };

type Run = { x: Float64Array; y: Float64Array; step: number; max: number; where: string };

/** Runs of `width` weights that share the step stored at their place. */
function* runs(
  matrix: NDArray,
  decoded: NDArray,
  steps: Float64Array,
  width: number,
): Generator<Run> {
  const { rows, columns } = sizeOfMatrix(matrix);
  const [x, y] = [toNumbers(matrix), toNumbers(decoded)];
  const perRow = Math.ceil(columns / width);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < perRow; b++) {
      const from = row * columns + b * width;
      const to = Math.min(from + width, (row + 1) * columns);
      const run = x.subarray(from, to);
      const max = run.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
      const where = `row ${row}, block ${b}`;
      yield { x: run, y: y.subarray(from, to), step: steps[row * perRow + b], max, where };
    }
  }
}

/** |x - x^| <= limit for every element; rounding of x^ to float32 comes on top. */
function everyElement({ x, y, where }: Run, limit: number): void {
  for (let i = 0; i < x.length; i++) {
    const error = Math.abs(x[i] - y[i]) - Math.abs(y[i]) * 2 ** -23;
    if (!(error <= limit))
      expect.fail(`${where}, element ${i}: ${x[i]} -> ${y[i]}, limit ${limit}`);
  }
}

/** Mean square <= limit^2: what a search for the least error promises, elements being clipped. */
function meanSquare({ x, y, where }: Run, limit: number): void {
  const sum = x.reduce((a, v, i) => a + (v - y[i]) ** 2, 0);
  const root = Math.sqrt(sum / x.length);
  if (!(root <= limit)) expect.fail(`${where}: root mean square error ${root}, limit ${limit}`);
}

const dense = (name: string, spec: MatrixSpec): FormatCase => ({
  name,
  spec,
  encodes: true,
  make: encoded(spec),
  bound: (matrix, decoded) => expect(decoded.data).toEqual(matrix.data),
  bytes: ({ rows, columns }) => rows * columns * 4,
});

function blockInt(
  bits: 4 | 8,
  block: number,
  scale: 'float' | 'pow2',
  accuracy: 1 | 4,
): FormatCase {
  const spec = { format: 'block-int', bits, block, scale, accuracy };
  const end = 2 ** (bits - 1) - 1;
  return {
    name: `block-int ${bits} bits, block ${block}, ${scale}, accuracy ${accuracy}`,
    spec,
    encodes: true,
    make: encoded(spec),
    bound: (matrix, decoded, { shift, scales }) => {
      const steps = scale === 'pow2' ? toNumbers(shift).map((s) => 2 ** -s) : toNumbers(scales);
      for (const run of runs(matrix, decoded, steps, block)) {
        const { max, step, where } = run;
        if (scale === 'pow2') {
          // Nothing is clipped, and a step half as long would clip.
          everyElement(run, step / 2);
          expect(max, where).toBeLessThanOrEqual((end + 0.5) * step);
          if (max > 2 ** -119) expect(2 * max, where).toBeGreaterThan(end * step);
        } else if (bits === 8) {
          everyElement(run, step / 2);
          expect(step, where).toBeLessThanOrEqual(
            (max / 127) * (1 + 2 * HALF.relative) + HALF.absolute,
          );
        } else {
          // The step max / 7 was among those tried: it clips nothing, so it misses by max / 14.
          meanSquare(run, (max / 14) * (1 + 2 * HALF.relative) + 8 * HALF.absolute);
        }
        if (max === 0) expect(run.y.every((v) => v === 0)).toBe(true);
      }
    },
    bytes: ({ rows, columns }) => {
      const blocks = Math.ceil(columns / block);
      return rows * blocks * ((block * bits) / 8 + (scale === 'pow2' ? 1 : 2));
    },
  };
}

const channelInt8: FormatCase = {
  name: 'channel-int8',
  spec: { format: 'channel-int8' },
  encodes: true,
  make: encoded({ format: 'channel-int8' }),
  bound: (matrix, decoded, { scales }) => {
    const width = matrix.shape[1];
    for (const run of runs(matrix, decoded, toNumbers(scales), width)) {
      everyElement(run, (run.step / 2) * (1 + 2 ** -20));
      expect(Math.abs(run.step * 127 - run.max)).toBeLessThanOrEqual(run.max * 2 ** -23);
    }
  },
  bytes: ({ rows, columns }) => rows * columns + rows * 4,
};

type Element = keyof typeof FP4_LEVELS;

function fp4(element: Element, group: number, accuracy: 1 | 4): FormatCase {
  const spec = { format: 'fp4', element, group, accuracy };
  const levels = FP4_LEVELS[element];
  // Half the widest gap between levels, as a part of the highest.
  const gap = Math.max(...levels.slice(1).map((level, i) => level - levels[i]));
  const half = gap / 2 / levels[7];
  return {
    name: `fp4 ${element}, group ${group}, accuracy ${accuracy}`,
    spec,
    encodes: true,
    make: encoded(spec),
    bound: (matrix, decoded, { step: stored }) => {
      const width = group === 0 ? matrix.shape[1] : group;
      for (const run of runs(matrix, decoded, toNumbers(stored), width)) {
        const { x, y, step, max, where } = run;
        // Every element is at the nearest of all sixteen values.
        for (let i = 0; i < x.length; i++) {
          const error = Math.abs(x[i] - y[i]);
          const nearest = Math.min(...levels.map((n) => Math.abs(Math.abs(x[i]) - n * step)));
          if (!(error <= nearest + Math.abs(y[i]) * 2 ** -22)) {
            expect.fail(`${where}, element ${i}: ${x[i]} -> ${y[i]}, nearest misses by ${nearest}`);
          }
        }
        // The step at which the largest weight is the highest level was among those tried.
        const slack = group === 0 ? 2 ** -20 : 2 * HALF.relative;
        meanSquare(run, max * half * (1 + slack) + (group === 0 ? 0 : levels[7] * HALF.absolute));
      }
    },
    bytes: ({ rows, columns }) =>
      rows * Math.ceil(columns / 2) +
      (group === 0 ? rows * 4 : rows * Math.ceil(columns / group) * 2),
  };
}

/** The factors are random; the matrix is their product. */
function lowRank(rank: number): FormatCase {
  const spec = { format: 'low-rank', rank };
  return {
    name: `low-rank ${rank}`,
    spec,
    encodes: false,
    make: (matrix, role) => {
      const { rows, columns } = sizeOfMatrix(matrix);
      const up = normalArray([rows, rank], 7 + rows);
      const down = normalArray([rank, columns], 8 + columns);
      const [u, v] = [toNumbers(up), toNumbers(down)];
      const product = new Float64Array(rows * columns);
      const table = new Float64Array(columns * rank);
      for (let k = 0; k < columns; k++) {
        for (let r = 0; r < rank; r++) {
          table[k * rank + r] = v[r * columns + k];
          for (let row = 0; row < rows; row++) {
            product[row * columns + k] += u[row * rank + r] * v[r * columns + k];
          }
        }
      }
      const stored: StoredTensors =
        role === 'product'
          ? { 'down.weight': down, 'up.weight': up }
          : { 'codes.weight': up, 'table.weight': fromNumbers('f32', [columns, rank], table) };
      return { matrix: fromNumbers('f32', [rows, columns], product), stored };
    },
    bound: (matrix, decoded) => expect(decoded.data).toEqual(matrix.data),
    bytes: ({ rows, columns }) => (rows + columns) * rank * 4,
  };
}

const blocks = [16, 32, 64, 128, 256];
const groups = [0, 16, 32, 64, 128, 256];
const elements: Element[] = ['E3M0', 'E2M1', 'E1M2'];

/** Settings of each format of the registry. */
export const formatCases: Readonly<Record<string, readonly FormatCase[]>> = {
  dense: [
    dense('dense', { format: 'dense' }),
    dense('dense, transposed', { format: 'dense', transposed: true }),
  ],
  'block-int': ([4, 8] as const).flatMap((bits) =>
    blocks.flatMap((block) =>
      (['float', 'pow2'] as const).flatMap((scale) =>
        ([1, 4] as const).map((accuracy) => blockInt(bits, block, scale, accuracy)),
      ),
    ),
  ),
  'channel-int8': [channelInt8],
  fp4: elements.flatMap((element) =>
    groups.flatMap((group) => ([1, 4] as const).map((accuracy) => fp4(element, group, accuracy))),
  ),
  'low-rank': [lowRank(1), lowRank(5)],
};
