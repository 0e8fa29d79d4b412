// What a graph declares about its values, and whether its weights are what they are declared to be.
import { sizeOf } from '../tensor/array.js';
import { dtypes } from '../tensor/dtype.js';
import { isElementType, isNative } from './element-type.js';
import { onnxError, quote } from './limits.js';
import { checkLocation } from './location.js';
import { type Initializer, isExternal, type OnnxDim, type ValueInfo } from './model.js';

/** A declared type is one we know; a declared shape has whole sizes that can be addressed. */
export function checkValueInfo({ dtype, shape }: ValueInfo, label: string): void {
  if (dtype !== undefined && !isElementType(dtype)) {
    throw onnxError('dtype', { what: `${label} has an unknown element type`, found: `${dtype}` });
  }
  const bad = shape?.find(
    (size) => typeof size === 'number' && !(Number.isSafeInteger(size) && size >= 0),
  );
  if (bad !== undefined) badShape(label, shape);
  checkAddressable(
    shape?.filter((size) => typeof size === 'number'),
    label,
  );
}

function badShape(label: string, shape: ValueInfo['shape']): never {
  throw onnxError('shape', {
    what: `${label} has an impossible shape`,
    expected: 'whole sizes of 0 or more whose product can be addressed',
    found: `[${shape?.slice(0, 32).map(showDim).join(', ')}]`,
  });
}

const showDim = (size: OnnxDim): string => (typeof size === 'number' ? `${size}` : quote(size));

function checkAddressable(sizes: readonly number[] | undefined, label: string): void {
  // Without its zeros, so that an empty tensor cannot hide absurd sizes.
  const product = sizes?.reduce((total, size) => total * Math.max(size, 1), 1) ?? 1;
  if (product > Number.MAX_SAFE_INTEGER) badShape(label, sizes);
}

/** Weights are as many bytes as their shape and type need, and an external file's name is safe. */
export function checkInitializer(initializer: Initializer, name: string, label: string): void {
  const { dtype, shape } = initializer;
  if (!isNative(dtype)) {
    throw onnxError('dtype', { what: `${label} has an unknown element type`, found: `${dtype}` });
  }
  checkValueInfo({ name, dtype, shape }, label);
  const count = sizeOf(shape);
  const wrong = (expected: number, found: number, unit: string) =>
    onnxError('tensor-size', {
      what: `${label} of ${dtype} [${shape.join(', ')}] is not of its declared size`,
      expected: `${expected} ${unit}`,
      found: `${found} ${unit}`,
    });
  if (!isExternal(initializer)) {
    const { data } = initializer;
    if (data.length !== count) throw wrong(count, data.length, 'elements');
    if (data.BYTES_PER_ELEMENT !== dtypes[dtype].bytes) {
      throw wrong(dtypes[dtype].bytes, data.BYTES_PER_ELEMENT, 'bytes an element');
    }
    return;
  }
  const { location, offset, length } = initializer;
  checkLocation(location, name);
  if (length !== count * dtypes[dtype].bytes) {
    throw wrong(count * dtypes[dtype].bytes, length, 'bytes');
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + length)) {
    throw onnxError('external', { what: `${label} has a bad offset`, found: `${offset}` });
  }
}

/** An initializer that names an input is that input's default value. */
export function checkDefault({ dtype, shape }: ValueInfo, value: Initializer, label: string): void {
  const agrees =
    (dtype === undefined || dtype === value.dtype) &&
    (shape === undefined ||
      (shape.length === value.shape.length &&
        shape.every((size, i) => typeof size !== 'number' || size === value.shape[i])));
  if (agrees) return;
  throw onnxError('type', {
    what: `${label} is not what the input of that name declares`,
    expected: `${dtype} [${shape?.map(showDim).join(', ')}]`,
    found: `${value.dtype} [${value.shape.join(', ')}]`,
  });
}
