// The element types of the safetensors format: their names, widths, and ours where there is one.
import type { DType } from '../tensor/dtype.js';

/** Element types of the format: bits an element, and ours where there is one. */
export const storedTypes: ReadonlyMap<string, { bits: number; dtype?: DType }> = new Map([
  ['F64', { bits: 64, dtype: 'f64' }],
  ['F32', { bits: 32, dtype: 'f32' }],
  ['F16', { bits: 16, dtype: 'f16' }],
  ['BF16', { bits: 16, dtype: 'bf16' }],
  ['I8', { bits: 8, dtype: 'i8' }],
  ['U8', { bits: 8, dtype: 'u8' }],
  ['I32', { bits: 32, dtype: 'i32' }],
  ['U32', { bits: 32, dtype: 'u32' }],
  ['I64', { bits: 64, dtype: 'i64' }],
  ['U64', { bits: 64, dtype: 'u64' }],
  ['BOOL', { bits: 8, dtype: 'bool' }],
  ['I16', { bits: 16 }],
  ['U16', { bits: 16 }],
  ['C64', { bits: 64 }],
  ['F8_E5M2', { bits: 8 }],
  ['F8_E4M3', { bits: 8 }],
  ['F8_E5M2FNUZ', { bits: 8 }],
  ['F8_E4M3FNUZ', { bits: 8 }],
  ['F8_E8M0', { bits: 8 }],
  ['F6_E2M3', { bits: 6 }],
  ['F6_E3M2', { bits: 6 }],
  ['F4', { bits: 4 }],
]);

/** The format's name for each of our element types. */
export const storedNames: ReadonlyMap<DType, string> = new Map(
  [...storedTypes].flatMap(([name, { dtype }]) => (dtype === undefined ? [] : [[dtype, name]])),
);

export const supportedTypes = (): string => [...storedNames.values()].join(', ');
