// Blockwise integers (BCT, Dong and Chen 2023, section 1): each block of a row has one scale.
//   float   x ~ q * d, d in float16 per block
//   pow2    x ~ q * 2^-s, s in int8 per block: rescaling is a shift
// q is in -8..7 or -128..127. Products run in MatMulNBits, which rounds activations to int8 per row
// and block (`accuracy` 4) or keeps them (1).
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
import { defineFormat, type MatrixSize, type StoredTensors } from './format.js';
import { lookupPacked, packCodes, packedShape } from './packed.js';

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

function tensors(s: Scope, size: MatrixSize, o: Options) {
  const codes = s.parameter('qweight', packedShape(size, o), { dtype: 'u8' });
  const shape = scaleShape(size, o);
  const stored = s.store(o.scale === 'pow2' ? 'shift' : 'scales', {
    dtype: o.scale === 'pow2' ? 'i8' : 'f16',
    shape,
  });
  const scales = s.derived(
    'scales_f32',
    { dtype: 'f32', shape },
    {
      from: [stored],
      compute: ([array]) => floatScales(array),
    },
  );
  return { codes, scales };
}

export const blockInt = defineFormat<Options>({
  name: 'block-int',
  options,
  product: (s, x, size, o) => {
    const { codes, scales } = tensors(s, size, o);
    const { bits, block, accuracy } = o;
    return x.matmulNBits(codes, scales, { ...size, bits, block, accuracy });
  },
  lookup: (s, ids, size, o) => {
    const { codes, scales } = tensors(s, size, o);
    return lookupPacked(codes, scales, ids, size, o);
  },
  encode: (matrix, o, { importance } = {}): StoredTensors => {
    const [rows, columns] = matrix.shape;
    const size = { rows, columns };
    const values = toNumbers(matrix);
    const codes = new Int8Array(rows * columns);
    const blocks = Math.ceil(columns / o.block);
    const scales = new Float64Array(rows * blocks);
    for (let row = 0; row < rows; row++) {
      for (let b = 0; b < blocks; b++) {
        const k = b * o.block;
        const end = Math.min(columns, k + o.block);
        const run = values.subarray(row * columns + k, row * columns + end);
        const weights = importance ? Array.prototype.slice.call(importance, k, end) : undefined;
        const scale = o.scale === 'pow2' ? shiftOf(run, o.bits) : scaleOf(run, o.bits, weights);
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
  decode: (stored, size, o) => {
    const scales = floatScales(o.scale === 'pow2' ? stored.shift : stored.scales);
    const { rows, columns } = size;
    const values = unpackNBits(stored.qweight, scales, { ...size, ...o });
    return fromNumbers('f32', [rows, columns], values);
  },
  executionError: 0.02,
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
  const max = run.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
  if (max === 0) return 0;
  const s = Math.floor(Math.log2((2 ** (bits - 1) - 1) / max));
  if (s < -127) {
    throw new AnyformerError('format/range', {
      what: 'a weight is too large for a power-of-two scale',
      expected: 'magnitudes below 2^126',
      found: String(max),
    });
  }
  return Math.min(s, 126);
}

/** Steps tried for 4-bit blocks, as parts of the range that clips nothing. */
const RATIOS = Array.from({ length: 16 }, (_, i) => 1.05 - i * 0.03);

/**
 * The step of a block. 8 bits: the largest magnitude at code 127. 4 bits: of the steps that put the
 * extreme value (with its sign, at -8) or a part of it at the end of the range, the one with the
 * least squared error, weighted by `importance`.
 */
function scaleOf(run: Float64Array, bits: number, importance?: readonly number[]): number {
  let extreme = 0;
  for (const value of run) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  if (!Number.isFinite(extreme)) {
    throw new AnyformerError('format/non-finite', {
      what: 'a weight is not a finite number',
      expected: 'finite weights',
      found: String(extreme),
    });
  }
  if (extreme === 0) return 0;
  if (bits === 8) return storedScale(Math.abs(extreme) / 127);
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const ratio of RATIOS) {
    for (const end of [-8, 7.5]) {
      const step = storedScale((extreme / end) * ratio);
      let error = 0;
      for (let i = 0; i < run.length; i++) {
        const miss = run[i] - code(run[i], step, bits) * step;
        error += miss * miss * (importance ? importance[i] : 1);
      }
      if (error < least) [least, best] = [error, step];
    }
  }
  return best;
}

/** The step as it will be stored. */
function storedScale(step: number): number {
  const stored = fromHalf(toHalf(step));
  if (!Number.isFinite(stored)) {
    throw new AnyformerError('format/range', {
      what: 'a weight is too large for a float16 scale',
      expected: 'steps below 65504',
      found: String(step),
    });
  }
  return stored;
}
