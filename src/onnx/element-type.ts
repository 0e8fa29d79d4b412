// ONNX's element types (`TensorProto.DataType`) and our names for them. Those that `NDArray` can
// hold share its names; the others can be declared for a value but not loaded.
import { type DType, dtypes } from '../tensor/dtype.js';

const foreign = {
  u16: 4,
  i16: 5,
  string: 8,
  c64: 14,
  c128: 15,
  f8e4m3fn: 17,
  f8e4m3fnuz: 18,
  f8e5m2: 19,
  f8e5m2fnuz: 20,
  u4: 21,
  i4: 22,
  f4e2m1: 23,
  f8e8m0: 24,
  u2: 25,
  i2: 26,
} as const;

const native: Record<DType, number> = {
  f32: 1,
  u8: 2,
  i8: 3,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
};

export type ElementType = DType | keyof typeof foreign;

const numbers: Readonly<Record<ElementType, number>> = { ...native, ...foreign };
const names = new Map(
  Object.entries(numbers).map(([name, number]) => [number, name as ElementType]),
);

export const elementTypeNumber = (type: ElementType): number => numbers[type];
/** The name of a `TensorProto.DataType`, or undefined for an undefined or newer one. */
export const elementTypeName = (number: number): ElementType | undefined => names.get(number);
export const isElementType = (name: string): name is ElementType => Object.hasOwn(numbers, name);
/** Whether tensors of this type can be held in an `NDArray`. */
export const isNative = (type: ElementType): type is DType => Object.hasOwn(dtypes, type);
