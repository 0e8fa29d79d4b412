// Each rule of the checker, broken once in a small model that otherwise passes.
import { describe, expect, test } from 'vitest';
import { fromNumbers, zerosOf } from '../tensor/array.js';
import { AnyformerError } from '../tensor/error.js';
import { checkModel } from './check.js';
import type { Initializer, OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from './model.js';
import { extendOps, knownOps } from './ops.js';

const node = (
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, OnnxAttribute> = {},
  domain = '',
): OnnxNode => ({ op, domain, name: '', inputs, outputs, attributes });

const graphOf = (parts: Partial<OnnxGraph>): OnnxGraph => ({
  name: 'g',
  nodes: [],
  inputs: [],
  outputs: [],
  initializers: new Map(),
  ...parts,
});

/** x [n, 4] and flag are inputs, w [4, 2] a weight; `nodes` may end in `y`, an output if defined. */
function modelOf(nodes: OnnxNode[], change: Partial<OnnxGraph> = {}): OnnxModel {
  const made = nodes.some(({ outputs }) => outputs.includes('y'));
  return {
    irVersion: 10,
    opsets: { '': 21, 'com.microsoft': 1 },
    producer: { name: '', version: '' },
    metadata: {},
    graph: graphOf({
      inputs: [
        { name: 'x', dtype: 'f32', shape: ['n', 4] },
        { name: 'flag', dtype: 'bool', shape: [] },
        { name: 'ids', dtype: 'i64', shape: ['n'] },
      ],
      outputs: made ? [{ name: 'y', dtype: 'f32', shape: ['n', 2] }] : [],
      initializers: new Map<string, Initializer>([['w', zerosOf('f32', [4, 2])]]),
      nodes,
      ...change,
    }),
  };
}

function problem(model: OnnxModel, known = knownOps()): AnyformerError | undefined {
  try {
    checkModel(model, { known });
    return undefined;
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
}
const code = (nodes: OnnxNode[], change?: Partial<OnnxGraph>) =>
  problem(modelOf(nodes, change))?.code;

describe('a sound model passes', () => {
  test.each<[string, OnnxNode[]]>([
    ['matmul', [node('MatMul', ['x', 'w'], ['y'])]],
    ['a chain', [node('MatMul', ['x', 'w'], ['h']), node('Relu', ['h'], ['y'])]],
    ['an omitted optional input', [node('Clip', ['x', '', 'high'], ['c'])]],
    ['an omitted output', [node('Dropout', ['x'], ['d', ''])]],
    ['contributed ops', [node('FusedMatMul', ['x', 'w'], ['y'], {}, 'com.microsoft')]],
  ])('%s', (_, nodes) => {
    const high: [string, Initializer] = ['high', fromNumbers('f32', [], [1])];
    const model = modelOf(nodes);
    model.graph.initializers.set(...high);
    expect(problem(model)).toBeUndefined();
  });
});

describe('names', () => {
  test('an input must be defined before its use; the error names node, value and neighbours', () => {
    const nodes = [node('Relu', ['h'], ['y']), node('MatMul', ['x', 'w'], ['h'])];
    const error = problem(modelOf(nodes));
    expect(error?.code).toBe('onnx/undefined');
    expect(error?.what).toContain('node 0 ("Relu"');
    expect(error?.what).toContain('"h"');
    expect(problem(modelOf([node('Relu', ['flags'], ['y'])]))?.hint).toContain('"flag"');
  });

  test('single assignment', () => {
    expect(code([node('Relu', ['x'], ['x'])])).toBe('onnx/duplicate');
    expect(code([node('Relu', ['x'], ['w'])])).toBe('onnx/duplicate');
    expect(code([node('Relu', ['x'], ['a']), node('Abs', ['x'], ['a'])])).toBe('onnx/duplicate');
    expect(code([node('Split', ['x'], ['a', 'a'])])).toBe('onnx/duplicate');
    const input = { name: 'x', dtype: 'f32' as const, shape: [] };
    expect(code([], { inputs: [input, input] })).toBe('onnx/duplicate');
    const twins = ['a', 'b'].map((out) => ({ ...node('Relu', ['x'], [out]), name: 'same' }));
    expect(code(twins)).toBe('onnx/duplicate');
  });

  test('outputs must be computed in this graph, once', () => {
    const y = { name: 'y', dtype: 'f32' as const, shape: [] };
    expect(code([], { outputs: [y] })).toBe('onnx/undefined');
    expect(code([node('Relu', ['x'], ['y'])], { outputs: [y, y] })).toBe('onnx/duplicate');
  });

  test('names must not be empty', () => {
    const inputs = [{ name: '', dtype: 'f32' as const, shape: [] }];
    expect(code([], { inputs })).toBe('onnx/name');
    expect(code([], { initializers: new Map([['', zerosOf('f32', [])]]) })).toBe('onnx/name');
  });
});

describe('operators', () => {
  test('unknown ones are refused with the nearest names', () => {
    const error = problem(modelOf([node('Softmaks', ['x'], ['a'])]));
    expect(error?.code).toBe('onnx/unknown-op');
    expect(error?.hint).toContain('Softmax');
    expect(code([node('constructor', ['x'], ['a'])])).toBe('onnx/unknown-op');
    const more = new Map([
      ['', new Map([['Softmaks', { inputs: [1, 1], outputs: [1, 1] } as const]])],
    ]);
    const known = extendOps(knownOps(), more);
    expect(problem(modelOf([node('Softmaks', ['x'], ['a'])]), known)).toBeUndefined();
    expect(problem(modelOf([node('Softmax', ['x'], ['a'])]), known)).toBeUndefined();
  });

  test('their domain must be imported', () => {
    expect(code([node('Relu', ['x'], ['a'], {}, 'elsewhere')])).toBe('onnx/opset');
    expect(code([node('Relu', ['x'], ['a'], {}, 'constructor')])).toBe('onnx/opset');
    const model = modelOf([]);
    expect(problem({ ...model, opsets: { '': 0 } })?.code).toBe('onnx/opset');
    expect(problem({ ...model, irVersion: 99 })?.code).toBe('onnx/ir-version');
  });

  test('they need their inputs and outputs', () => {
    expect(code([node('MatMul', ['x'], ['a'])])).toBe('onnx/arity');
    expect(code([node('MatMul', ['x', 'w', 'w'], ['a'])])).toBe('onnx/arity');
    expect(code([node('MatMul', ['x', ''], ['a'])])).toBe('onnx/arity');
    expect(code([node('MatMul', ['x', 'w'], ['a', 'b'])])).toBe('onnx/arity');
    expect(code([node('MatMul', ['x', 'w'], [])])).toBe('onnx/arity');
    expect(code([node('Concat', [], ['a'], { axis: { kind: 'int', value: 0 } })])).toBe(
      'onnx/arity',
    );
  });
});

describe('types', () => {
  test('are followed through the graph', () => {
    expect(code([node('Add', ['x', 'ids'], ['a'])])).toBe('onnx/type');
    expect(code([node('Add', ['x', 'flag'], ['a'])])).toBe('onnx/type');
    const cast = node('Cast', ['ids'], ['f'], { to: { kind: 'int', value: 1 } });
    expect(code([cast, node('Add', ['x', 'f'], ['y'])])).toBeUndefined();
    expect(code([node('Shape', ['x'], ['s']), node('Add', ['s', 'x'], ['a'])])).toBe('onnx/type');
    expect(code([node('Where', ['x', 'x', 'x'], ['a'])])).toBe('onnx/type');
    expect(code([node('And', ['x', 'flag'], ['a'])])).toBe('onnx/type');
    expect(code([node('Softmax', ['ids'], ['a'])])).toBe('onnx/type');
    expect(code([node('Gather', ['w', 'x'], ['a'])])).toBe('onnx/type');
    expect(code([node('Gather', ['w', 'ids'], ['a'])])).toBeUndefined();
    expect(code([node('Less', ['x', 'x'], ['b']), node('Not', ['b'], ['c'])])).toBeUndefined();
  });

  test('declared outputs must have the computed type', () => {
    const error = problem(modelOf([node('Shape', ['x'], ['y'])]));
    expect(error?.code).toBe('onnx/type');
    expect(error).toMatchObject({ expected: 'i64', found: 'f32' });
  });
});

describe('attributes', () => {
  const graph: OnnxAttribute = { kind: 'graph', value: graphOf({}) };
  test.each<[string, OnnxNode]>([
    ['perm', node('Transpose', ['x'], ['a'], { perm: { kind: 'ints', value: [1, 1] } })],
    ['axis', node('Softmax', ['x'], ['a'], { axis: { kind: 'float', value: 1 } })],
    ['to', node('Cast', ['x'], ['a'], { to: { kind: 'int', value: 99 } })],
    ['no to', node('Cast', ['x'], ['a'])],
    ['constant', node('Constant', [], ['a'])],
    ['a graph nobody runs', node('Relu', ['x'], ['a'], { body: graph })],
    ['missing branches', node('If', ['flag'], ['a'])],
  ])('%s', (_, bad) => {
    expect(code([bad])).toBe('onnx/attribute');
  });
});

describe('inner graphs', () => {
  const branch = (name: string, nodes: OnnxNode[], output = `${name}_y`): OnnxAttribute => ({
    kind: 'graph',
    value: graphOf({ nodes, outputs: [{ name: output, dtype: undefined, shape: undefined }] }),
  });
  const condition = (then_branch: OnnxAttribute, else_branch: OnnxAttribute) =>
    node('If', ['flag'], ['y'], { then_branch, else_branch });
  const good = (name: string) => branch(name, [node('MatMul', ['x', 'w'], [`${name}_y`])]);

  test('see the values around them, and only the earlier ones', () => {
    expect(code([condition(good('a'), good('b'))])).toBeUndefined();
    const late = branch('a', [node('Relu', ['later'], ['a_y'])]);
    const nodes = [condition(late, good('b')), node('Relu', ['x'], ['later'])];
    expect(code(nodes)).toBe('onnx/undefined');
  });

  test('keep their own names to themselves, and do not hide others', () => {
    const leak = [condition(good('a'), good('b')), node('Relu', ['a_y'], ['z'])];
    expect(code(leak)).toBe('onnx/undefined');
    const hiding = branch('a', [node('Relu', ['x'], ['w'])], 'w');
    expect(code([condition(hiding, good('b'))])).toBe('onnx/duplicate');
    // Two branches may use the same names.
    expect(code([condition(good('a'), good('a'))])).toBeUndefined();
  });

  test('must compute their outputs themselves, in the right number', () => {
    expect(code([condition(branch('a', [], 'x'), good('b'))])).toBe('onnx/undefined');
    const none: OnnxAttribute = { kind: 'graph', value: graphOf({}) };
    expect(code([condition(good('a'), none)])).toBe('onnx/arity');
  });
});

describe('initializers', () => {
  const weight = (initializer: Initializer) =>
    code([], { initializers: new Map([['w', initializer]]) });
  test('are of the size that they say', () => {
    const external = { dtype: 'f32' as const, shape: [2], location: 'w', offset: 0, length: 8 };
    expect(weight(external)).toBeUndefined();
    expect(weight({ ...external, length: 9 })).toBe('onnx/tensor-size');
    expect(weight({ ...external, offset: -1 })).toBe('onnx/external');
    expect(weight({ ...external, location: '../w' })).toBe('onnx/location');
    expect(weight({ ...external, shape: [2 ** 40, 2 ** 40, 0], length: 0 })).toBe('onnx/shape');
    expect(weight({ ...external, shape: [-2] })).toBe('onnx/shape');
    expect(weight({ ...zerosOf('f32', [2]), shape: [3] })).toBe('onnx/tensor-size');
    expect(weight({ ...zerosOf('f32', [2]), dtype: 'f64' })).toBe('onnx/tensor-size');
  });

  test('that give an input its default must agree with it', () => {
    const inputs = [{ name: 'w', dtype: 'f32' as const, shape: ['n', 2] }];
    const given = (initializer: Initializer) =>
      code([], { inputs, initializers: new Map([['w', initializer]]) });
    expect(given(zerosOf('f32', [4, 2]))).toBeUndefined();
    expect(given(zerosOf('f32', [4, 3]))).toBe('onnx/type');
    expect(given(zerosOf('f64', [4, 2]))).toBe('onnx/type');
  });
});

test('absurdly long lists and names cost no more than their length', () => {
  const start = performance.now();
  const perm: OnnxAttribute = { kind: 'ints', value: Array.from({ length: 1e6 }, (_, i) => i) };
  expect(code([node('Transpose', ['x'], ['a'], { perm })])).toBe('onnx/attribute');
  const long = 'x'.repeat(1e6);
  expect(code([node('Relu', [long], ['a'])])).toBe('onnx/undefined');
  expect(code([node(long, ['x'], ['a'])])).toBe('onnx/unknown-op');
  const names = Array.from({ length: 50_000 }, (_, i) => `v${i}`);
  const change = {
    inputs: names.map((name) => ({ name, dtype: 'f32' as const, shape: [] })),
    initializers: new Map<string, Initializer>(names.map((name) => [name, zerosOf('f32', [])])),
  };
  expect(code([], change)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(2000);
  expect(problem(modelOf([node('Relu', [long], ['a'])]))?.message.length).toBeLessThan(1000);
});

test('a wide graph with many inner graphs is checked in linear time', () => {
  const inner = (): OnnxAttribute => ({
    kind: 'graph',
    value: graphOf({
      nodes: [node('Relu', ['x'], ['r'])],
      outputs: [{ name: 'r', dtype: 'f32', shape: undefined }],
    }),
  });
  const nodes = Array.from({ length: 20_000 }, (_, i) =>
    node('If', ['flag'], [`v${i}`], { then_branch: inner(), else_branch: inner() }),
  );
  const start = performance.now();
  expect(code(nodes)).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(3000);
});
