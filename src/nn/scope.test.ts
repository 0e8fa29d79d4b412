// Scope: names, what the checkpoint must hold, derived parameters, matrices, tags.
import { describe, expect, it } from 'vitest';
import { frozen } from '../../tests/support/frozen.js';
import {
  AnyformerError,
  castArray,
  type DType,
  fromNumbers,
  graph,
  input,
  interpret,
  patch,
  tap,
  toNumbers,
} from '../tensor/index.js';
import { linear } from './linear.js';
import { Scope, type TensorInfo } from './scope.js';

const holding = (tensors: Readonly<Record<string, TensorInfo>>, strict = true): Scope =>
  Scope.root({
    strict,
    type: (name) => (Object.hasOwn(tensors, name) ? tensors[name] : undefined),
  });

const failure = (run: () => unknown): AnyformerError => {
  try {
    run();
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
  throw new AnyformerError('test/none', { what: 'nothing was thrown' });
};

it('joins names and numbers into the names that checkpoints use', () => {
  const root = Scope.root();
  expect(root.path).toBe('');
  expect(root.name('weight')).toBe('weight');
  expect(root.at('h', 0, 'attn').at('c_proj').name('weight')).toBe('h.0.attn.c_proj.weight');
  expect(root.at('model.layers').at(3).path).toBe('model.layers.3');
  expect(root.at().path).toBe('');
});

describe('what the checkpoint must hold', () => {
  it('names every tensor that is missing or has another shape, all at once', () => {
    const s = holding({
      'a.weight': { dtype: 'f32', shape: [2, 3] },
      'b.weight': { dtype: 'f32', shape: [3, 2] },
      'c.weight': { dtype: 'i32', shape: [2] },
    });
    s.at('a').parameter('weight', [2, 3]);
    s.at('b').parameter('weight', [2, 3]);
    s.at('c').parameter('weight', [2]);
    s.at('d').parameter('weight', [4]);
    s.at('d').parameter('weight', [4]); // tied: named once
    const error = failure(() => s.check());
    expect(error.code).toBe('nn/shape');
    expect(error.found).toMatch(/^3 /);
    for (const part of [
      "'b.weight'",
      'f32[2, 3]',
      'f32[3, 2]',
      "'c.weight'",
      'i32[2]',
      "'d.weight'",
    ]) {
      expect(error.message).toContain(part);
    }
    expect(error.message).not.toContain("'a.weight'");
  });

  it('throws a single problem as it is', () => {
    const s = holding({});
    s.parameter('weight', [4]);
    expect(failure(() => s.check())).toMatchObject({ code: 'nn/missing', expected: 'f32[4]' });
  });

  it('lets a model be built without a checkpoint', () => {
    const s = holding({}, false);
    s.parameter('weight', [4], { init: { kind: 'ones' } });
    s.check();
    expect(s.declarations.stored.get('weight')).toMatchObject({ init: { kind: 'ones' } });
  });

  it.each(['f16', 'bf16', 'f64'] as DType[])(
    'takes floats stored as %s, converted at load',
    (dtype) => {
      const s = holding({ 'm.weight': { dtype, shape: [2, 2] } });
      const g = graph({ y: linear(s.at('m'), input('x', 'f32', ['n', 2]), 2) });
      s.check();
      const weight = fromNumbers(dtype, [2, 2], [1, 0.5, -2, 3]);
      const parameters = frozen(g, s.declarations, new Map([['m.weight', weight]]));
      expect(parameters.get('m.weight')?.dtype).toBe('f32');
      const x = fromNumbers('f32', [1, 2], [1, 10]);
      const { outputs } = interpret(g, { x }, parameters);
      expect([...toNumbers(outputs.get('y') ?? x)]).toEqual([6, 28]);
    },
  );

  it('refuses integers for floats and floats for integers', () => {
    for (const [stored, wanted] of [
      ['i8', 'f32'],
      ['f32', 'i8'],
      ['u8', 'i8'],
    ] as DType[][]) {
      const s = holding({ w: { dtype: stored, shape: [2] } });
      s.store('w', { dtype: wanted, shape: [2] });
      expect(failure(() => s.check()).code).toBe('nn/shape');
    }
  });

  it('refuses one name in two shapes or types', () => {
    const s = Scope.root();
    s.store('w', { dtype: 'f32', shape: [2] });
    s.store('w', { dtype: 'f32', shape: [2] });
    expect(failure(() => s.store('w', { dtype: 'f32', shape: [3] })).code).toBe('nn/shape');
    expect(failure(() => s.store('w', { dtype: 'u8', shape: [2] })).code).toBe('nn/shape');
  });
});

it('computes derived parameters from stored tensors', () => {
  const s = Scope.root().at('m');
  const stored = s.store('codes', { dtype: 'i8', shape: [3] });
  const twice = s.derived(
    'twice',
    { dtype: 'f32', shape: [3] },
    {
      from: [stored],
      compute: ([codes]) =>
        fromNumbers(
          'f32',
          [3],
          toNumbers(codes).map((v) => 2 * v),
        ),
    },
  );
  const g = graph({ y: twice.add(input('x', 'f32', [3])) });
  expect([...g.parameters.keys()]).toEqual(['m.twice']);
  expect([...s.declarations.stored.keys()]).toEqual(['m.codes']);
  const codes = fromNumbers('i8', [3], [-1, 0, 7]);
  const parameters = frozen(g, s.declarations, new Map([['m.codes', codes]]));
  const x = fromNumbers('f32', [3], [0, 0, 1]);
  expect([...toNumbers(interpret(g, { x }, parameters).outputs.get('y') ?? x)]).toEqual([
    -2, 0, 15,
  ]);
});

it('lists matrices by path, with their size, format and roles', () => {
  const s = Scope.root({
    format: (path) => (path === 'b' ? { format: 'fp4', element: 'E2M1' } : undefined),
  });
  s.at('a').matrix('product', { rows: 4, columns: 8 });
  s.at('b').matrix('lookup', { rows: 9, columns: 8 });
  s.at('b').matrix('product', { rows: 9, columns: 8 });
  const [a, b] = [...s.declarations.matrices.values()];
  expect(a).toMatchObject({ path: 'a', rows: 4, columns: 8, format: { format: 'dense' } });
  expect([...a.roles]).toEqual(['product']);
  expect(b).toMatchObject({ path: 'b', rows: 9, format: { format: 'fp4', element: 'E2M1' } });
  expect([...b.roles].sort()).toEqual(['lookup', 'product']);
});

it('tags module results and inner activations, for tap and patch', () => {
  const s = Scope.root();
  const x = input('x', 'f32', ['n', 2]);
  const y = s.at('h', 0).module('outer', (outer) => outer.tag('inner', x.mul(2)).add(1));
  const g = graph({ y });
  expect([...g.tags.keys()]).toEqual(['h.0.inner', 'h.0']);
  const feeds = { x: fromNumbers('f32', [1, 2], [1, 2]) };
  const read = (target: typeof g) => [
    ...toNumbers(castArray(interpret(target, feeds).outputs.get('y') ?? feeds.x, 'f64')),
  ];
  expect(read(graph({ y: tap(g, 'h.0.inner') }))).toEqual([2, 4]);
  expect(read(patch(g, { 'h.0.inner': (v) => v.mul(10) }))).toEqual([21, 41]);
});

describe('bodies with and without a prefix', () => {
  const has = (...names: string[]) =>
    Scope.root({
      type: (name) => (names.includes(name) ? { dtype: 'f32', shape: [2] } : undefined),
    });

  it.each([
    [['body.ln_f.weight'], 'body'],
    [['ln_f.weight'], ''],
    [['ln_f.weight', 'body.ln_f.weight'], 'body'],
    [['other.weight'], 'body'],
    [[], 'body'],
  ])('with %j the body is at %j', (names, path) => {
    expect(has(...names).firstWith('ln_f.weight', ['body', '']).path).toBe(path);
  });

  it('looks below its own path', () => {
    const s = has('model.decoder.ln.weight').at('model');
    expect(s.firstWith('ln.weight', ['', 'decoder']).path).toBe('model.decoder');
  });
});
