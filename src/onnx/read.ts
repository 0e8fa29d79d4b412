// ONNX bytes -> OnnxModel, for files that nobody vouches for: the bytes are scanned against limits
// first (scan.ts), every count and size is checked before use, and every failure is an
// AnyformerError with a code `onnx/...`. Whether the graph makes sense is check.ts's question.
//
// Refused with a reason: functions, sparse initializers, sequence/map/optional values, attributes
// that hold lists of tensors or graphs or types, tensors of the types that NDArray cannot hold.
import { type ElementType, elementTypeName } from './element-type.js';
import { type ExternalReader, loadExternal } from './external.js';
import { defaultLimits, type Limits, onnxError, quote } from './limits.js';
import {
  type Initializer,
  initializerBytes,
  isExternal,
  type OnnxAttribute,
  type OnnxDim,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type ValueInfo,
} from './model.js';
import { has, type ProtoMessage } from './schema.js';
import { parseFile, readTensor } from './tensor.js';

export type DecodeOptions = {
  limits?: Partial<Limits>;
  /** Reads the bytes of external initializers; without it they stay references. */
  external?: ExternalReader;
};

type Context = { limits: Limits; initializerBytes: number };

/**
 * The model in `bytes`. Arrays may be views on `bytes`, which must not change afterwards. With
 * `external` the answer is a promise, because the weights come from elsewhere.
 */
export function decodeModel(
  bytes: Uint8Array,
  options: DecodeOptions & { external: ExternalReader },
): Promise<OnnxModel>;
export function decodeModel(
  bytes: Uint8Array,
  options?: DecodeOptions & { external?: undefined },
): OnnxModel;
export function decodeModel(
  bytes: Uint8Array,
  options: DecodeOptions = {},
): OnnxModel | Promise<OnnxModel> {
  if (options.external !== undefined) {
    const { external, limits } = options;
    // In the promise, so that a bad file rejects instead of throwing.
    return Promise.resolve().then(() => loadExternal(decodeModel(bytes, { limits }), external));
  }
  const limits = { ...defaultLimits, ...options.limits };
  const proto = parseFile('ModelProto', bytes, limits);
  if (proto.functions.length > 0) {
    throw onnxError('functions', {
      what: 'the model defines functions of its own',
      expected: 'a graph of standard operators',
      hint: 'inline the functions when exporting',
    });
  }
  if (proto.graph === undefined) {
    throw onnxError('protobuf', {
      what: 'the file holds no graph',
      expected: 'an ONNX model',
      hint: 'check that the file is an .onnx model',
    });
  }
  const opsets = proto.opsetImport.map(
    ({ domain, version }) => [plainDomain(domain), toNumber(version, 'an opset version')] as const,
  );
  const metadata = proto.metadataProps.map(({ key, value }) => [key, value] as const);
  return {
    irVersion: toNumber(proto.irVersion, 'the IR version'),
    opsets: unique(opsets, 'the opset of domain'),
    producer: { name: proto.producerName, version: proto.producerVersion },
    metadata: unique(metadata, 'the metadata entry'),
    graph: readGraph(proto.graph, 'graph', { limits, initializerBytes: 0 }),
  };
}

const plainDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

function toNumber(value: bigint, label: string): number {
  if (value >= 0n && value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw onnxError('protobuf', { what: `${label} is not a usable number`, found: `${value}` });
}

/** A record of entries; twice the same key is an error, `__proto__` a key like any other. */
function unique<T>(entries: (readonly [string, T])[], label: string): Record<string, T> {
  const seen = new Set<string>();
  for (const [key] of entries) {
    if (seen.has(key)) {
      throw onnxError('duplicate', { what: `${label} ${quote(key)} is given twice` });
    }
    seen.add(key);
  }
  return Object.fromEntries(entries);
}

function readGraph(proto: ProtoMessage<'GraphProto'>, path: string, context: Context): OnnxGraph {
  if (proto.sparseInitializer.length > 0) {
    throw onnxError('sparse', {
      what: `${path} has sparse initializers`,
      expected: 'dense initializers',
      hint: 'export the model with dense weights',
    });
  }
  const initializers = new Map<string, Initializer>();
  for (const tensor of proto.initializer) {
    const label = `initializer ${quote(tensor.name)} of ${path}`;
    if (initializers.has(tensor.name)) {
      throw onnxError('duplicate', { what: `${label} is given twice` });
    }
    const value = readTensor(tensor, label, context.limits);
    context.initializerBytes += initializerBytes(value);
    if (context.initializerBytes > context.limits.initializerBytes) {
      throw onnxError('limit', {
        what: `the initializers up to ${quote(tensor.name)} are too large`,
        expected: `at most ${context.limits.initializerBytes} bytes`,
        found: `${context.initializerBytes} bytes`,
      });
    }
    initializers.set(tensor.name, value);
  }
  return {
    name: proto.name,
    nodes: proto.node.map((node, index) => readNode(node, `${path}, node ${index}`, context)),
    inputs: proto.input.map((value) => readValue(value, `input of ${path}`, context.limits)),
    outputs: proto.output.map((value) => readValue(value, `output of ${path}`, context.limits)),
    initializers,
  };
}

function readNode(proto: ProtoMessage<'NodeProto'>, path: string, context: Context): OnnxNode {
  const label = `${path} (${quote(proto.opType)} ${quote(proto.name)})`;
  if (proto.overload !== '') {
    throw onnxError('functions', { what: `${label} calls a function's overload` });
  }
  const attributes = proto.attribute.map(
    (attribute) => [attribute.name, readAttribute(attribute, label, context)] as const,
  );
  return {
    op: proto.opType,
    domain: plainDomain(proto.domain),
    name: proto.name,
    inputs: proto.input,
    outputs: proto.output,
    attributes: unique(attributes, `${label}: attribute`),
  };
}

const isSafe = (value: bigint): boolean =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readAttribute(
  proto: ProtoMessage<'AttributeProto'>,
  node: string,
  context: Context,
): OnnxAttribute {
  const label = `${node}, attribute ${quote(proto.name)}`;
  const text = (bytes: Uint8Array): string => {
    try {
      return utf8.decode(bytes);
    } catch (cause) {
      throw onnxError('attribute', { what: `${label} is not UTF-8 text`, cause });
    }
  };
  if (proto.refAttrName !== '') {
    throw onnxError('functions', { what: `${label} refers to a function's attribute` });
  }
  // AttributeProto.AttributeType
  switch (proto.type) {
    case 1:
      return { kind: 'float', value: proto.f };
    case 2:
      return isSafe(proto.i)
        ? { kind: 'int', value: Number(proto.i) }
        : { kind: 'bigint', value: proto.i };
    case 3:
      return { kind: 'string', value: text(proto.s) };
    case 4: {
      if (proto.t === undefined) throw onnxError('attribute', { what: `${label} has no tensor` });
      const value = readTensor(proto.t, label, context.limits);
      if (!isExternal(value)) return { kind: 'tensor', value };
      throw onnxError('external', {
        what: `${label} refers to an external file`,
        expected: 'external data in initializers only',
      });
    }
    case 5: {
      if (proto.g === undefined) throw onnxError('attribute', { what: `${label} has no graph` });
      return { kind: 'graph', value: readGraph(proto.g, label, context) };
    }
    case 6:
      return { kind: 'floats', value: proto.floats };
    case 7:
      return proto.ints.every(isSafe)
        ? { kind: 'ints', value: proto.ints.map(Number) }
        : { kind: 'bigints', value: proto.ints };
    case 8:
      return { kind: 'strings', value: proto.strings.map(text) };
    default:
      throw onnxError('attribute', {
        what: `${label} is of a kind that is not supported`,
        expected: 'a number, string, tensor or graph, or a list of numbers or strings',
        found: `attribute type ${proto.type}`,
      });
  }
}

function readValue(
  proto: ProtoMessage<'ValueInfoProto'>,
  where: string,
  limits: Limits,
): ValueInfo {
  const { name, type } = proto;
  const label = `${where} ${quote(name)}`;
  if (type?.tensorType === undefined) {
    if (type === undefined || !holdsOther(type))
      return { name, dtype: undefined, shape: undefined };
    throw onnxError('type', {
      what: `${label} is not a dense tensor`,
      expected: 'a tensor',
      found: 'a sequence, map, optional, opaque or sparse value',
    });
  }
  const { elemType, shape } = type.tensorType;
  const dims = shape?.dim;
  if (dims !== undefined && dims.length > limits.rank) {
    throw onnxError('limit', {
      what: `${label} has too many dimensions`,
      expected: `at most ${limits.rank}`,
      found: `${dims.length}`,
    });
  }
  return {
    name,
    dtype: readElementType(elemType, label),
    shape: dims?.map((dim) => readDim(dim, label)),
  };
}

const holdsOther = (type: ProtoMessage<'TypeProto'>): boolean =>
  (['sequenceType', 'mapType', 'opaqueType', 'sparseTensorType', 'optionalType'] as const).some(
    (field) => has(type, field),
  );

function readElementType(number: number, label: string): ElementType | undefined {
  if (number === 0) return undefined;
  const type = elementTypeName(number);
  if (type !== undefined) return type;
  throw onnxError('dtype', {
    what: `${label} has an unknown element type`,
    found: `type number ${number}`,
    hint: 'the file may be of a newer ONNX version than this reader knows',
  });
}

/** Exporters write -1 for a size that is not fixed; so '' here. */
function readDim(dim: ProtoMessage<'TensorShapeProto_Dimension'>, label: string): OnnxDim {
  if (!has(dim, 'dimValue')) return dim.dimParam;
  if (dim.dimValue < 0n) return '';
  return toNumber(dim.dimValue, `a dimension of ${label}`);
}
