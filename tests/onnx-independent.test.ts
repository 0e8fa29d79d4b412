// Our ONNX bytes in other people's hands: the `onnx-proto` package (protobufjs over ONNX's own
// definitions) must read the same fields, and ONNX Runtime must compute the right numbers, with the
// weights inside the file and beside it.
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { onnx } from 'onnx-proto';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkModel } from '../src/onnx/check.js';
import { externalize } from '../src/onnx/external.js';
import type { Initializer, OnnxModel, OnnxNode } from '../src/onnx/model.js';
import { decodeModel } from '../src/onnx/read.js';
import { encodeModel } from '../src/onnx/write.js';
import { fromNumbers } from '../src/tensor/array.js';

const node = (op: string, inputs: string[], outputs: string[], extra = {}): OnnxNode => ({
  op,
  domain: '',
  name: `${op}_node`,
  inputs,
  outputs,
  attributes: {},
  ...extra,
});

/** y = x w + b */
function affine(w: number[], b: number[]): OnnxModel {
  return {
    irVersion: 10,
    opsets: { '': 21 },
    producer: { name: 'anyformer', version: '0' },
    metadata: { note: 'grüße' },
    graph: {
      name: 'affine',
      inputs: [{ name: 'x', dtype: 'f32', shape: ['rows', w.length / b.length] }],
      outputs: [{ name: 'y', dtype: 'f32', shape: ['rows', b.length] }],
      initializers: new Map<string, Initializer>([
        ['w', fromNumbers('f32', [w.length / b.length, b.length], w)],
        ['b', fromNumbers('f32', [b.length], b)],
      ]),
      nodes: [node('MatMul', ['x', 'w'], ['h']), node('Add', ['h', 'b'], ['y'])],
    },
  };
}

describe('onnx-proto reads what we write', () => {
  test('every part of a model', () => {
    const model = affine([1, 2, 3, 4, 5, 6], [7, 8, 9]);
    model.graph.nodes.push(
      node('Any', ['y'], [], {
        domain: 'com.microsoft',
        attributes: {
          i: { kind: 'int', value: -5 },
          large: { kind: 'bigint', value: 2n ** 62n },
          f: { kind: 'float', value: 0.5 },
          s: { kind: 'string', value: 'ß' },
          ints: { kind: 'ints', value: [1, -1, 2 ** 53 - 1] },
          floats: { kind: 'floats', value: [1.5, Number.NEGATIVE_INFINITY] },
          strings: { kind: 'strings', value: ['a', ''] },
          t: { kind: 'tensor', value: fromNumbers('i64', [2], [3, -4]) },
          // Above the size from which a tensor is written as a piece of its own.
          large_t: { kind: 'tensor', value: fromNumbers('u8', [5000], Array(5000).fill(7)) },
          g: { kind: 'graph', value: affine([1], [2]).graph },
        },
      }),
    );
    const proto = onnx.ModelProto.decode(encodeModel(model));
    expect(Number(proto.irVersion)).toBe(10);
    expect(proto.producerName).toBe('anyformer');
    expect(proto.metadataProps).toMatchObject([{ key: 'note', value: 'grüße' }]);
    expect(proto.opsetImport.map(({ domain, version }) => [domain, Number(version)])).toEqual([
      ['', 21],
    ]);
    const { graph } = proto;
    expect(graph?.name).toBe('affine');
    expect(graph?.node?.map(({ opType }) => opType)).toEqual(['MatMul', 'Add', 'Any']);
    expect(graph?.node?.[1]).toMatchObject({ input: ['h', 'b'], output: ['y'], name: 'Add_node' });
    const dims = graph?.input?.[0].type?.tensorType?.shape?.dim ?? [];
    expect(dims[0].dimParam).toBe('rows');
    expect(Number(dims[1].dimValue)).toBe(2);
    const [w] = graph?.initializer ?? [];
    expect(w).toMatchObject({ name: 'w', dataType: onnx.TensorProto.DataType.FLOAT });
    expect(w.dims?.map(Number)).toEqual([2, 3]);
    expect(Buffer.from(w.rawData ?? []).readFloatLE(20)).toBe(6);

    const type = onnx.AttributeProto.AttributeType;
    const attributes = new Map(graph?.node?.[2].attribute?.map((one) => [one.name, one]));
    expect(graph?.node?.[2].domain).toBe('com.microsoft');
    expect(attributes.get('i')).toMatchObject({ type: type.INT });
    expect(Number(attributes.get('i')?.i)).toBe(-5);
    expect(String(attributes.get('large')?.i)).toBe(`${2n ** 62n}`);
    expect(attributes.get('f')).toMatchObject({ type: type.FLOAT, f: 0.5 });
    expect(Buffer.from(attributes.get('s')?.s ?? []).toString()).toBe('ß');
    expect(attributes.get('ints')?.ints?.map(Number)).toEqual([1, -1, 2 ** 53 - 1]);
    expect(attributes.get('floats')).toMatchObject({
      type: type.FLOATS,
      floats: [1.5, Number.NEGATIVE_INFINITY],
    });
    expect(attributes.get('strings')?.strings?.map((s) => Buffer.from(s).toString())).toEqual([
      'a',
      '',
    ]);
    expect(attributes.get('t')).toMatchObject({ type: type.TENSOR, t: { dataType: 7 } });
    expect(Buffer.from(attributes.get('t')?.t?.rawData ?? []).readBigInt64LE(8)).toBe(-4n);
    expect(attributes.get('large_t')?.t?.rawData?.length).toBe(5000);
    expect(attributes.get('g')).toMatchObject({ type: type.GRAPH, g: { name: 'affine' } });
    expect(attributes.get('g')?.g?.node?.length).toBe(2);
  });

  test('external data is where the standard puts it', () => {
    const { model } = externalize(affine([1, 2], [3, 4]), { location: 'w.bin', threshold: 8 });
    const [w, b] = onnx.ModelProto.decode(encodeModel(model)).graph?.initializer ?? [];
    expect(w.dataLocation).toBe(onnx.TensorProto.DataLocation.EXTERNAL);
    expect(b.externalData).toMatchObject([
      { key: 'location', value: 'w.bin' },
      { key: 'offset', value: '64' },
      { key: 'length', value: '8' },
    ]);
  });

  test('and we read what it writes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string(), fc.array(fc.string()))),
        fc.array(fc.float({ noNaN: true })),
        (nodes, floats) => {
          const bytes = onnx.ModelProto.encode({
            irVersion: 8,
            graph: {
              node: nodes.map(([opType, input]) => ({ opType, input })),
              initializer: [{ name: 'f', dims: [floats.length], dataType: 1, floatData: floats }],
            },
          }).finish();
          const { graph } = decodeModel(bytes);
          expect(graph.nodes.map(({ op, inputs }) => [op, inputs])).toEqual(nodes);
          expect(graph.initializers.get('f')).toMatchObject({ data: Float32Array.from(floats) });
        },
      ),
    );
  });
});

describe('ONNX Runtime runs what we write', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onnx-independent-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const run = async (session: ort.InferenceSession, x: number[], columns: number) => {
    const feed = new ort.Tensor('float32', x, [x.length / columns, columns]);
    const { y } = await session.run({ x: feed });
    await session.release();
    return { dims: [...y.dims], data: Array.from(y.data as Float32Array) };
  };

  test('weights inside', async () => {
    const model = affine([1, 2, 3, 4, 5, 6], [10, 20, 30]);
    checkModel(model);
    const session = await ort.InferenceSession.create(encodeModel(model));
    expect(await run(session, [1, 0, 0, 1, 1, 1], 2)).toEqual({
      dims: [3, 3],
      data: [11, 22, 33, 14, 25, 36, 15, 27, 39],
    });
  });

  test('weights beside the file, streamed', async () => {
    const size = 300;
    const identity = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 2 : 0));
    const bias = Array.from({ length: size }, (_, i) => i);
    const { model, chunks, length } = externalize(affine(identity, bias), { location: 'w.bin' });
    checkModel(model);
    const file = await open(join(folder, 'w.bin'), 'w');
    for (const chunk of chunks) await file.write(chunk);
    expect((await file.stat()).size).toBe(length);
    await file.close();
    const path = join(folder, 'model.onnx');
    const bytes = encodeModel(model);
    expect(bytes.length).toBeLessThan(1000);
    await writeFile(path, bytes);
    const session = await ort.InferenceSession.create(path);
    const { data } = await run(session, Array(size).fill(1), size);
    expect(data).toEqual(bias.map((value) => value + 2));
  });

  test('control flow, with an outer value used inside', async () => {
    const branch = (op: string) => ({
      kind: 'graph' as const,
      value: {
        name: op,
        inputs: [],
        outputs: [{ name: `${op}_y`, dtype: 'f32' as const, shape: undefined }],
        initializers: new Map<string, Initializer>([[`${op}_c`, fromNumbers('f32', [1], [3])]]),
        nodes: [{ ...node(op, ['h', `${op}_c`], [`${op}_y`]), name: '' }],
      },
    });
    const base = affine([1, 0, 0, 1], [1, 1]);
    const nodes = [
      node('MatMul', ['x', 'w'], ['h']),
      node('ReduceSum', ['h'], ['total'], {
        attributes: { keepdims: { kind: 'int', value: 0 } },
      }),
      node('Greater', ['total', 'zero'], ['positive']),
      node('If', ['positive'], ['y'], {
        attributes: { then_branch: branch('Add'), else_branch: branch('Mul') },
      }),
    ];
    base.graph.initializers.set('zero', fromNumbers('f32', [], [0]));
    const model = { ...base, graph: { ...base.graph, nodes } };
    checkModel(model);
    const bytes = encodeModel(decodeModel(encodeModel(model)));
    const both = await Promise.all([1, 2].map(() => ort.InferenceSession.create(bytes)));
    expect((await run(both[0], [1, 2], 2)).data).toEqual([4, 5]);
    expect((await run(both[1], [-1, -2], 2)).data).toEqual([-3, -6]);
  });
});
