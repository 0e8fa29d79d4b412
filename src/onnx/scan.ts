// A first walk over the bytes of a protobuf message that builds nothing. It proves that the real
// parser is safe to run: every length lies inside its parent, wire types fit the schema, nesting
// and node count are bounded, and the memory that parsing would take is under a budget. Without it
// a 100 MB file of empty messages would become tens of gigabytes of objects.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { AnyformerError } from '../tensor/error.js';
import { type Limits, onnxError } from './limits.js';
import {
  type FieldSpec,
  fieldsByNumber,
  isMessageName,
  type MessageName,
  type ScalarName,
} from './schema.js';

// Rough heap bytes of what the parser makes of one element.
const messageCost = 320;
const elementCost: Record<ScalarName, number> = {
  string: 40,
  bytes: 160,
  int32: 8,
  float: 8,
  double: 8,
  int64: 32,
  uint64: 32,
};
const maxNesting = 80;

const scalarWire: Record<ScalarName, WireType> = {
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
  int32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
};

/** Throws `onnx/protobuf` or `onnx/limit` unless `bytes` are a well-formed, bounded message. */
export function scan(name: MessageName, bytes: Uint8Array, limits: Limits): void {
  const reader = new BinaryReader(bytes);
  const schema = fieldsByNumber();
  let nodes = 0;
  let structure = 0;

  const malformed = (what: string, cause?: unknown) =>
    onnxError('protobuf', {
      what: `these bytes are not an ONNX ${name}: ${what} at byte ${reader.pos}`,
      expected: 'a whole file as the exporter wrote it',
      hint: 'check that the file is complete (a Git LFS pointer or a cut download looks like this)',
      cause,
    });
  const over = (what: string, limit: number) =>
    onnxError('limit', {
      what: `the ONNX file asks for too much: ${what}`,
      expected: `at most ${limit}`,
      hint: 'raise the limit in the options if you trust this file',
    });
  const charge = (cost: number) => {
    structure += cost;
    if (structure > limits.structureBytes)
      throw over('parsed structure in bytes', limits.structureBytes);
  };

  function readLength(end: number): number {
    const length = reader.uint32();
    if (length > end - reader.pos) throw malformed(`a length of ${length} passes its parent's end`);
    return length;
  }

  // (`reader.pos += readLength()` would add to the position before the length was read.)
  const pass = (length: number) => {
    reader.pos += length;
  };

  function countPacked(field: FieldSpec, length: number): number {
    const width = field.type === 'float' ? 4 : field.type === 'double' ? 8 : 0;
    if (width > 0) {
      if (length % width !== 0) throw malformed(`${field.name} holds a broken number`);
      return length / width;
    }
    let count = 0;
    for (let i = reader.pos; i < reader.pos + length; i++) if (bytes[i] < 0x80) count++;
    if (length > 0 && bytes[reader.pos + length - 1] >= 0x80) {
      throw malformed(`${field.name} ends inside a number`);
    }
    return count;
  }

  function walk(message: MessageName, end: number, nesting: number, graphs: number): void {
    if (nesting > maxNesting) throw over('message nesting', maxNesting);
    if (graphs > limits.graphDepth) throw over('graphs inside graphs', limits.graphDepth);
    if (message === 'NodeProto' && ++nodes > limits.nodes) throw over('nodes', limits.nodes);
    charge(messageCost);
    const fields = schema.get(message);
    while (reader.pos < end) {
      const [number, wire] = reader.tag();
      const field = fields?.get(number);
      if (field === undefined) {
        if (wire === WireType.LengthDelimited) pass(readLength(end));
        else reader.skip(wire, number);
      } else if (isMessageName(field.type)) {
        if (wire !== WireType.LengthDelimited) throw malformed(`${field.name} is not a message`);
        const length = readLength(end);
        const inside = graphs + (field.type === 'GraphProto' ? 1 : 0);
        walk(field.type, reader.pos + length, nesting + 1, inside);
      } else {
        scalar(field, field.type, wire, end);
      }
    }
    if (reader.pos !== end) throw malformed(`${message} passes its parent's end`);
  }

  function scalar(field: FieldSpec, type: ScalarName, wire: WireType, end: number): void {
    const own = scalarWire[type];
    if (wire === WireType.LengthDelimited && own !== wire && field.repeated) {
      const length = readLength(end);
      charge(countPacked(field, length) * elementCost[type]);
      pass(length);
      return;
    }
    if (wire !== own) throw malformed(`${field.name} has the wrong wire type ${wire}`);
    if (field.repeated) charge(elementCost[type]);
    if (wire === WireType.LengthDelimited) {
      const length = readLength(end);
      if (type === 'string') charge(length);
      pass(length);
    } else if (wire === WireType.Varint) reader.int64();
    else reader.skip(wire);
  }

  try {
    walk(name, bytes.length, 0, 0);
  } catch (error) {
    // The library's own complaints (an overlong varint, an illegal tag) are plain errors.
    if (error instanceof AnyformerError) throw error;
    throw malformed(error instanceof Error ? error.message : String(error), error);
  }
}
