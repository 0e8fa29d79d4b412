// The ONNX file format: one table of the protobuf messages we use, under ONNX's own names and field
// numbers (onnx.proto of the ONNX standard, IR versions 3 to 13). Descriptors for
// @bufbuild/protobuf are made from the table on first use, and the TypeScript types are derived
// from it, so there is neither protoc nor generated code.
//
// Enumerations are int32 here (same bytes on the wire), nested messages are written with an
// underscore, and `oneof` members are plain fields. Not in the table, hence skipped when read:
// doc strings, training info, quantisation annotations, device configurations.
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type DescriptorProtoSchema,
  Edition,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as ProtoType,
} from '@bufbuild/protobuf/wkt';

const table = {
  ModelProto: {
    ir_version: [1, 'int64'],
    opset_import: [8, 'repeated OperatorSetIdProto'],
    producer_name: [2, 'string'],
    producer_version: [3, 'string'],
    graph: [7, 'GraphProto'],
    metadata_props: [14, 'repeated StringStringEntryProto'],
    // FunctionProto, kept opaque: only its presence matters to the reader, which refuses it.
    functions: [25, 'repeated bytes'],
  },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  GraphProto: {
    node: [1, 'repeated NodeProto'],
    name: [2, 'string'],
    initializer: [5, 'repeated TensorProto'],
    sparse_initializer: [15, 'repeated bytes'],
    input: [11, 'repeated ValueInfoProto'],
    output: [12, 'repeated ValueInfoProto'],
  },
  NodeProto: {
    input: [1, 'repeated string'],
    output: [2, 'repeated string'],
    name: [3, 'string'],
    op_type: [4, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
    attribute: [5, 'repeated AttributeProto'],
  },
  AttributeProto: {
    name: [1, 'string'],
    ref_attr_name: [21, 'string'],
    type: [20, 'int32'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'repeated float'],
    ints: [8, 'repeated int64'],
    strings: [9, 'repeated bytes'],
  },
  TensorProto: {
    dims: [1, 'repeated int64'],
    data_type: [2, 'int32'],
    segment: [3, 'bytes'],
    float_data: [4, 'packed float'],
    int32_data: [5, 'packed int32'],
    string_data: [6, 'repeated bytes'],
    int64_data: [7, 'packed int64'],
    name: [8, 'string'],
    raw_data: [9, 'bytes'],
    double_data: [10, 'packed double'],
    uint64_data: [11, 'packed uint64'],
    external_data: [13, 'repeated StringStringEntryProto'],
    data_location: [14, 'int32'],
  },
  ValueInfoProto: { name: [1, 'string'], type: [2, 'TypeProto'] },
  TypeProto: {
    tensor_type: [1, 'TypeProto_Tensor'],
    sequence_type: [4, 'bytes'],
    map_type: [5, 'bytes'],
    opaque_type: [7, 'bytes'],
    sparse_tensor_type: [8, 'bytes'],
    optional_type: [9, 'bytes'],
  },
  TypeProto_Tensor: { elem_type: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  TensorShapeProto: { dim: [1, 'repeated TensorShapeProto_Dimension'] },
  TensorShapeProto_Dimension: { dim_value: [1, 'int64'], dim_param: [2, 'string'] },
} as const;

type Table = typeof table;
export type MessageName = keyof Table;

type Scalars = {
  string: string;
  bytes: Uint8Array;
  int32: number;
  int64: bigint;
  uint64: bigint;
  float: number;
  double: number;
};
type One<T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends MessageName
    ? ProtoMessage<T>
    : never;
type Value<S> = S extends `repeated ${infer T}`
  ? One<T>[]
  : S extends `packed ${infer T}`
    ? One<T>[]
    : S extends MessageName
      ? ProtoMessage<S> | undefined
      : One<S>;
type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;
type FieldType<F> = F extends readonly [number, infer S] ? S : never;

/** A message as read: scalars that are absent show their zero value (`has` tells them apart). */
export type ProtoMessage<N extends MessageName> = {
  [F in keyof Table[N] & string as Camel<F>]: Value<FieldType<Table[N][F]>>;
};
type InitValue<V> = V extends Uint8Array
  ? V
  : V extends readonly (infer E)[]
    ? InitValue<E>[]
    : V extends object
      ? { [K in keyof V]?: InitValue<V[K]> }
      : V;
/** What may be given to write a message: any subset of its fields. */
export type ProtoInit<N extends MessageName> = {
  [K in keyof ProtoMessage<N>]?: InitValue<ProtoMessage<N>[K]>;
};

export type ScalarName = keyof Scalars;
export type FieldSpec = {
  name: string;
  number: number;
  repeated: boolean;
  packed: boolean;
  /** A scalar's name, or the message that the field holds. */
  type: ScalarName | MessageName;
};

const scalarTypes: Record<ScalarName, ProtoType> = {
  string: ProtoType.STRING,
  bytes: ProtoType.BYTES,
  int32: ProtoType.INT32,
  int64: ProtoType.INT64,
  uint64: ProtoType.UINT64,
  float: ProtoType.FLOAT,
  double: ProtoType.DOUBLE,
};

export const isMessageName = (type: string): type is MessageName => Object.hasOwn(table, type);

function parseField(name: string, [number, spec]: readonly [number, string]): FieldSpec {
  const words = spec.split(' ');
  const type = words[words.length - 1] as ScalarName | MessageName;
  return { name, number, repeated: words.length === 2, packed: words[0] === 'packed', type };
}

const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** The fields of every message, by field number. */
export const fieldsByNumber = once(() => {
  const all = new Map<MessageName, ReadonlyMap<number, FieldSpec>>();
  for (const [message, fields] of Object.entries(table)) {
    const specs = Object.entries(fields).map(([name, field]) => parseField(name, field));
    all.set(message as MessageName, new Map(specs.map((spec) => [spec.number, spec])));
  }
  return all;
});

// Edition 2023: every scalar has presence, text must be UTF-8. Packing is said field by field,
// as onnx.proto has it.
const registry = once(() => {
  const messageType = [...fieldsByNumber()].map(([name, fields]) => ({
    name,
    field: [...fields.values()].map((field) => ({
      name: field.name,
      number: field.number,
      label: field.repeated ? Label.REPEATED : Label.OPTIONAL,
      ...(isMessageName(field.type)
        ? { type: ProtoType.MESSAGE, typeName: `.onnx.${field.type}` }
        : { type: scalarTypes[field.type] }),
      options: field.repeated ? { packed: field.packed } : undefined,
    })),
  })) satisfies Parameters<typeof create<typeof DescriptorProtoSchema>>[1][];
  const file = create(FileDescriptorProtoSchema, {
    name: 'onnx.proto',
    package: 'onnx',
    syntax: 'editions',
    edition: Edition.EDITION_2023,
    messageType,
  });
  return createFileRegistry(file, () => undefined);
});

function descriptor(name: MessageName): DescMessage {
  const found = registry().getMessage(`onnx.${name}`);
  if (found === undefined) throw new Error(`no message ${name} in the ONNX table`);
  return found;
}

/** The bytes of one message. Values must already fit their types. */
export function encodeMessage<N extends MessageName>(
  name: N,
  init: ProtoInit<N>,
): Uint8Array<ArrayBuffer> {
  const schema = descriptor(name);
  return toBinary(schema, create(schema, init as Record<string, unknown>));
}

/** Parses one message; `bytes` fields are views. Trusts its input: see scan.ts for files. */
export function decodeMessage<N extends MessageName>(name: N, bytes: Uint8Array): ProtoMessage<N> {
  const message: Message = fromBinary(descriptor(name), bytes, { readUnknownFields: false });
  return message as unknown as ProtoMessage<N>;
}

/** Whether the file really held this field. */
export const has = <M extends object>(message: M, field: keyof M & string): boolean =>
  Object.hasOwn(message, field) && message[field] !== undefined;
