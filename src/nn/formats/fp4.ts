// 4-bit floating point (LLM-FP4, Liu et al. 2023, section 1): one sign bit, E exponent and M mantissa
// bits with E + M = 3 and a real-valued exponent bias, so that every level is a whole number n times a
// step u. Codes are packed two a byte on disk, the even feature in the low nibble.
//
//   E3M0  n = 0 1 2 4 8 16 32 64       executed with 8-bit codes n + 128
//   E2M1  n = 0 1 2 3 4 6 8 12         executed with 8-bit codes n + 128
//   E1M2  n = 0 1 2 3 4 5 6 7          executed with 4-bit codes n + 8
//
// MatMulNBits knows no floating levels, but each is a small integer: the product is exact in the
// weights, and the file stays at 4 bits. 8-bit codes with `accuracy` 1 are a dense product. `group` is
// the number of features that share a step; 0 gives one step an output feature, as in the paper.
import { z } from 'zod';
import { castArray, fromNumbers, type NDArray, ndarray, toNumbers } from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import {
  type Found,
  featureWeights,
  halfStep,
  largest,
  leastError,
  matrixValues,
} from './encoding.js';
import { defineFormat, type MatrixSize } from './format.js';
import { lacksKernel, lookupPacked, packCodes, packedShape, productUnpacked } from './packed.js';

export const FP4_LEVELS = {
  E3M0: [0, 1, 2, 4, 8, 16, 32, 64],
  E2M1: [0, 1, 2, 3, 4, 6, 8, 12],
  E1M2: [0, 1, 2, 3, 4, 5, 6, 7],
} as const;

const options = z.strictObject({
  element: z.enum(['E3M0', 'E2M1', 'E1M2']),
  group: z.literal([0, 16, 32, 64, 128, 256]).default(0),
  accuracy: z.union([z.literal(1), z.literal(4)]).default(4),
});
type Options = z.output<typeof options>;
type Element = keyof typeof FP4_LEVELS;

/** The kernel's block: any power of two will do where one step serves the whole row. */
const packing = ({ element, group }: Options) => ({
  bits: element === 'E1M2' ? (4 as const) : (8 as const),
  block: group === 0 ? 64 : group,
});

const groupsOf = ({ columns }: MatrixSize, { group }: Options): number =>
  group === 0 ? 1 : Math.ceil(columns / group);

const stepType = (size: MatrixSize, o: Options) => ({
  dtype: o.group === 0 ? ('f32' as const) : ('f16' as const),
  shape: [size.rows, groupsOf(size, o)],
});

/** Names of what is stored. */
const store = (s: Scope, size: MatrixSize, o: Options): [qweight: string, step: string] => [
  s.store('qweight', { dtype: 'u8', shape: [size.rows, Math.ceil(size.columns / 2)] }),
  s.store('step', stepType(size, o)),
];

function tensors(s: Scope, size: MatrixSize, o: Options) {
  const [codes, step] = store(s, size, o);
  const executed = packing(o);
  const { rows } = size;
  const blocks = Math.ceil(size.columns / executed.block);
  return {
    codes: s.derived(
      'codes',
      { dtype: 'u8', shape: packedShape(size, executed) },
      {
        from: [codes],
        compute: ([array]) => packCodes(levelsOf(array, size, o), size, executed),
      },
    ),
    scales: s.derived(
      'scales',
      { dtype: 'f32', shape: [rows, blocks] },
      {
        from: [step],
        compute: ([array]) => repeated(castArray(array, 'f32'), rows, blocks),
      },
    ),
  };
}

function repeated(steps: NDArray, rows: number, blocks: number): NDArray {
  if (steps.shape[1] === blocks) return steps;
  const out = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++)
    out.fill(Number(steps.data[row]), row * blocks, (row + 1) * blocks);
  return ndarray('f32', [rows, blocks], out);
}

/** Signed level numbers [rows * columns] of packed codes. */
function levelsOf(codes: NDArray, { rows, columns }: MatrixSize, { element }: Options): Int8Array {
  const magnitudes = FP4_LEVELS[element];
  const stride = Math.ceil(columns / 2);
  const bytes = codes.data as Uint8Array;
  const out = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) {
      const byte = bytes[row * stride + (k >> 1)];
      const nibble = k % 2 === 0 ? byte & 15 : byte >> 4;
      out[row * columns + k] = nibble & 8 ? -magnitudes[nibble & 7] : magnitudes[nibble & 7];
    }
  }
  return out;
}

function unpack(codes: NDArray, step: NDArray, size: MatrixSize, o: Options): NDArray {
  const { rows, columns } = size;
  const groups = groupsOf(size, o);
  const width = o.group === 0 ? columns : o.group;
  const steps = toNumbers(step);
  const levels = levelsOf(codes, size, o);
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < out.length; i++) {
    const [row, k] = [Math.floor(i / columns), i % columns];
    out[i] = levels[i] * steps[row * groups + Math.floor(k / width)];
  }
  return fromNumbers('f32', [rows, columns], out);
}

export const fp4 = defineFormat<Options>({
  name: 'fp4',
  options,
  product: (s, x, size, o) => {
    const execution = { ...packing(o), accuracy: o.accuracy };
    if (lacksKernel(execution)) {
      return productUnpacked(s, x, size, {
        from: store(s, size, o),
        compute: ([codes, step]) => unpack(codes, step, size, o),
      });
    }
    const { codes, scales } = tensors(s, size, o);
    return x.matmulNBits(codes, scales, { ...size, ...execution });
  },
  lookup: (s, ids, size, o) => {
    const { codes, scales } = tensors(s, size, o);
    return lookupPacked(codes, scales, ids, size, packing(o));
  },
  encode: (matrix, o, encoding = {}) => {
    const { values, size } = matrixValues(matrix);
    const { rows, columns } = size;
    const weights = featureWeights(encoding, columns);
    const groups = groupsOf(size, o);
    const width = o.group === 0 ? columns : o.group;
    const steps = new Float64Array(rows * groups);
    const stride = Math.ceil(columns / 2);
    const packed = new Uint8Array(rows * stride);
    for (let row = 0; row < rows; row++) {
      for (let g = 0; g < groups; g++) {
        const from = g * width;
        const to = Math.min(columns, from + width);
        const run = values.subarray(row * columns + from, row * columns + to);
        const { step } = searchStep(run, o, weights?.subarray(from, to));
        steps[row * groups + g] = step;
        for (let k = from; k < to; k++) {
          const nibble = codeOf(run[k - from], step, o.element);
          packed[row * stride + (k >> 1)] |= k % 2 === 0 ? nibble : nibble << 4;
        }
      }
    }
    const type = stepType(size, o);
    return {
      qweight: ndarray('u8', [rows, stride], packed),
      step: fromNumbers(type.dtype, type.shape, steps),
    };
  },
  decode: ({ qweight, step }, size, o) => unpack(qweight, step, size, o),
  executionError: ({ accuracy }) => (accuracy === 4 ? 0.02 : 1e-5),
});

/** Where one level ends and the next begins. */
const middlesOf = (levels: readonly number[]) =>
  Float64Array.from(levels.slice(1), (level, i) => (levels[i] + level) / 2);
const MIDDLES = {
  E3M0: middlesOf(FP4_LEVELS.E3M0),
  E2M1: middlesOf(FP4_LEVELS.E2M1),
  E1M2: middlesOf(FP4_LEVELS.E1M2),
};

/** Sign and level index of the nearest level. */
export function codeOf(value: number, step: number, element: Element): number {
  const index = step === 0 ? 0 : levelIndex(Math.abs(value) / step, element);
  return index > 0 && value < 0 ? index | 8 : index;
}

/**
 * Index of the level nearest to a magnitude. Ties go to the even significand, as in the paper: with
 * one mantissa bit or two that is the even index; with none, 1.5 rounds to 2, the next power.
 */
function levelIndex(target: number, element: Element): number {
  const middles = MIDDLES[element];
  const index = indexAbove(target, middles);
  const tieUp = element === 'E3M0' ? index > 0 : index % 2 === 1;
  return tieUp && target === middles[index] ? index + 1 : index;
}

/** How many of the seven middles lie below a magnitude, by bisection. */
function indexAbove(target: number, middles: Float64Array): number {
  let index = target > middles[3] ? 4 : 0;
  if (target > middles[index + 1]) index += 2;
  return target > middles[index] ? index + 1 : index;
}

/** Clip ratios tried: the search range of the paper's scale, without its dependence on units. */
const RATIOS = Array.from({ length: 37 }, (_, i) => (12 + i) / 40);

/**
 * The step with the least squared error, weighted by importance, and that error. Steps that leave
 * the highest level unused are passed over: what was decoded then encodes to itself.
 */
export function searchStep(
  run: Float64Array,
  { element, group }: Pick<Options, 'element' | 'group'>,
  weights?: Float64Array,
): Found {
  const max = largest(run);
  const magnitudes = FP4_LEVELS[element];
  const steps = RATIOS.map((ratio) => (max * ratio) / magnitudes[7])
    .map((step) => (group === 0 ? Math.fround(step) : halfStep(step)))
    .filter((step) => step > 0 && levelIndex(max / step, element) === 7);
  return leastError(run, weights, steps, (step, limit) =>
    missOf(run, step, element, weights, limit),
  );
}

/** Sum of w (x - x^)^2, or of a part of it that is above the limit. */
function missOf(
  run: Float64Array,
  step: number,
  element: Element,
  weights: Float64Array | undefined,
  limit: number,
): number {
  const levels = FP4_LEVELS[element];
  const middles = MIDDLES[element];
  const inverse = 1 / step;
  let error = 0;
  for (let i = 0; i < run.length && error < limit; i++) {
    const magnitude = Math.abs(run[i]);
    const miss = magnitude - levels[indexAbove(magnitude * inverse, middles)] * step;
    error += miss * miss * (weights ? weights[i] : 1);
  }
  return error;
}
