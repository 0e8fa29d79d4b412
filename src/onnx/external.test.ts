import { describe, expect, test } from 'vitest';
import { fromNumbers, type NDArray, zerosOf } from '../tensor/array.js';
import { externalize, loadExternal } from './external.js';
import type { Initializer, OnnxModel } from './model.js';
import { decodeModel } from './read.js';
import { encodeModel, encodePieces } from './write.js';

const modelOf = (initializers: [string, Initializer][]): OnnxModel => ({
  irVersion: 10,
  opsets: { '': 21 },
  producer: { name: 't', version: '' },
  metadata: {},
  graph: { name: 'g', nodes: [], inputs: [], outputs: [], initializers: new Map(initializers) },
});

const ramp = (count: number): NDArray =>
  fromNumbers(
    'f32',
    [count],
    Array.from({ length: count }, (_, i) => i),
  );

function gather(chunks: Iterable<Uint8Array>): Uint8Array {
  return Uint8Array.from([...chunks].flatMap((chunk) => [...chunk]));
}

describe('externalize', () => {
  const tied = ramp(30);
  const model = modelOf([
    ['small', ramp(3)],
    ['a', ramp(21)],
    ['b', tied],
    ['c', { ...tied }],
    ['empty', zerosOf('f32', [0, 5])],
  ]);

  test('moves the large ones to aligned offsets, shared data once', async () => {
    const {
      model: moved,
      length,
      chunks,
    } = externalize(model, { location: 'w.bin', threshold: 64 });
    const placed = (name: string) => moved.graph.initializers.get(name);
    expect(placed('small')).toBe(model.graph.initializers.get('small'));
    expect(placed('a')).toMatchObject({ location: 'w.bin', offset: 0, length: 84 });
    expect(placed('b')).toMatchObject({ offset: 128, length: 120 });
    expect(placed('c')).toMatchObject({ offset: 128, length: 120 });
    const file = gather(chunks);
    expect(file.length).toBe(length);
    expect(gather(chunks)).toEqual(file);

    const read = async (location: string, offset: number, count: number) => {
      expect(location).toBe('w.bin');
      return file.subarray(offset, offset + count);
    };
    expect(await loadExternal(moved, read)).toEqual(model);
    expect(await decodeModel(encodeModel(moved), { external: read })).toEqual(model);
  });

  test('a reader that returns too little is an error', async () => {
    const { model: moved } = externalize(model, { location: 'w.bin', threshold: 64 });
    const short = (_: string, __: number, length: number) => new Uint8Array(length - 1);
    await expect(loadExternal(moved, short)).rejects.toMatchObject({ code: 'onnx/external' });
    const external = decodeModel(new Uint8Array(3), { external: short });
    await expect(external).rejects.toMatchObject({ code: 'onnx/protobuf' });
  });

  test('inner graphs move too', () => {
    const inner = modelOf([['deep', ramp(40)]]).graph;
    const outer = modelOf([['top', ramp(40)]]);
    outer.graph.nodes.push({
      op: 'If',
      domain: '',
      name: '',
      inputs: [],
      outputs: [],
      attributes: { then_branch: { kind: 'graph', value: inner } },
    });
    const { model: moved, length } = externalize(outer, { location: 'w', threshold: 1 });
    const attribute = moved.graph.nodes[0].attributes.then_branch;
    expect(attribute.kind === 'graph' && attribute.value.initializers.get('deep')).toMatchObject({
      offset: 192,
    });
    expect(length).toBe(352);
  });

  test('refuses bad names, alignments and files it would overwrite', () => {
    const refuse = (location: string, alignment?: number) => () =>
      externalize(model, { location, threshold: 1, alignment });
    expect(refuse('../w')).toThrow(expect.objectContaining({ code: 'onnx/location' }));
    expect(refuse('w', 0)).toThrow(expect.objectContaining({ code: 'onnx/external' }));
    const { model: moved } = refuse('w')();
    expect(() => externalize(moved, { location: 'w' })).toThrow(/overwritten/);
    expect(externalize(moved, { location: 'other' }).length).toBe(0);
  });
});

describe('encodeModel', () => {
  test('copies no weight into its pieces', () => {
    const weight = ramp(10_000);
    const { chunks, length } = encodePieces(modelOf([['w', weight]]));
    expect(chunks.some((chunk) => chunk.buffer === weight.data.buffer)).toBe(true);
    expect(encodeModel(modelOf([['w', weight]])).length).toBe(length);
  });

  test('refuses to pass 2^31-1 bytes and says what to do', () => {
    // Nine times the same 256 MiB, so that the test itself stays small.
    const quarter = zerosOf('u8', [2 ** 28]);
    const large = modelOf(Array.from({ length: 9 }, (_, i) => [`w${i}`, quarter]));
    const error = expect.objectContaining({
      code: 'onnx/too-large',
      hint: expect.stringContaining('externalize'),
    });
    expect(() => encodeModel(large)).toThrow(error);
    const { model, length } = externalize(large, { location: 'w.bin' });
    expect(length).toBe(2 ** 28);
    expect(encodeModel(model).length).toBeLessThan(1000);
  });

  test.each([
    [{ kind: 'int' as const, value: 2 ** 53 }, 'onnx/int64'],
    [{ kind: 'int' as const, value: 0.5 }, 'onnx/int64'],
    [{ kind: 'ints' as const, value: [1, Number.NaN] }, 'onnx/int64'],
    [{ kind: 'bigint' as const, value: 2n ** 63n }, 'onnx/int64'],
    [{ kind: 'float' as const, value: 1e39 }, 'onnx/attribute'],
  ])('%o cannot be written', (attribute, code) => {
    const model = modelOf([]);
    const node = { op: 'X', domain: '', name: 'n', inputs: [], outputs: [] };
    model.graph.nodes.push({ ...node, attributes: { a: attribute } });
    expect(() => encodeModel(model)).toThrow(expect.objectContaining({ code }));
  });
});
