// Blockwise integers (BCT, Dong and Chen 2023, section 1): each block of a row has one scale.
//   float   x ~ q * d, d in float16 per block
//   pow2    x ~ q * 2^-s, s in int8 per block: rescaling is a shift
// q is in -8..7 or -128..127. Products run in MatMulNBits, which rounds activations to int8 per row
// and block (`accuracy` 4) or keeps them (1); with 8 bits the latter is a dense product.
import { z } from 'zod';
import {
  AnyformerError,
  castArray,
  fromHalf,
  fromNumbers,
  type NDArray,
  roundHalfEven,
  toHalf,
  toNumbers,
  unpackNBits,
} from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import { featureWeights, halfStep, largest, leastError, matrixValues } from './encoding.js';
import { defineFormat, type MatrixSize, type StoredTensors } from './format.js';
import { lacksKernel, lookupPacked, packCodes, packedShape, productUnpacked } from './packed.js';

const options = z.strictObject({
  bits: z.union([z.literal(4), z.literal(8)]),
  block: z.literal([16, 32, 64, 128, 256]),
  scale: z.enum(['float', 'pow2']).default('float'),
  accuracy: z.union([z.literal(1), z.literal(4)]).default(4),
});
type Options = z.output<typeof options>;

const scaleShape = ({ rows, columns }: MatrixSize, { block }: Options): number[] => [
  rows,
  Math.ceil(columns / block),
];

/** The kernel's float32 scales from what is stored. */
const floatScales = (stored: NDArray): NDArray =>
  stored.dtype === 'i8'
    ? fromNumbers(
        'f32',
        stored.shape,
        toNumbers(stored).map((s) => 2 ** -s),
      )
    : castArray(stored, 'f32');

/** Names of what is stored. */
function store(s: Scope, size: MatrixSize, o: Options): [qweight: string, scales: string] {
  const qweight = s.store('qweight', { dtype: 'u8', shape: packedShape(size, o) });
  const shape = scaleShape(size, o);
  return o.scale === 'pow2'
    ? [qweight, s.store('shift', { dtype: 'i8', shape })]
    : [qweight, s.store('scales', { dtype: 'f16', shape })];
}

function tensors(s: Scope, size: MatrixSize, o: Options) {
  const [, stored] = store(s, size, o);
  const codes = s.parameter('qweight', packedShape(size, o), { dtype: 'u8' });
  const scales = s.derived(
    'scales_f32',
    { dtype: 'f32', shape: scaleShape(size, o) },
    {
      from: [stored],
      compute: ([array]) => floatScales(array),
    },
  );
  return { codes, scales };
}

function unpack(codes: NDArray, scales: NDArray, size: MatrixSize, o: Options): NDArray {
  const values = unpackNBits(codes, floatScales(scales), { ...size, ...o });
  return fromNumbers('f32', [size.rows, size.columns], values);
}

export const blockInt = defineFormat<Options>({
  name: 'block-int',
  options,
  product: (s, x, size, o) => {
    if (lacksKernel(o)) {
      return productUnpacked(s, x, size, {
        from: store(s, size, o),
        compute: ([codes, scales]) => unpack(codes, scales, size, o),
      });
    }
    const { codes, scales } = tensors(s, size, o);
    const { bits, block, accuracy } = o;
    return x.matmulNBits(codes, scales, { ...size, bits, block, accuracy });
  },
  lookup: (s, ids, size, o) => {
    const { codes, scales } = tensors(s, size, o);
    return lookupPacked(codes, scales, ids, size, o);
  },
  encode: (matrix, o, encoding = {}): StoredTensors => {
    const { values, size } = matrixValues(matrix);
    const { rows, columns } = size;
    const weights = featureWeights(encoding, columns);
    const codes = new Int8Array(rows * columns);
    const blocks = Math.ceil(columns / o.block);
    const scales = new Float64Array(rows * blocks);
    for (let row = 0; row < rows; row++) {
      for (let b = 0; b < blocks; b++) {
        const k = b * o.block;
        const end = Math.min(columns, k + o.block);
        const run = values.subarray(row * columns + k, row * columns + end);
        const scale =
          o.scale === 'pow2'
            ? shiftOf(run, o.bits)
            : stepOf(run, o.bits, weights?.subarray(k, end));
        scales[row * blocks + b] = scale;
        const step = o.scale === 'pow2' ? 2 ** -scale : scale;
        for (let i = 0; i < run.length; i++)
          codes[row * columns + k + i] = code(run[i], step, o.bits);
      }
    }
    const packed = packCodes(codes, size, o);
    const shape = scaleShape(size, o);
    return o.scale === 'pow2'
      ? { qweight: packed, shift: fromNumbers('i8', shape, scales) }
      : { qweight: packed, scales: fromNumbers('f16', shape, scales) };
  },
  decode: ({ qweight, shift, scales }, size, o) => unpack(qweight, shift ?? scales, size, o),
  executionError: ({ accuracy }) => (accuracy === 4 ? 0.02 : 1e-5),
});

const code = (value: number, step: number, bits: number): number => {
  if (step === 0) return 0;
  const half = 2 ** (bits - 1);
  return Math.min(half - 1, Math.max(-half, roundHalfEven(value / step)));
};

/**
 * s = floor(log2(q_max / max|x|)): no value is clipped, |x - q 2^-s| <= 2^-(s+1). Magnitudes below
 * 2^-119 count as zero, so that 2^-s stays a normal float32.
 */
function shiftOf(run: Float64Array, bits: number): number {
  const max = largest(run);
  if (max === 0) return 0;
  if (max >= 2 ** 126) {
    throw new AnyformerError('format/range', {
      what: 'a weight is too large for a power-of-two scale',
      expected: 'magnitudes below 2^126',
      found: String(max),
    });
  }
  return Math.min(126, Math.floor(Math.log2((2 ** (bits - 1) - 1) / max)));
}

/** Steps tried for 4-bit blocks, as parts of the one that puts the extreme value at an end. */
const RATIOS = Array.from({ length: 16 }, (_, i) => (106 - 3 * i) / 100);

/**
 * The step of a block, as float16 holds it.
 * 8 bits: the largest magnitude at code 127, so |x - q d| <= d / 2.
 * 4 bits: of the steps that put the extreme value (with its sign) or a part of it at -8 or at 7, the
 * one with the least squared error, weighted by importance. Ratio 1 is among them, so that what was
 * decoded encodes to itself.
 */
function stepOf(run: Float64Array, bits: number, weights?: Float64Array): number {
  let extreme = 0;
  for (const value of run) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  if (extreme === 0) return 0;
  if (bits === 8) return coveringStep(Math.abs(extreme));
  const steps = [-8, 7].flatMap((end) => RATIOS.map((ratio) => halfStep((extreme / end) * ratio)));
  return leastError(run, weights, steps, (step, limit) => missOf(run, step, weights, limit)).step;
}

/** Sum of w (x - q d)^2 at 4 bits, or of a part of it that is above the limit. */
function missOf(
  run: Float64Array,
  step: number,
  weights: Float64Array | undefined,
  limit: number,
): number {
  const inverse = 1 / step;
  let error = 0;
  for (let i = 0; i < run.length && error < limit; i++) {
    const near = Math.max(-8, Math.min(7, Math.round(run[i] * inverse)));
    const miss = run[i] - near * step;
    error += miss * miss * (weights ? weights[i] : 1);
  }
  return error;
}

/** Float16 steps below 2^-14 are coarse: one that was rounded down would clip the largest value. */
function coveringStep(max: number): number {
  const step = halfStep(max / 127);
  return step * 127.5 < max ? fromHalf(toHalf(step) + 1) : step;
}
