// OnnxModel -> ONNX bytes. The structure goes through @bufbuild/protobuf; the weights do not. A
// protobuf message may be written as the concatenation of its fields, so the file is a list of
// pieces (small encoded parts and views on the weights) whose sizes are known before any byte is
// copied: `encodePieces` copies no weight at all, `encodeModel` each one once.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { byteLength } from '../tensor/array.js';
import { elementTypeNumber } from './element-type.js';
import { onnxError, quote } from './limits.js';
import type {
  Initializer,
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  ValueInfo,
} from './model.js';
import { encodeMessage, type ProtoInit } from './schema.js';
import { littleEndian, tensorBytes, tensorHeader } from './tensor.js';

export type Pieces = { readonly length: number; readonly chunks: readonly Uint8Array[] };

/** The largest protobuf file that readers accept. */
export const maxFileBytes = 2 ** 31 - 1;

// Tensors in attributes below this size are encoded in place instead of as a piece.
const inlineBytes = 4096;

/**
 * The file's bytes, weights embedded as raw_data. Throws `onnx/too-large` when they would pass
 * 2^31-1 bytes (see `externalize`) and `onnx/attribute` or `onnx/int64` for numbers that ONNX cannot hold.
 */
export function encodeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const { length, chunks } = encodePieces(model);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The same bytes as consecutive chunks, views on the weights among them, to stream to a file. */
export function encodePieces(model: OnnxModel): Pieces {
  if (!littleEndian) {
    throw onnxError('platform', {
      what: 'ONNX files can be written on little-endian machines only',
    });
  }
  const head = encodeMessage('ModelProto', {
    irVersion: integer(model.irVersion, 'the IR version'),
    producerName: model.producer.name,
    producerVersion: model.producer.version,
    opsetImport: Object.entries(model.opsets).map(([domain, version]) => ({
      domain,
      version: integer(version, `the opset version of ${quote(domain)}`),
    })),
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
  });
  const pieces = join([whole(head), field(7, encodeGraph(model.graph))]);
  if (pieces.length > maxFileBytes) {
    throw onnxError('too-large', {
      what: 'the model does not fit in one ONNX file',
      expected: `at most ${maxFileBytes} bytes`,
      found: `${pieces.length} bytes`,
      hint: 'keep the weights as external data: externalize(model, { location })',
    });
  }
  return pieces;
}

const whole = (bytes: Uint8Array): Pieces => ({ length: bytes.length, chunks: [bytes] });

const join = (parts: readonly Pieces[]): Pieces => ({
  length: parts.reduce((sum, part) => sum + part.length, 0),
  chunks: parts.flatMap((part) => part.chunks),
});

/** A length-delimited field around pieces that are already encoded. */
function field(number: number, content: Pieces): Pieces {
  // Past 2^32 the length cannot even be written; encodePieces refuses such a model at the end.
  const length = Math.min(content.length, 2 ** 32 - 1);
  const prefix = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
  return join([whole(prefix), content]);
}

function encodeGraph(graph: OnnxGraph): Pieces {
  const parts: Pieces[] = [];
  // Nodes must keep their order, so the light ones are encoded in runs between the heavy ones.
  let run: ProtoInit<'NodeProto'>[] = [];
  const flush = () => {
    if (run.length > 0) parts.push(whole(encodeMessage('GraphProto', { node: run })));
    run = [];
  };
  for (const node of graph.nodes) {
    if (Object.values(node.attributes).some(isHeavy)) {
      flush();
      parts.push(field(1, encodeHeavyNode(node)));
    } else run.push(nodeInit(node, Object.entries(node.attributes)));
  }
  flush();
  parts.push(
    whole(
      encodeMessage('GraphProto', {
        name: graph.name,
        input: graph.inputs.map(valueInit),
        output: graph.outputs.map(valueInit),
      }),
    ),
  );
  for (const [name, value] of graph.initializers) parts.push(field(5, encodeTensor(name, value)));
  return join(parts);
}

function encodeTensor(name: string, tensor: Initializer): Pieces {
  const header = whole(encodeMessage('TensorProto', tensorHeader(name, tensor)));
  const bytes = tensorBytes(tensor);
  return bytes === undefined ? header : join([header, field(9, whole(bytes))]);
}

const isHeavy = (attribute: OnnxAttribute): boolean =>
  attribute.kind === 'graph' ||
  (attribute.kind === 'tensor' && byteLength(attribute.value) > inlineBytes);

function encodeHeavyNode(node: OnnxNode): Pieces {
  const entries = Object.entries(node.attributes);
  const light = entries.filter(([, attribute]) => !isHeavy(attribute));
  const heavy = entries.filter(([, attribute]) => isHeavy(attribute));
  return join([
    whole(encodeMessage('NodeProto', nodeInit(node, light))),
    ...heavy.map(([name, attribute]) => field(5, encodeHeavyAttribute(name, attribute))),
  ]);
}

function encodeHeavyAttribute(name: string, attribute: OnnxAttribute): Pieces {
  if (attribute.kind === 'graph') {
    const head = encodeMessage('AttributeProto', { name, type: 5 });
    return join([whole(head), field(6, encodeGraph(attribute.value))]);
  }
  if (attribute.kind === 'tensor') {
    const head = encodeMessage('AttributeProto', { name, type: 4 });
    return join([whole(head), field(5, encodeTensor('', attribute.value))]);
  }
  return whole(encodeMessage('AttributeProto', attributeInit(name, attribute, '')));
}

function nodeInit(node: OnnxNode, attributes: [string, OnnxAttribute][]): ProtoInit<'NodeProto'> {
  const label = `${quote(node.op)} ${quote(node.name)}`;
  return {
    input: node.inputs,
    output: node.outputs,
    name: node.name,
    opType: node.op,
    domain: node.domain,
    attribute: attributes.map(([name, attribute]) => attributeInit(name, attribute, label)),
  };
}

const utf8 = new TextEncoder();

function attributeInit(
  name: string,
  attribute: OnnxAttribute,
  node: string,
): ProtoInit<'AttributeProto'> {
  const label = `attribute ${quote(name)} of node ${node}`;
  // AttributeProto.AttributeType
  switch (attribute.kind) {
    case 'float':
      return { name, type: 1, f: float(attribute.value, label) };
    case 'int':
      return { name, type: 2, i: integer(attribute.value, label) };
    case 'bigint':
      return { name, type: 2, i: int64(attribute.value, label) };
    case 'string':
      return { name, type: 3, s: utf8.encode(attribute.value) };
    case 'tensor': {
      const rawData = tensorBytes(attribute.value);
      return { name, type: 4, t: { ...tensorHeader('', attribute.value), rawData } };
    }
    case 'graph':
      throw onnxError('attribute', { what: `${label}: a graph is encoded in pieces` });
    case 'floats':
      return { name, type: 6, floats: attribute.value.map((value) => float(value, label)) };
    case 'ints':
      return { name, type: 7, ints: attribute.value.map((value) => integer(value, label)) };
    case 'bigints':
      return { name, type: 7, ints: attribute.value.map((value) => int64(value, label)) };
    case 'strings':
      return { name, type: 8, strings: attribute.value.map((value) => utf8.encode(value)) };
  }
}

function integer(value: number, label: string): bigint {
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw onnxError('int64', {
    what: `${label} is not an integer that a number can hold exactly`,
    expected: 'an integer between -2^53 and 2^53',
    found: `${value}`,
    hint: "give larger integers as kind 'bigint' or 'bigints'",
  });
}

function int64(value: bigint, label: string): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw onnxError('int64', { what: `${label} does not fit int64`, found: `${value}` });
}

function float(value: number, label: string): number {
  const rounded = Math.fround(value);
  if (Number.isFinite(rounded) || !Number.isFinite(value)) return rounded;
  throw onnxError('attribute', { what: `${label} does not fit float32`, found: `${value}` });
}

function valueInit({ name, dtype, shape }: ValueInfo): ProtoInit<'ValueInfoProto'> {
  if (dtype === undefined && shape === undefined) return { name };
  const dim = shape?.map((size) =>
    typeof size === 'number'
      ? { dimValue: integer(size, `a dimension of ${quote(name)}`) }
      : size === ''
        ? {}
        : { dimParam: size },
  );
  const elemType = dtype === undefined ? 0 : elementTypeNumber(dtype);
  return { name, type: { tensorType: { elemType, shape: dim && { dim } } } };
}
