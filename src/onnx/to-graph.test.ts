// The importer on what PyTorch's exporter writes: shapes computed by nodes, module paths in node
// names, anonymous weights, If. What our writer writes comes back in tests/onnx-round-trip.test.ts;
// ONNX's own test models run through the importer in tests/onnx-testdata.test.ts.
import { describe, expect, it } from 'vitest';
import {
  AnyformerError,
  type DType,
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  type NDArray,
  toNumbers,
} from '../tensor/index.js';
import { toOnnx } from './from-graph.js';
import type { Initializer, OnnxGraph, OnnxModel, OnnxNode, ValueInfo } from './model.js';
import { type FromOnnxOptions, fromOnnx } from './to-graph.js';

const f32 = (shape: readonly number[], values: readonly number[]) =>
  fromNumbers('f32', shape, values);
const i64 = (shape: readonly number[], values: readonly number[]) =>
  fromNumbers('i64', shape, values);

/** Numbers that differ from their neighbours, between -2 and 2; whole ones for integer types. */
function randomArray(dtype: DType, shape: readonly number[], seed: number): NDArray {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, (_, i) => 2 * Math.sin(seed + 0.7 * i));
  return fromNumbers(dtype, shape, dtype === 'f32' ? values : values.map((v) => Math.floor(2 + v)));
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < found.length; i++) {
    expect(Math.abs(found[i] - expected[i])).toBeLessThanOrEqual(tolerance);
  }
}

let counter = 0;
const node = (
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: OnnxNode['attributes'] = {},
  name = `node_${counter++}`,
): OnnxNode => ({ op, domain: '', name, inputs, outputs, attributes });

const ints = (...value: number[]) => ({ kind: 'ints' as const, value });
const int = (value: number) => ({ kind: 'int' as const, value });
const info = (name: string, dtype: ValueInfo['dtype'], shape: ValueInfo['shape']): ValueInfo => ({
  name,
  dtype,
  shape,
});

const model = (
  parts: Partial<OnnxGraph> & Pick<OnnxGraph, 'nodes' | 'inputs'>,
  outputs: readonly string[],
  opset = 14,
): OnnxModel => ({
  irVersion: 8,
  opsets: { '': opset, 'com.microsoft': 1 },
  producer: { name: 'pytorch', version: '2.5' },
  metadata: {},
  graph: {
    name: 'main',
    outputs: outputs.map((name) => info(name, undefined, undefined)),
    initializers: new Map(),
    ...parts,
  },
});

const shapesOf = (g: Graph) =>
  Object.fromEntries([...g.outputs].map(([name, { shape }]) => [name, shape.map(String)]));

/** x [batch, seq, 6] -> heads [batch, 2, seq, 3] -> back, every shape computed from Shape(x). */
const attentionShapes = () =>
  model(
    {
      inputs: [
        info('x', 'f32', ['batch_size', 'past + seq', 6]),
        info('p', 'f32', ['past', 'seq']),
      ],
      initializers: new Map<string, Initializer>([
        ['zero', i64([], [0])],
        ['one', i64([], [1])],
        ['two', i64([1], [2])],
        ['minus', i64([1], [-1])],
        ['axis', i64([1], [0])],
        ['onnx::MatMul_7', randomArray('f32', [6, 6], 3)],
        ['layers.0.self_attn.q_proj.bias', randomArray('f32', [6], 4)],
      ]),
      nodes: [
        node('MatMul', ['x', 'onnx::MatMul_7'], ['mm'], {}, '/layers.0/self_attn/q_proj/MatMul'),
        node(
          'Add',
          ['layers.0.self_attn.q_proj.bias', 'mm'],
          ['q'],
          {},
          '/layers.0/self_attn/q_proj/Add',
        ),
        node('Shape', ['q'], ['shape'], {}, '/layers.0/self_attn/Shape'),
        node(
          'Gather',
          ['shape', 'zero'],
          ['batch'],
          { axis: int(0) },
          '/layers.0/self_attn/Gather',
        ),
        node(
          'Gather',
          ['shape', 'one'],
          ['length'],
          { axis: int(0) },
          '/layers.0/self_attn/Gather_1',
        ),
        node('Unsqueeze', ['batch', 'axis'], ['batch1'], {}, '/layers.0/self_attn/Unsqueeze'),
        node('Unsqueeze', ['length', 'axis'], ['length1'], {}, '/layers.0/self_attn/Unsqueeze_1'),
        node(
          'Concat',
          ['batch1', 'length1', 'two', 'minus'],
          ['heads'],
          { axis: int(0) },
          '/layers.0/self_attn/Concat',
        ),
        node('Reshape', ['q', 'heads'], ['split'], {}, '/layers.0/self_attn/Reshape'),
        node(
          'Transpose',
          ['split'],
          ['swapped'],
          { perm: ints(0, 2, 1, 3) },
          '/layers.0/self_attn/Transpose',
        ),
        node('Tanh', ['swapped'], ['attended'], {}, '/layers.0/self_attn/Tanh'),
        node('Mul', ['batch', 'length'], ['rows'], {}, '/Mul'),
        node('Unsqueeze', ['rows', 'axis'], ['rows1'], {}, '/Unsqueeze'),
        node('Concat', ['rows1', 'minus'], ['flat'], { axis: int(0) }, '/Concat'),
        node('Reshape', ['attended', 'flat'], ['y'], {}, '/Reshape'),
        node('Range', ['zero', 'length', 'one'], ['positions'], {}, '/Range'),
        node('Cast', ['length'], ['scale'], { to: int(1) }, '/Cast'),
        node('Mul', ['attended', 'scale'], ['scaled'], {}, '/Mul_1'),
        node('Identity', ['p'], ['q_out'], {}, '/Identity'),
      ],
    },
    ['y', 'positions', 'scaled', 'split', 'q_out'],
  );

describe('what exporters write', () => {
  it('shapes computed by nodes become symbolic sizes', () => {
    const { graph: g, parameters } = fromOnnx(attentionShapes());
    expect(shapesOf(g)).toEqual({
      y: ['batch_size*past + batch_size*seq', '6'],
      positions: ['past + seq'],
      scaled: ['batch_size', '2', 'past + seq', '3'],
      split: ['batch_size', 'past + seq', '2', '3'],
      q_out: ['past', 'seq'],
    });
    const rows = new Set(g.nodes.map(({ row }) => row.name));
    expect([...rows].filter((name) => name === 'gather' || name === 'concat')).toEqual([]);
    for (const [past, seq] of [
      [2, 3],
      [0, 1],
    ]) {
      const x = randomArray('f32', [2, past + seq, 6], 1);
      const p = randomArray('f32', [past, seq], 2);
      const { outputs } = interpret(g, { x, p }, parameters);
      expect(outputs.get('positions')).toEqual(i64([past + seq], [...Array(past + seq).keys()]));
      expect(outputs.get('y')?.shape).toEqual([2 * (past + seq), 6]);
      // A size that is used as a number.
      const [scaled, y] = ['scaled', 'y'].map((name) => toNumbers(outputs.get(name) ?? x));
      expectClose(
        scaled,
        y.map((value) => value * (past + seq)),
        1e-6,
      );
    }
    expect(() =>
      interpret(
        g,
        { x: randomArray('f32', [2, 5, 6], 1), p: randomArray('f32', [2, 2], 2) },
        parameters,
      ),
    ).toThrow(AnyformerError);
  });

  it('names tell modules, their outputs and their weights', () => {
    const { graph: g, parameters, readers } = fromOnnx(attentionShapes());
    expect([...g.tags.keys()].sort()).toEqual([
      'layers',
      'layers.0',
      'layers.0.self_attn',
      'layers.0.self_attn.q_proj',
    ]);
    expect(String(g.tags.get('layers.0.self_attn.q_proj')?.node.inputs[0].node.row.name)).toBe(
      'add',
    );
    expect([...parameters.keys()].sort()).toEqual([
      'layers.0.self_attn.q_proj.bias',
      'onnx::MatMul_7',
    ]);
    expect(readers.get('onnx::MatMul_7')).toBe('layers.0.self_attn.q_proj');
    expect(g.nodes.find(({ row }) => row.name === 'matmul')?.path).toBe(
      'layers.0.self_attn.q_proj',
    );
  });

  it('operations outside any module have no path', () => {
    const x = input('x', 'f32', [2, 3]);
    const bare = graph({ y: x.exp().add(1).tanh() });
    const nodes = toOnnx(bare).graph.nodes.map(({ name }) => name);
    expect(nodes.every((name) => name.startsWith('graph/'))).toBe(true);
    expect([...fromOnnx(toOnnx(bare)).graph.tags.keys()]).toEqual([]);
  });

  it('sizes can be fixed, renamed and must exist', () => {
    const { graph: g } = fromOnnx(attentionShapes(), { sizes: { past: 4, seq: 'length' } });
    expect(shapesOf(g).split).toEqual(['batch_size', 'length + 4', '2', '3']);
    expect(() => fromOnnx(attentionShapes(), { sizes: { sek: 4 } })).toThrow(/"seq"/);
  });

  it('sizes that are not names get some', () => {
    const odd = model(
      {
        inputs: [
          info('x', 'f32', ['p2o.Dim.0', '', 'n/2']),
          info('y', 'f32', ['p2o.Dim.0', 'unbound + 1', '7 up']),
        ],
        nodes: [node('Abs', ['x'], ['a']), node('Abs', ['y'], ['b'])],
      },
      ['a', 'b'],
    );
    expect(shapesOf(fromOnnx(odd).graph)).toEqual({
      a: ['p2o_Dim_0', 'x_1', 'n_2'],
      b: ['p2o_Dim_0', 'unbound_1', 'size_7_up'],
    });
  });

  it('the expanded mask of a -1 that stands for a size', () => {
    const expanded = model(
      {
        inputs: [info('x', 'f32', ['b', 1, 1, 's'])],
        initializers: new Map<string, Initializer>([
          ['minus', i64([4], [-1, -1, -1, -1])],
          ['ones', i64([4], [1, 1, 1, 1])],
          ['second', i64([1], [1])],
          ['from', i64([1], [0])],
        ]),
        nodes: [
          node('Shape', ['x'], ['shape']),
          node('Equal', ['shape', 'minus'], ['open']),
          node('Where', ['open', 'ones', 'shape'], ['target']),
          node('Expand', ['x', 'target'], ['y']),
          node('Slice', ['shape', 'from', 'second'], ['first']),
          node('ConstantOfShape', ['first'], ['zeros']),
          node('Size', ['x'], ['count']),
        ],
      },
      ['y', 'zeros', 'count'],
    );
    const { graph: g } = fromOnnx(expanded);
    expect(shapesOf(g)).toEqual({ y: ['b', '1', '1', 's'], zeros: ['b'], count: [] });
    const { outputs } = interpret(g, { x: f32([2, 1, 1, 3], [1, 2, 3, 4, 5, 6]) });
    expect(outputs.get('count')).toEqual(i64([], [6]));
  });

  it('an If whose condition is fixed is its branch', () => {
    const branch = (op: string): OnnxGraph => ({
      name: op,
      inputs: [],
      outputs: [info(`${op}_y`, 'f32', ['n'])],
      initializers: new Map<string, Initializer>([['w', f32([2], op === 'Add' ? [1, 2] : [3, 4])]]),
      nodes: [node(op, ['x', 'w'], [`${op}_y`], {}, `/decoder/${op}`)],
    });
    const both = model(
      {
        inputs: [info('x', 'f32', [2]), info('first', 'bool', [1])],
        nodes: [
          node('If', ['first'], ['y'], {
            then_branch: { kind: 'graph', value: branch('Add') },
            else_branch: { kind: 'graph', value: branch('Mul') },
          }),
        ],
      },
      ['y'],
    );
    for (const [flag, values] of [
      [1, [6, 7]],
      [0, [15, 20]],
    ] as const) {
      const { graph: g, parameters } = fromOnnx(both, {
        inputs: { first: fromNumbers('bool', [1], [flag]) },
      });
      expect([...g.inputs.keys()]).toEqual(['x']);
      expect([...g.tags.keys()]).toEqual(['decoder']);
      const { outputs } = interpret(g, { x: f32([2], [5, 5]) }, parameters);
      expect(outputs.get('y')).toEqual(f32([2], values));
    }
    expect(() => fromOnnx(both)).toThrow(/options\.inputs/);
  });

  it('attributes that became inputs, in both forms', () => {
    const x = info('x', 'f32', [2, 3]);
    const old = model(
      {
        inputs: [x],
        nodes: [
          node('Unsqueeze', ['x'], ['u'], { axes: ints(0) }),
          node('Softmax', ['u'], ['y'], { axis: int(1) }),
        ],
      },
      ['y'],
      11,
    );
    const array = f32([2, 3], [1, 2, 3, 4, 5, 6]);
    const flat = interpret(fromOnnx(old).graph, { x: array }).outputs.get('y') ?? array;
    expect(flat.shape).toEqual([1, 2, 3]);
    // Before opset 13 the axes from 1 on are one: all six numbers share a sum of 1.
    expect(toNumbers(flat).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
    const fresh = model(
      {
        inputs: [x],
        initializers: new Map<string, Initializer>([['axes', i64([1], [0])]]),
        nodes: [
          node('Unsqueeze', ['x', 'axes'], ['u']),
          node('Softmax', ['u'], ['y'], { axis: int(1) }),
        ],
      },
      ['y'],
      13,
    );
    const along = interpret(fromOnnx(fresh).graph, { x: array }).outputs.get('y') ?? array;
    expect(toNumbers(along).reduce((a, b) => a + b, 0)).toBeCloseTo(3, 6);
  });

  it('weights are parameters, shapes and single numbers are not', () => {
    const mixed = model(
      {
        inputs: [info('x', 'f32', ['n', 4])],
        initializers: new Map<string, Initializer>([
          ['weight', randomArray('f32', [4, 4], 1)],
          ['unused', randomArray('f32', [4, 4], 1)],
          ['onnx::Div_3', f32([], [2])],
          ['logit_scale', f32([], [3])],
          ['target', i64([2], [-1, 2])],
          ['table', randomArray('i64', [2000], 5)],
          ['codes', randomArray('u8', [4], 5)],
        ]),
        nodes: [
          node('Constant', [], ['w2'], {
            value: { kind: 'tensor', value: randomArray('f32', [4, 4], 2) },
          }),
          node('MatMul', ['x', 'weight'], ['a']),
          node('MatMul', ['a', 'w2'], ['b']),
          node('Div', ['b', 'onnx::Div_3'], ['c']),
          node('Mul', ['c', 'logit_scale'], ['d']),
          node('Reshape', ['d', 'target'], ['y']),
          node('Identity', ['table'], ['t']),
          node('Identity', ['codes'], ['k']),
        ],
      },
      ['y', 't', 'k'],
    );
    const { graph: g, parameters } = fromOnnx(mixed);
    const names = ['codes', 'logit_scale', 'table', 'w2', 'weight'];
    expect([...parameters.keys()].sort()).toEqual(names);
    expect([...g.parameters.keys()].sort()).toEqual(names);
    expect(shapesOf(g).y).toEqual(['2*n', '2']);
  });
});

describe('what cannot be imported', () => {
  const refusal = (parts: Parameters<typeof model>, options: FromOnnxOptions = {}) => {
    try {
      fromOnnx(model(...parts), options);
    } catch (error) {
      if (error instanceof AnyformerError) return error;
      throw error;
    }
    return expect.fail('it was imported');
  };
  const x = info('x', 'f32', ['n', 4]);
  const one = (made: OnnxNode, inputs = [x]) => refusal([{ inputs, nodes: [made] }, made.outputs]);

  it('an unknown operator, with what comes near', () => {
    const error = one(node('Softmaks', ['x'], ['y'], {}, '/head/Softmaks'));
    expect(error.code).toBe('onnx/import');
    expect(error.what).toContain('/head/Softmaks');
    expect(error.expected).toContain('Softmax');
  });

  it('an operator of another domain', () => {
    const foreign = { ...node('Fused', ['x'], ['y']), domain: 'ai.example' };
    expect(one(foreign)).toMatchObject({ code: 'onnx/import', found: 'ai.example.Fused' });
    expect(one(node('constructor', ['x'], ['y'])).code).toBe('onnx/import');
  });

  it('attributes that nobody reads', () => {
    const error = one(node('Tanh', ['x'], ['y'], { power: int(2) }, 't'));
    expect(error).toMatchObject({ code: 'onnx/import', found: '"power"' });
    expect(error.what).toContain('"t" (Tanh)');
  });

  it('shapes that depend on data', () => {
    const error = one(node('Reshape', ['x', 's'], ['y']), [x, info('s', 'i64', [2])]);
    expect(error.code).toBe('onnx/import');
    expect(error.hint).toContain('options.inputs');
    const options = { inputs: { s: i64([2], [2, -1]) } };
    const parts = {
      inputs: [x, info('s', 'i64', [2])],
      nodes: [node('Reshape', ['x', 's'], ['y'])],
    };
    expect(shapesOf(fromOnnx(model(parts, ['y']), options).graph).y).toEqual(['2', '2*n']);
  });

  it('operands that do not fit, with the way out', () => {
    const error = one(node('Add', ['x', 'y'], ['z'], {}, 'plus'), [x, info('y', 'f32', ['m', 4])]);
    expect(error.what).toContain('"plus" (Add)');
    expect(error.hint).toContain('options.sizes');
    const parts = {
      inputs: [x, info('y', 'f32', ['m', 4])],
      nodes: [node('Add', ['x', 'y'], ['z'])],
    };
    expect(shapesOf(fromOnnx(model(parts, ['z']), { sizes: { m: 'n' } }).graph).z).toEqual([
      'n',
      '4',
    ]);
  });

  it('inputs that are no tensors, weights elsewhere, unknown fixed inputs', () => {
    expect(one(node('Abs', ['x'], ['y']), [info('x', 'string', [1])]).code).toBe('onnx/import');
    expect(one(node('Abs', ['x'], ['y']), [info('x', 'f32', undefined)]).code).toBe('onnx/import');
    const external = {
      dtype: 'f32',
      shape: [4],
      location: 'w.bin',
      offset: 0,
      length: 16,
    } as const;
    const parts = {
      inputs: [x],
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializers: new Map<string, Initializer>([['w', external]]),
    };
    expect(refusal([parts, ['y']]).hint).toContain('loadExternal');
    const inputs = { z: f32([], [1]) };
    expect(refusal([{ inputs: [x], nodes: [] }, ['x']], { inputs }).found).toBe('"z"');
  });

  it('sizes and ranges that a file blows up cost nothing', () => {
    const squares = Array.from({ length: 30 }, (_, i) =>
      node('Mul', [`s${i}`, `s${i}`], [`s${i + 1}`]),
    );
    const parts = {
      inputs: [info('x', 'f32', ['(a+b)*'.repeat(40), 'b', 'c', 'd'])],
      initializers: new Map<string, Initializer>([
        ['zero', i64([], [0])],
        ['three', i64([], [3])],
        ['huge', i64([], [2 ** 50])],
        ['shape', i64([2], [2 ** 30, 2 ** 20])],
      ]),
      nodes: [
        node('Shape', ['x'], ['shape_x']),
        node('ReduceSum', ['shape_x'], ['s0'], { keepdims: int(0) }),
        ...squares,
        node('Range', ['zero', 'huge', 'three'], ['range']),
        node('ConstantOfShape', ['shape'], ['filled']),
      ],
    };
    const { graph: g } = fromOnnx(model(parts, ['s30', 'range', 'filled']));
    expect(shapesOf(g)).toEqual({
      s30: [],
      range: [`${Math.ceil(2 ** 50 / 3)}`],
      filled: [`${2 ** 30}`, `${2 ** 20}`],
    });
  });

  it('a division by 0 among constants is left to the run', () => {
    const parts = {
      inputs: [x],
      initializers: new Map<string, Initializer>([
        ['a', i64([], [1])],
        ['b', i64([], [0])],
      ]),
      nodes: [node('Div', ['a', 'b'], ['y'])],
    };
    const { graph: g } = fromOnnx(model(parts, ['y']));
    expect(() => interpret(g)).toThrow(/divided by 0/);
  });
});
