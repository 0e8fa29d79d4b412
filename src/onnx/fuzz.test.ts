// Properties over arbitrary models: what is written is read back the same, and whatever is done to
// the bytes, the reader answers with a model or an AnyformerError of code `onnx/...`, quickly.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NDArray, ndarray, sizeOf } from '../tensor/array.js';
import { type DType, dtypes, viewAs } from '../tensor/dtype.js';
import { AnyformerError } from '../tensor/error.js';
import { checkModel } from './check.js';
import type { Initializer, OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from './model.js';
import { decodeModel } from './read.js';
import { readTensorFile } from './tensor.js';
import { encodeModel } from './write.js';

const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', ''),
);
const record = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc
    .uniqueArray(fc.tuple(name, value), { maxLength: 4, selector: ([key]) => key })
    .map((entries) => Object.fromEntries(entries));

const array: fc.Arbitrary<NDArray> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(dtypes) as DType[])),
    shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ dtype, shape, seed }) => {
    const bytes = new Uint8Array(sizeOf(shape) * dtypes[dtype].bytes);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = dtype === 'bool' ? (seed + i) % 2 : (seed * 31 + i * 7) % 256;
    }
    return ndarray(dtype, shape, viewAs(dtype, bytes));
  });
const initializer: fc.Arbitrary<Initializer> = fc.oneof(
  array,
  array.map(({ dtype, shape, data }) => ({
    dtype,
    shape,
    location: 'weights/model.bin',
    offset: 64,
    length: data.byteLength,
  })),
);
const valueInfo = fc.record({
  name,
  dtype: fc.constantFrom('f32' as const, 'string' as const, 'i4' as const, undefined),
  shape: fc.oneof(fc.constant(undefined), fc.array(fc.oneof(fc.nat(), name), { maxLength: 4 })),
});
const safe = fc.maxSafeInteger();
const wide = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const isWide = (value: bigint) => !Number.isSafeInteger(Number(value));

const { graph } = fc.letrec<{ graph: OnnxGraph; attribute: OnnxAttribute; node: OnnxNode }>(
  (tie) => ({
    attribute: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({ kind: fc.constant('int' as const), value: safe }),
      fc.record({ kind: fc.constant('float' as const), value: fc.float() }),
      fc.record({ kind: fc.constant('string' as const), value: name }),
      fc.record({ kind: fc.constant('ints' as const), value: fc.array(safe, { maxLength: 5 }) }),
      fc.record({ kind: fc.constant('floats' as const), value: fc.array(fc.float()) }),
      fc.record({ kind: fc.constant('strings' as const), value: fc.array(name) }),
      fc.record({ kind: fc.constant('bigint' as const), value: wide.filter(isWide) }),
      fc.record({
        kind: fc.constant('bigints' as const),
        value: fc.array(wide).map((values) => [...values, 2n ** 60n]),
      }),
      fc.record({ kind: fc.constant('tensor' as const), value: array }),
      fc.record({ kind: fc.constant('graph' as const), value: tie('graph') }),
    ) as fc.Arbitrary<OnnxAttribute>,
    node: fc.record({
      op: name,
      domain: name,
      name,
      inputs: fc.array(name, { maxLength: 4 }),
      outputs: fc.array(name, { maxLength: 4 }),
      attributes: record(tie('attribute')),
    }),
    graph: fc.record({
      name,
      nodes: fc.array(tie('node'), { maxLength: 3, depthIdentifier: 'graph' }),
      inputs: fc.array(valueInfo, { maxLength: 3 }),
      outputs: fc.array(valueInfo, { maxLength: 3 }),
      initializers: fc
        .uniqueArray(fc.tuple(name, initializer), { maxLength: 3, selector: ([key]) => key })
        .map((entries) => new Map(entries)),
    }),
  }),
);
const model: fc.Arbitrary<OnnxModel> = fc.record({
  irVersion: fc.nat(),
  opsets: record(fc.nat()),
  producer: fc.record({ name, version: name }),
  metadata: record(name),
  graph,
});

/** Any answer but an `onnx/...` error or a model fails. */
function decodeSafely(bytes: Uint8Array): OnnxModel | undefined {
  try {
    return decodeModel(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(AnyformerError);
    expect((error as AnyformerError).code).toMatch(/^onnx\//);
    return undefined;
  }
}

function checkSafely(decoded: OnnxModel | undefined): void {
  if (decoded === undefined) return;
  try {
    checkModel(decoded);
  } catch (error) {
    expect(error).toBeInstanceOf(AnyformerError);
    expect((error as AnyformerError).code).toMatch(/^onnx\//);
  }
}

/** A model that exercises most of the format and passes the checker. */
const sample: OnnxModel = {
  irVersion: 10,
  opsets: { '': 21, 'com.microsoft': 1 },
  producer: { name: 'test', version: '1' },
  metadata: { made: 'here' },
  graph: {
    name: 'main',
    inputs: [
      { name: 'x', dtype: 'f32', shape: ['batch', 4] },
      { name: 'flag', dtype: 'bool', shape: [] },
    ],
    outputs: [{ name: 'y', dtype: 'f32', shape: ['batch', 2] }],
    initializers: new Map<string, Initializer>([
      ['w', ndarray('f32', [4, 2], Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]))],
      ['far', { dtype: 'f32', shape: [2], location: 'a/b.bin', offset: 64, length: 8 }],
    ]),
    nodes: [
      {
        op: 'FusedMatMul',
        domain: 'com.microsoft',
        name: 'mm',
        inputs: ['x', 'w'],
        outputs: ['h'],
        attributes: { alpha: { kind: 'float', value: 0.5 }, transB: { kind: 'int', value: 0 } },
      },
      {
        op: 'If',
        domain: '',
        name: 'if',
        inputs: ['flag'],
        outputs: ['y'],
        attributes: Object.fromEntries(
          ['then_branch', 'else_branch'].map((branch) => [
            branch,
            {
              kind: 'graph' as const,
              value: {
                name: branch,
                inputs: [],
                outputs: [{ name: `${branch}_y`, dtype: 'f32' as const, shape: undefined }],
                initializers: new Map(),
                nodes: [
                  {
                    op: 'Add',
                    domain: '',
                    name: '',
                    inputs: ['h', 'far'],
                    outputs: [`${branch}_y`],
                    attributes: {},
                  },
                ],
              },
            },
          ]),
        ),
      },
    ],
  },
};

describe('round trip', () => {
  test('decode(encode(model)) is the model', () => {
    fc.assert(
      fc.property(model, (original) => {
        const bytes = encodeModel(original);
        expect(decodeModel(bytes)).toEqual(original);
      }),
      { numRuns: 300 },
    );
  });

  test('of a model that passes the checker', () => {
    checkModel(sample);
    expect(decodeModel(encodeModel(sample))).toEqual(sample);
  });
});

describe('hostile bytes', () => {
  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        checkSafely(decodeSafely(bytes));
        try {
          readTensorFile(bytes);
        } catch (error) {
          expect((error as AnyformerError).code).toMatch(/^(onnx)\//);
        }
      }),
      { numRuns: 3000 },
    );
  });

  const valid = encodeModel(sample);
  test('every truncation is refused or harmless', () => {
    for (let length = 0; length < valid.length; length++) {
      checkSafely(decodeSafely(valid.subarray(0, length)));
    }
  });

  test('every byte set to telling values', () => {
    for (let at = 0; at < valid.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff, valid[at] ^ 1, valid[at] + 8]) {
        const bytes = valid.slice();
        bytes[at] = value;
        checkSafely(decodeSafely(bytes));
      }
    }
  });

  test('several mutations, insertions and repetitions of arbitrary models', () => {
    const edit = fc.record({
      at: fc.nat(),
      drop: fc.integer({ min: 0, max: 6 }),
      insert: fc.uint8Array({ maxLength: 6 }),
    });
    fc.assert(
      fc.property(model, fc.array(edit, { minLength: 1, maxLength: 5 }), (original, edits) => {
        let bytes: Uint8Array = encodeModel(original);
        for (const { at, drop, insert } of edits) {
          const start = at % (bytes.length + 1);
          bytes = Uint8Array.from([
            ...bytes.subarray(0, start),
            ...insert,
            ...bytes.subarray(start + drop),
          ]);
        }
        checkSafely(decodeSafely(bytes));
      }),
      { numRuns: 800 },
    );
  });
});
