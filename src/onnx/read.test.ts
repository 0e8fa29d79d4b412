// Crafted files, one attack each: the reader must name the problem and must not do the work that the
// attack asks for.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { decodeModel } from './read.js';
import { encodeMessage, type ProtoInit } from './schema.js';
import { readTensorFile } from './tensor.js';

type TensorInit = ProtoInit<'TensorProto'>;

const withGraph = (graph: ProtoInit<'GraphProto'>): Uint8Array =>
  encodeMessage('ModelProto', {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 17n }],
    graph: { name: 'g', ...graph },
  });
const withTensor = (tensor: TensorInit) => withGraph({ initializer: [{ name: 'w', ...tensor }] });
const loadTensor = (tensor: TensorInit) =>
  decodeModel(withTensor(tensor)).graph.initializers.get('w');

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AnyformerError) return error.code;
    throw error;
  }
  return 'none';
}
const refusal = (bytes: Uint8Array) => codeOf(() => decodeModel(bytes));

describe('tensors', () => {
  test('raw_data must have the size that dims and type give', () => {
    const tensor = { dims: [2n, 2n], dataType: 1 };
    expect(refusal(withTensor({ ...tensor, rawData: new Uint8Array(16) }))).toBe('none');
    for (const length of [0, 4, 15, 17, 32]) {
      expect(refusal(withTensor({ ...tensor, rawData: new Uint8Array(length) }))).toBe(
        'onnx/tensor-size',
      );
    }
    expect(refusal(withTensor(tensor))).toBe('onnx/tensor-size');
  });

  test.each([
    [[-1n]],
    [[2n ** 63n - 1n, 2n]],
    [[2n ** 32n, 2n ** 32n]],
    [[2n ** 62n, 4n]],
    [[2n ** 53n]],
    [[2n ** 63n - 1n, 0n]],
  ])('dims %s overflow', (dims) => {
    expect(refusal(withTensor({ dims, dataType: 1, rawData: new Uint8Array(0) }))).toBe(
      'onnx/shape',
    );
  });

  test('a large declared size with no data allocates nothing', () => {
    const before = process.memoryUsage().arrayBuffers;
    expect(refusal(withTensor({ dims: [2n ** 40n], dataType: 1 }))).toBe('onnx/tensor-size');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
  });

  test('rank is bounded', () => {
    const dims = Array(33).fill(1n);
    expect(refusal(withTensor({ dims, dataType: 1, floatData: [1] }))).toBe('onnx/limit');
  });

  test.each([8, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 4, 5, 0, 99, -1])(
    'element type %i is refused by name',
    (dataType) => {
      expect(refusal(withTensor({ dims: [1n], dataType, rawData: new Uint8Array(1) }))).toBe(
        'onnx/dtype',
      );
    },
  );

  test('typed fields hold the values of their types', () => {
    const cases: [TensorInit, string, ArrayLike<number | bigint>][] = [
      [{ dataType: 1, floatData: [1.5, -2] }, 'f32', [1.5, -2]],
      [{ dataType: 11, doubleData: [0.1, 2] }, 'f64', [0.1, 2]],
      [{ dataType: 7, int64Data: [-5n, 2n ** 62n] }, 'i64', [-5n, 2n ** 62n]],
      [{ dataType: 13, uint64Data: [2n ** 64n - 1n, 0n] }, 'u64', [2n ** 64n - 1n, 0n]],
      [{ dataType: 12, uint64Data: [2n ** 32n - 1n, 7n] }, 'u32', [2 ** 32 - 1, 7]],
      [{ dataType: 6, int32Data: [-1, 2] }, 'i32', [-1, 2]],
      [{ dataType: 3, int32Data: [-128, 127] }, 'i8', [-128, 127]],
      [{ dataType: 2, int32Data: [0, 255] }, 'u8', [0, 255]],
      [{ dataType: 9, int32Data: [0, 1] }, 'bool', [0, 1]],
      [{ dataType: 10, int32Data: [0x3c00, 0xfbff] }, 'f16', [0x3c00, 0xfbff]],
      [{ dataType: 16, int32Data: [0x3f80, 0xff7f] }, 'bf16', [0x3f80, 0xff7f]],
    ];
    for (const [init, dtype, values] of cases) {
      const tensor = loadTensor({ dims: [2n], ...init });
      expect(tensor).toMatchObject({ dtype, shape: [2] });
      expect(Array.from((tensor as { data: ArrayLike<unknown> }).data)).toEqual(values);
    }
  });

  test.each<[TensorInit]>([
    [{ dataType: 3, int32Data: [128] }],
    [{ dataType: 2, int32Data: [-1] }],
    [{ dataType: 9, int32Data: [2] }],
    [{ dataType: 9, rawData: Uint8Array.of(2) }],
    [{ dataType: 10, int32Data: [65536] }],
    [{ dataType: 12, uint64Data: [2n ** 32n] }],
  ])('values that do not fit are refused: %o', (init) => {
    expect(refusal(withTensor({ dims: [1n], ...init }))).toBe('onnx/tensor-value');
  });

  test.each<[TensorInit, string]>([
    [{ dataType: 1, floatData: [1], rawData: new Uint8Array(4) }, 'onnx/tensor'],
    [{ dataType: 1, int32Data: [1] }, 'onnx/tensor-size'],
    [{ dataType: 1, floatData: [1], doubleData: [1] }, 'onnx/tensor-size'],
    [{ dataType: 1, dataLocation: 1, floatData: [1] }, 'onnx/tensor'],
    [{ dataType: 1, segment: new Uint8Array(0), floatData: [1] }, 'onnx/tensor'],
  ])('data in two places or the wrong one: %o', (init, code) => {
    expect(refusal(withTensor({ dims: [1n], ...init }))).toBe(code);
  });

  test('typed data may be unpacked, as proto2 writers leave it', () => {
    const writer = new BinaryWriter().tag(1, WireType.Varint).int64(2).tag(2, WireType.Varint);
    writer.int32(1).tag(4, WireType.Bit32).float(3).tag(4, WireType.Bit32).float(4);
    expect(readTensorFile(writer.finish())).toEqual({
      dtype: 'f32',
      shape: [2],
      data: Float32Array.of(3, 4),
    });
  });
});

test('Buffers and shared memory at any offset', () => {
  const bytes = withTensor({ dims: [2n], dataType: 1, rawData: new Uint8Array(8).fill(1) });
  const expected = loadTensor({ dims: [2n], dataType: 1, rawData: new Uint8Array(8).fill(1) });
  for (let offset = 0; offset < 8; offset++) {
    for (const memory of [Buffer.alloc(400), new Uint8Array(new SharedArrayBuffer(400))]) {
      const view = memory.subarray(offset, offset + bytes.length);
      view.set(bytes);
      expect(decodeModel(view).graph.initializers.get('w')).toEqual(expected);
    }
  }
});

describe('external data', () => {
  const external = (entries: Record<string, string>): Uint8Array =>
    withTensor({
      dims: [2n],
      dataType: 1,
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    });

  test('a plain name is kept as a reference', () => {
    const bytes = external({ location: 'model.bin', offset: '128', length: '8' });
    expect(decodeModel(bytes).graph.initializers.get('w')).toEqual({
      dtype: 'f32',
      shape: [2],
      location: 'model.bin',
      offset: 128,
      length: 8,
    });
    expect(refusal(external({ location: 'a/b.bin' }))).toBe('none');
  });

  test.each([
    '',
    '.',
    '..',
    '../x',
    'a/../b',
    'a/..',
    '/etc/passwd',
    '//server/share',
    '\\\\server\\share',
    'C:\\x',
    'C:x',
    'c:/x',
    'a\\b',
    '..\\x',
    'a//b',
    'a/',
    './a',
    'x\0',
    'nul',
    'NUL.bin',
    'a/COM1.bin',
    'x.bin:stream',
    'x. ',
    'x.',
    ' x',
    'file?',
  ])('the location %j is refused', (location) => {
    expect(refusal(external({ location }))).toBe('onnx/location');
  });

  test.each([
    [{ offset: '-1' }],
    [{ offset: '0x10' }],
    [{ offset: '1e3' }],
    [{ offset: '' }],
    [{ offset: '99999999999999999999' }],
    [{ offset: '9007199254740990' }],
    [{ length: ' 8' }],
  ])('%o is refused', (entry) => {
    expect(refusal(external({ location: 'x', ...entry }))).toBe('onnx/external');
  });

  test('a length that is not dims x type is refused', () => {
    expect(refusal(external({ location: 'x', length: '9' }))).toBe('onnx/tensor-size');
  });
});

describe('structure', () => {
  test('an empty file and a text file', () => {
    expect(refusal(new Uint8Array(0))).toBe('onnx/protobuf');
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n';
    expect(refusal(new TextEncoder().encode(pointer))).toBe('onnx/protobuf');
  });

  test('fields that we do not keep are skipped, whatever their wire type', () => {
    const known = encodeMessage('NodeProto', { opType: 'Relu', input: ['x'] });
    const writer = new BinaryWriter().tag(6, WireType.LengthDelimited).string('doc'.repeat(100));
    writer.tag(99, WireType.Varint).int64(-1).tag(98, WireType.Bit32).float(1).raw(known);
    writer.tag(97, WireType.Bit64).double(1).tag(96, WireType.StartGroup);
    writer.tag(1, WireType.LengthDelimited).string('inside').tag(96, WireType.EndGroup);
    const node = writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(0)).finish();
    const graph = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(node).finish();
    const model = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(graph).finish();
    expect(decodeModel(model).graph.nodes).toMatchObject([{ op: 'Relu', inputs: ['x'] }]);
  });

  test('two million empty nodes are refused before they are built', () => {
    const count = 2_000_000;
    const body = new Uint8Array(count * 2);
    for (let i = 0; i < count; i++) body[2 * i] = 0x0a;
    const writer = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(body);
    const bytes = writer.finish();
    const start = performance.now();
    expect(refusal(bytes)).toBe('onnx/limit');
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test('small elements that would become large objects are charged', () => {
    // 64 MB of one-byte int64 values: 2 GB of bigints.
    const int64Data = new Uint8Array(64_000_000);
    const tensor = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(int64Data).finish();
    expect(codeOf(() => readTensorFile(tensor))).toBe('onnx/limit');
  });

  test('deep nesting of graphs', () => {
    const nest = (depth: number): ProtoInit<'GraphProto'> =>
      depth === 0
        ? {}
        : {
            node: [
              { opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: nest(depth - 1) }] },
            ],
          };
    expect(refusal(withGraph(nest(7)))).toBe('none');
    expect(refusal(withGraph(nest(8)))).toBe('onnx/limit');
    expect(refusal(withGraph(nest(30)))).toBe('onnx/limit');
    let bytes: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < 20_000; i++) {
      // Alternating node.attribute and attribute.graph far beyond any stack.
      const field = [7, 1, 5, 6][i % 4];
      if (bytes.length > 100_000) break;
      bytes = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish();
    }
    expect(['onnx/limit', 'onnx/protobuf', 'none']).toContain(refusal(bytes));
  });

  test('groups nested beyond any stack', () => {
    const bytes = new Uint8Array(100_000).fill((50 << 3) | WireType.StartGroup);
    expect(refusal(bytes)).toBe('onnx/protobuf');
  });

  test('a child longer than its parent', () => {
    const bytes = withTensor({ dims: [1n], dataType: 1, rawData: new Uint8Array(4) });
    const end = bytes.length;
    // The last fields are raw_data (2 + 4 bytes) and its parents' lengths before it.
    const longer = bytes.slice();
    longer[end - 5] = 40;
    expect(refusal(longer)).toBe('onnx/protobuf');
  });

  test('duplicates that a map would swallow', () => {
    const tensor = { name: 'w', dims: [1n], dataType: 1, floatData: [1] };
    expect(refusal(withGraph({ initializer: [tensor, tensor] }))).toBe('onnx/duplicate');
    const axis = { name: 'axis', type: 2, i: 1n };
    const node = { opType: 'Softmax', attribute: [axis, axis] };
    expect(refusal(withGraph({ node: [node] }))).toBe('onnx/duplicate');
    const opsetImport = [
      { domain: '', version: 17n },
      { domain: 'ai.onnx', version: 18n },
    ];
    expect(refusal(encodeMessage('ModelProto', { opsetImport, graph: {} }))).toBe('onnx/duplicate');
  });

  test('keys named like object internals stay plain keys', () => {
    const decoded = decodeModel(
      encodeMessage('ModelProto', {
        metadataProps: [{ key: '__proto__', value: 'x' }],
        opsetImport: [{ domain: '__proto__', version: 1n }],
        graph: { node: [{ attribute: [{ name: '__proto__', type: 2, i: 1n }] }] },
      }),
    );
    expect(Object.keys(decoded.metadata)).toEqual(['__proto__']);
    expect(Object.keys(decoded.opsets)).toEqual(['__proto__']);
    expect(Object.keys(decoded.graph.nodes[0].attributes)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(decoded.metadata)).toBe(Object.prototype);
  });

  test('names that are not UTF-8 are refused, not replaced', () => {
    const bytes = withGraph({ node: [{ opType: 'zz' }] });
    const at = bytes.indexOf(0x7a);
    expect(at).toBeGreaterThan(0);
    expect(refusal(bytes.map((byte, i) => (i === at ? 0xff : byte)))).toBe('onnx/protobuf');
  });

  test('what is not supported says so', () => {
    const attribute = (init: ProtoInit<'AttributeProto'>) =>
      refusal(withGraph({ node: [{ opType: 'X', attribute: [{ name: 'a', ...init }] }] }));
    expect(attribute({ type: 11 })).toBe('onnx/attribute');
    expect(attribute({ type: 4 })).toBe('onnx/attribute');
    expect(attribute({ type: 5 })).toBe('onnx/attribute');
    expect(attribute({})).toBe('onnx/attribute');
    expect(attribute({ type: 2, refAttrName: 'outer' })).toBe('onnx/functions');
    expect(attribute({ type: 3, s: Uint8Array.of(0xff) })).toBe('onnx/attribute');
    expect(refusal(withGraph({ sparseInitializer: [new Uint8Array(0)] }))).toBe('onnx/sparse');
    const functions = [new Uint8Array(0)];
    expect(refusal(encodeMessage('ModelProto', { graph: {}, functions }))).toBe('onnx/functions');
    const sequence = { name: 's', type: { sequenceType: new Uint8Array(0) } };
    expect(refusal(withGraph({ input: [sequence] }))).toBe('onnx/type');
  });

  test('int64 attributes beyond 2^53 come as bigint', () => {
    const attribute = [
      { name: 'small', type: 2, i: 2n ** 53n - 1n },
      { name: 'large', type: 2, i: 2n ** 63n - 1n },
      { name: 'list', type: 7, ints: [1n, -(2n ** 63n)] },
    ];
    const [node] = decodeModel(withGraph({ node: [{ opType: 'X', attribute }] })).graph.nodes;
    expect(node.attributes).toEqual({
      small: { kind: 'int', value: 2 ** 53 - 1 },
      large: { kind: 'bigint', value: 2n ** 63n - 1n },
      list: { kind: 'bigints', value: [1n, -(2n ** 63n)] },
    });
  });

  test('the initializers of all graphs together are bounded', () => {
    const tensor = { name: 'w', dims: [1000n], dataType: 2, rawData: new Uint8Array(1000) };
    const node = {
      opType: 'If',
      attribute: [{ name: 'b', type: 5, g: { initializer: [tensor] } }],
    };
    const bytes = withGraph({ initializer: [tensor], node: [node] });
    const load = (initializerBytes: number) => () =>
      decodeModel(bytes, { limits: { initializerBytes } });
    expect(codeOf(load(2000))).toBe('none');
    expect(codeOf(load(1999))).toBe('onnx/limit');
  });

  test('unknown dimensions', () => {
    const dim = [{ dimValue: 3n }, { dimParam: 'n' }, { dimValue: -1n }, {}];
    const type = { tensorType: { elemType: 1, shape: { dim } } };
    const decoded = decodeModel(withGraph({ input: [{ name: 'x', type }, { name: 'y' }] }));
    expect(decoded.graph.inputs).toEqual([
      { name: 'x', dtype: 'f32', shape: [3, 'n', '', ''] },
      { name: 'y', dtype: undefined, shape: undefined },
    ]);
  });
});
