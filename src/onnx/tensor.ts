// TensorProto <-> NDArray. Reading is strict: sizes are checked before anything is allocated, and
// the element count must follow from the dims. Strings, complex numbers, 16-bit integers and the
// 2-, 4- and 8-bit packed types are refused, because NDArray does not hold them.
import { bytesOf, type NDArray, ndarray, sizeOf } from '../tensor/array.js';
import { type DType, dtypes, type TypedArray, viewAs, zeros } from '../tensor/dtype.js';
import { elementTypeName, elementTypeNumber, isNative } from './element-type.js';
import { defaultLimits, type Limits, onnxError, quote } from './limits.js';
import { checkLocation } from './location.js';
import { type ExternalData, type Initializer, isExternal } from './model.js';
import { scan } from './scan.js';
import { decodeMessage, has, type ProtoInit, type ProtoMessage } from './schema.js';

type TensorProto = ProtoMessage<'TensorProto'>;
type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data';

// Which of the typed fields holds an element type's values when there is no raw_data.
const typedField: Record<DType, TypedField> = {
  f32: 'floatData',
  f64: 'doubleData',
  i64: 'int64Data',
  u64: 'uint64Data',
  u32: 'uint64Data',
  i32: 'int32Data',
  i8: 'int32Data',
  u8: 'int32Data',
  bool: 'int32Data',
  f16: 'int32Data',
  bf16: 'int32Data',
};
const typedFields = Object.keys({
  floatData: 0,
  int32Data: 0,
  int64Data: 0,
  doubleData: 0,
  uint64Data: 0,
} satisfies Record<TypedField, 0>) as TypedField[];

/** The dtype of a tensor message, refusing what `NDArray` cannot hold. */
function readDType(proto: TensorProto, label: string): DType {
  const type = elementTypeName(proto.dataType);
  if (type !== undefined && isNative(type)) return type;
  throw onnxError('dtype', {
    what: `${label} has an element type that cannot be loaded`,
    expected: `one of ${Object.keys(dtypes).join(', ')}`,
    found: type ?? `type number ${proto.dataType}`,
    hint: 'export the model with a supported type (4-bit weights: packed into u8, as MatMulNBits has them)',
  });
}

function readShape(dims: readonly bigint[], label: string, limits: Limits): number[] {
  if (dims.length > limits.rank) {
    throw onnxError('limit', {
      what: `${label} has too many dimensions`,
      expected: `at most ${limits.rank}`,
      found: `${dims.length}`,
    });
  }
  // In bigint, so that neither one dim nor the product can wrap around or lose digits.
  const total = dims.reduce((product, dim) => product * dim, 1n);
  const fits = dims.every((dim) => dim >= 0n && dim <= Number.MAX_SAFE_INTEGER);
  if (!fits || total > Number.MAX_SAFE_INTEGER / 8) {
    throw onnxError('shape', {
      what: `${label} has impossible dimensions`,
      expected: 'sizes of 0 or more whose product can be addressed',
      found: `[${dims.join(', ')}]`,
    });
  }
  return dims.map(Number);
}

const sizeError = (label: string, dtype: DType, shape: number[], expected: string, found: string) =>
  onnxError('tensor-size', {
    what: `${label} of ${dtype} [${shape.join(', ')}] has data of another size`,
    expected,
    found,
  });

function readExternal(proto: TensorProto, dtype: DType, shape: number[], label: string) {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  if (entries.size !== proto.externalData.length) {
    throw onnxError('external', { what: `${label} repeats an entry of its external data` });
  }
  const bytes = sizeOf(shape) * dtypes[dtype].bytes;
  const number = (key: string, absent: number): number => {
    const text = entries.get(key);
    if (text === undefined) return absent;
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw onnxError('external', {
      what: `${label} has a malformed ${key} in its external data`,
      expected: 'a decimal number of bytes',
      found: quote(text),
    });
  };
  const offset = number('offset', 0);
  const length = number('length', bytes);
  if (length !== bytes) throw sizeError(label, dtype, shape, `${bytes} bytes`, `${length} bytes`);
  if (!Number.isSafeInteger(offset + length)) {
    throw onnxError('external', { what: `${label} lies beyond any file`, found: `${offset}` });
  }
  const location = checkLocation(entries.get('location') ?? '', proto.name);
  return { dtype, shape, location, offset, length } satisfies ExternalData;
}

function fill(target: TypedArray, values: readonly (number | bigint)[], wide: boolean): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    target[i] = wide ? value : Number(value);
    // A typed array wraps what does not fit; floats may round.
    if (target instanceof Float32Array || target instanceof Float64Array) continue;
    if (target[i] !== (wide ? value : Number(value))) return false;
  }
  return true;
}

function readTyped(proto: TensorProto, dtype: DType, shape: number[], label: string): NDArray {
  const field = typedField[dtype];
  const values = proto[field];
  const count = sizeOf(shape);
  const stray = typedFields.find((other) => other !== field && proto[other].length > 0);
  if (values.length !== count || stray !== undefined) {
    const found = stray === undefined ? `${values.length} in ${field}` : `values in ${stray}`;
    throw sizeError(label, dtype, shape, `${count} values in ${field}`, found);
  }
  const data = zeros(dtype, count);
  if (!fill(data, values, dtypes[dtype].wide)) {
    throw onnxError('tensor-value', { what: `${label} holds a number that does not fit ${dtype}` });
  }
  return ndarray(dtype, shape, data);
}

function checkBooleans(array: NDArray, label: string): NDArray {
  if (array.dtype === 'bool' && (array.data as Uint8Array).some((value) => value > 1)) {
    throw onnxError('tensor-value', {
      what: `${label} of bool holds another byte than 0 or 1`,
    });
  }
  return array;
}

/** The value of a tensor message: an array (a view on the file where aligned) or a reference. */
export function readTensor(
  proto: TensorProto,
  label: string,
  limits: Limits = defaultLimits,
): Initializer {
  const dtype = readDType(proto, label);
  const shape = readShape(proto.dims, label, limits);
  if (has(proto, 'segment')) {
    throw onnxError('tensor', {
      what: `${label} is a segment of a larger tensor, which no one writes`,
    });
  }
  const typed = typedFields.some((field) => proto[field].length > 0);
  const external = proto.dataLocation === 1;
  if ((has(proto, 'rawData') && (typed || external)) || (external && typed)) {
    throw onnxError('tensor', { what: `${label} gives its data twice, in different fields` });
  }
  if (external) return readExternal(proto, dtype, shape, label);
  if (!has(proto, 'rawData')) return checkBooleans(readTyped(proto, dtype, shape, label), label);
  const bytes = sizeOf(shape) * dtypes[dtype].bytes;
  const raw = proto.rawData as Uint8Array<ArrayBuffer>;
  if (raw.byteLength !== bytes) {
    throw sizeError(label, dtype, shape, `${bytes} bytes`, `${raw.byteLength} bytes`);
  }
  return checkBooleans(ndarray(dtype, shape, viewAs(dtype, raw)), label);
}

/** The fields of a tensor message, apart from the weights' bytes (`tensorBytes`). */
export function tensorHeader(name: string, tensor: Initializer): ProtoInit<'TensorProto'> {
  const header = {
    name,
    dataType: elementTypeNumber(tensor.dtype),
    dims: tensor.shape.map(BigInt),
  };
  if (!isExternal(tensor)) return header;
  const { location, offset, length } = tensor;
  const entry = (key: string, value: string | number) => ({ key, value: `${value}` });
  return {
    ...header,
    dataLocation: 1,
    externalData: [entry('location', location), entry('offset', offset), entry('length', length)],
  };
}

/** The raw_data of a tensor: a view, none for an external one. */
export const tensorBytes = (tensor: Initializer): Uint8Array<ArrayBuffer> | undefined =>
  isExternal(tensor) ? undefined : bytesOf(tensor);

/** On little-endian machines only, the array's memory is the file's byte order. */
export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The bytes as a plain `Uint8Array` over an ArrayBuffer: shared memory is copied, Node's Buffer
 * (whose `slice` does not copy) is viewed.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes;
  if (!(buffer instanceof ArrayBuffer)) return new Uint8Array(bytes);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Reads a file that holds one serialised tensor (`input_0.pb` of the ONNX test data). The array may
 * be a view on `bytes`. Any failure is an `onnx/...` error.
 */
export function readTensorFile(bytes: Uint8Array, limits: Partial<Limits> = {}): NDArray {
  const all = { ...defaultLimits, ...limits };
  const proto = parseFile('TensorProto', bytes, all);
  const tensor = readTensor(proto, `tensor ${quote(proto.name)}`, all);
  if (!isExternal(tensor)) return tensor;
  throw onnxError('external', {
    what: 'a tensor file must hold its own data',
    found: `a reference to ${quote(tensor.location)}`,
  });
}

/** Scans, then parses a whole file. */
export function parseFile<N extends 'ModelProto' | 'TensorProto'>(
  name: N,
  bytes: Uint8Array,
  limits: Limits,
): ProtoMessage<N> {
  const plain = plainBytes(bytes);
  scan(name, plain, limits);
  try {
    return decodeMessage(name, plain);
  } catch (cause) {
    // What the scan leaves to find: text that is not UTF-8.
    throw onnxError('protobuf', {
      what: `these bytes are not an ONNX ${name}: ${cause instanceof Error ? cause.message : cause}`,
      expected: 'a whole file as the exporter wrote it',
      cause,
    });
  }
}
