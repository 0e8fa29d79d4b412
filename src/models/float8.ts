// Weights kept in eight bits (Micikevicius et al. 2022, "FP8 formats for deep learning"): E4M3 without
// infinities, and E5M2. They become f32 when they are read, multiplied by the scale that the checkpoint
// keeps beside them: one number, one a row, or one a block of rows and columns. Both names in use,
// `weight_scale` and `weight_scale_inv`, are of a factor. Nothing is computed in eight bits.
import { type NDArray, ndarray, toNumbers } from '../tensor/array.js';
import { isFloat } from '../tensor/dtype.js';
import { AnyformerError } from '../tensor/error.js';
import { printable } from './json-strict.js';
import type { SafetensorsEntry } from './safetensors-rules.js';

export type Float8Options = {
  /** Rows and columns of a block with a scale of its own. */
  readonly block: readonly [rows: number, columns: number];
  /** Whether the config says that weights are scaled, so that one without a scale is a fault. */
  readonly scaled: boolean;
};

const BLOCK = [128, 128] as const;
export const plainFloat8: Float8Options = { block: BLOCK, scaled: false };

type Config = {
  quant_method?: unknown;
  weight_block_size?: unknown;
  config_groups?: Record<string, { weights?: { num_bits?: unknown; type?: unknown } } | null>;
};

/** What a config's `quantization_config` says of such weights; undefined where it is of others. */
export function float8Config(value: unknown): Float8Options | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { quant_method: method, weight_block_size: given, config_groups: groups } = value as Config;
  const all = Object.values(groups ?? {});
  const packed =
    method === 'compressed-tensors' &&
    all.length > 0 &&
    all.every((group) => group?.weights?.num_bits === 8 && group.weights.type === 'float');
  if (method !== 'fp8' && method !== 'fbgemm_fp8' && !packed) return undefined;
  const [rows, columns] = Array.isArray(given) && given.length === 2 ? (given as number[]) : BLOCK;
  const valid = [rows, columns].every((size) => Number.isSafeInteger(size) && size > 0);
  return { block: valid ? [rows, columns] : BLOCK, scaled: true };
}

const table = (exponentBits: number, bias: number): Float32Array => {
  const fractionBits = 7 - exponentBits;
  const most = 2 ** exponentBits - 1;
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const sign = byte & 0x80 ? -1 : 1;
    const exponent = (byte & 0x7f) >> fractionBits;
    const fraction = (byte & (2 ** fractionBits - 1)) / 2 ** fractionBits;
    if (exponentBits === 5 && exponent === most) {
      return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    }
    if (exponentBits === 4 && (byte & 0x7f) === 0x7f) return Number.NaN;
    if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
    return sign * (1 + fraction) * 2 ** (exponent - bias);
  });
};

const tables: ReadonlyMap<string, Float32Array> = new Map([
  ['F8_E4M3', table(4, 7)],
  ['F8_E5M2', table(5, 15)],
]);

export const isFloat8 = ({ stored }: SafetensorsEntry): boolean => tables.has(stored);

const SCALES = ['_scale', '_scale_inv'];

/** The name of the scale of a weight in eight bits. */
export const scaleOf = (name: string, has: (name: string) => boolean): string | undefined =>
  SCALES.map((ending) => `${name}${ending}`).find(has);

/** Scales of activations and caches, which stand beside the weight and are of no use in f32. */
const OTHERS = ['input_scale', 'output_scale', 'k_scale', 'v_scale'];

/** Names that belong to the weight `name` in eight bits, and are no weights of the model. */
export const companionsOf = (name: string): string[] => {
  const parent = name.slice(0, name.lastIndexOf('.') + 1);
  return [...SCALES.map((e) => `${name}${e}`), ...OTHERS.map((other) => `${parent}${other}`)];
};

/** The f32 numbers of a weight. Errors: `safetensors/scale`. */
export function decodeFloat8(
  name: string,
  { stored, shape }: SafetensorsEntry,
  bytes: Uint8Array,
  scale: NDArray | undefined,
  { block, scaled }: Float8Options,
): NDArray {
  const values = tables.get(stored) as Float32Array;
  const out = new Float32Array(bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = values[bytes[i]];
  if (scale === undefined) {
    if (scaled) throw wrongScale(name, 'a tensor of scales beside it', 'none');
    return ndarray('f32', shape, out);
  }
  const factors = isFloat(scale.dtype) ? toNumbers(scale) : undefined;
  const columns = shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : out.length / columns;
  const size = factors && sizeOfBlock(scale.shape, rows, columns, block);
  if (!factors || !size) {
    const found = `${scale.dtype} [${scale.shape.join(', ')}]`;
    const blocks = [Math.ceil(rows / block[0]), Math.ceil(columns / block[1])];
    throw wrongScale(name, `floats of shape [1], [${rows}, 1] or [${blocks.join(', ')}]`, found);
  }
  const across = Math.ceil(columns / size[1]);
  for (let row = 0; row < rows; row++) {
    const base = Math.floor(row / size[0]) * across;
    for (let column = 0; column < columns; column++) {
      out[row * columns + column] *= factors[base + Math.floor(column / size[1])];
    }
  }
  return ndarray('f32', shape, out);
}

function sizeOfBlock(
  shape: readonly number[],
  rows: number,
  columns: number,
  [high, wide]: Float8Options['block'],
): readonly [number, number] | undefined {
  const count = shape.reduce((a, b) => a * b, 1);
  if (count === 1) return [Math.max(1, rows), Math.max(1, columns)];
  if (shape[0] === rows && count === rows) return [1, columns];
  const fits = shape[0] === Math.ceil(rows / high) && shape[1] === Math.ceil(columns / wide);
  return fits && shape.length === 2 ? [high, wide] : undefined;
}

const wrongScale = (name: string, expected: string, found: string) =>
  new AnyformerError('safetensors/scale', {
    what: `the weight ${printable(name)} in eight bits cannot be scaled`,
    expected,
    found,
    hint: 'load the checkpoint in bf16 or f16 that it was made from',
  });
