// What every device refuses before anything moves.
import {
  AnyformerError,
  type DType,
  dtypes,
  type NDArray,
  showShape,
  sizeOf,
} from '../tensor/index.js';

/** bf16 has no name in ONNX Runtime's JavaScript bindings: such values cannot go in or out. */
export function refuseBfloat(label: string, dtype: DType): void {
  if (dtype !== 'bf16') return;
  throw new AnyformerError('runtime/dtype', {
    what: `${label} is bf16, which cannot be passed to this device`,
    expected: Object.keys(dtypes)
      .filter((name) => name !== 'bf16')
      .join(', '),
    found: 'bf16',
    hint: 'cast it to f32; parameters that are frozen into a program may be bf16',
  });
}

/** An array's memory must still be here and hold what its shape says. */
export function checkMemory(label: string, { dtype, shape, data }: NDArray): void {
  refuseBfloat(label, dtype);
  const expected = sizeOf(shape);
  if (data.length === expected) return;
  const moved = data.length === 0;
  throw new AnyformerError(moved ? 'runtime/moved' : 'tensor/size', {
    what: moved
      ? `the memory of ${label} has moved to a device and is no longer here`
      : `${label} does not hold as many elements as its shape says`,
    expected: `${expected} elements for ${dtype}${showShape(shape)}`,
    found: `${data.length} elements`,
    hint: moved
      ? 'runs take the memory of their feeds: pass a copy, or place it on the device once with put'
      : 'build it with ndarray()',
  });
}

export function checkType(
  label: string,
  array: { dtype: DType; shape: readonly number[] },
  expected: { dtype: DType; shape: readonly number[] },
): void {
  if (array.dtype === expected.dtype && showShape(array.shape) === showShape(expected.shape))
    return;
  throw new AnyformerError('runtime/shape', {
    what: `${label} does not fit`,
    expected: `${expected.dtype}${showShape(expected.shape)}`,
    found: `${array.dtype}${showShape(array.shape)}`,
  });
}

export function checkSizes(label: string, shape: readonly number[]): void {
  if (
    shape.every((size) => Number.isInteger(size) && size >= 0) &&
    Number.isSafeInteger(sizeOf(shape))
  ) {
    return;
  }
  throw new AnyformerError('runtime/shape', {
    what: `${label} has an impossible shape`,
    expected: 'whole sizes of 0 or more',
    found: showShape(shape),
  });
}

export const disposed = (what: string): AnyformerError =>
  new AnyformerError('runtime/disposed', {
    what: `${what} was disposed of`,
    hint: 'dispose of it after its last use',
  });
