import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elements, expectClose, f32, range } from '../../tests/support/arrays.js';
import { randomGraphs } from '../../tests/support/random-graph.js';
import {
  build,
  constant,
  dim,
  fromNumbers,
  type Graph,
  graph,
  input,
  interpret,
  iota,
  type Node,
  parameter,
  patch,
  scalar,
  simplify,
  stripTags,
  type Tensor,
  tap,
  toNumbers,
} from './index.js';
import { defineOp } from './op.js';
import { attributeKey, concreteAttributes, fuseProducts, share } from './simplify.js';

const named = (g: Graph, name: string): Node[] => g.nodes.filter(({ row }) => row.name === name);
const names = (g: Graph): string[] => g.nodes.map(({ row }) => row.name);

describe('every rewrite keeps the values', () => {
  const rewrites = { simplify, stripTags, share, fuseProducts };
  it.each(Object.entries(rewrites))('%s', (_, rewritten) => {
    fc.assert(
      fc.property(randomGraphs({ updates: true }), ({ graph: g, feeds, parameters, sizes }) => {
        const before = interpret(g, feeds, parameters, sizes);
        const after = interpret(rewritten(g), feeds, parameters, sizes);
        for (const kind of ['outputs', 'updates'] as const) {
          expect([...after[kind].keys()]).toEqual([...before[kind].keys()]);
          for (const [name, value] of before[kind]) {
            const other = after[kind].get(name) ?? value;
            expect(other.shape).toEqual(value.shape);
            expect(other.dtype).toBe(value.dtype);
            expectClose(toNumbers(other), toNumbers(value), 1e-10, name);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('and simplifying twice is simplifying once', () => {
    fc.assert(
      fc.property(randomGraphs(), ({ graph: g }) => {
        const once = simplify(g);
        expect(simplify(once).nodes.length).toBe(once.nodes.length);
        expect(once.nodes.length).toBeLessThanOrEqual(g.nodes.length);
        expect(once.tags.size).toBe(0);
      }),
    );
  });

  it('random graphs reach most of the table', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(randomGraphs(), ({ graph: g }) => {
        for (const name of names(g)) seen.add(name);
      }),
      { numRuns: 300, seed: 7 },
    );
    expect(seen.size).toBeGreaterThan(35);
  });
});

describe('sharing', () => {
  const x = input('x', 'f32', ['n', 4]);

  it('makes one node of equal ones, however far they go', () => {
    const branch = () => x.mul(2).add(1).softmax(-1).tag('t');
    const g = graph({ a: branch().neg(), b: branch().exp() });
    expect(g.nodes).toHaveLength(15);
    const shared = share(stripTags(g));
    // x, 2, mul, 1, add, softmax, neg, exp
    expect(shared.nodes).toHaveLength(8);
  });

  it('keeps apart what differs in an attribute, an input, an order or a type', () => {
    const pairs: readonly (readonly [Tensor, Tensor])[] = [
      [x.sum(0), x.sum(1)],
      [x.sum(1), x.sum(1, true)],
      [x.sum(1), x.mean(1)],
      [x.sub(x.neg()), x.neg().sub(x)],
      [x.cast('f64'), x.cast('f16')],
      [x.pad(0, 0, 1, Number.NEGATIVE_INFINITY), x.pad(0, 0, 1, Number.POSITIVE_INFINITY)],
      [x.pad(0, 0, 1, Number.NaN), x.pad(0, 0, 1, Number.POSITIVE_INFINITY)],
      [x.clip(-1, Number.POSITIVE_INFINITY), x.clip(Number.NEGATIVE_INFINITY, 1)],
      [x.mul(0), x.mul(-0)],
      [x.mul(1), x.cast('f64').mul(1)],
      [iota('n'), iota('m')],
      [x.slice(1, 0, 2), x.slice(1, 1, 3)],
      [x.topK(2).values, x.topK(2, -1, false).values],
      [constant(f32([17], range(17))), constant(f32([17], range(17)))],
    ];
    for (const [a, b] of pairs) {
      const g = share(graph({ a, b }));
      expect(g.outputs.get('a'), String(a.node.row.name)).not.toBe(g.outputs.get('b'));
    }
  });

  it('shares equal small constants and one big array', () => {
    const big = f32([17], range(17));
    const a = concatenated(constant(big), constant(f32([2], [1, 2])));
    const b = concatenated(constant(big), constant(f32([2], [1, 2])));
    const g = share(graph({ a, b }));
    expect(g.outputs.get('a')).toBe(g.outputs.get('b'));
  });
  const concatenated = (p: Tensor, q: Tensor) => p.sum().add(q.sum());

  it('tells apart the outputs of one node', () => {
    const { values, indices } = x.topK(2);
    const g = share(graph({ a: values.neg(), b: indices.neg() }));
    expect(named(g, 'neg')).toHaveLength(2);
  });

  it('never merges rules given as functions, nor other opaque attributes', () => {
    const custom = defineOp<{ rule: unknown }>({
      name: 'custom',
      infer: ([t]) => [t],
      lower: (_, { values }) => values[0],
      evaluate: ([v]) => [v],
    });
    const make = (rule: unknown) => build(custom, [x], { rule })[0];
    const one = () => 1;
    for (const [a, b, same] of [
      [one, one, true],
      [one, () => 2, false],
      [new Map([['a', 1]]), new Map([['a', 2]]), false],
      [10n, 10, false],
      ['n', dim('n'), false],
      [null, undefined, false],
    ] as const) {
      const g = share(graph({ a: make(a), b: make(b) }));
      expect(g.outputs.get('a') === g.outputs.get('b')).toBe(same);
    }
  });

  it('makes a key of every attribute and numbers of every size', () => {
    const attributes = { sizes: [dim('n'), 3], nested: { k: dim('n') }, text: 'n', rule: Math.max };
    expect(attributeKey(attributes)).toBe(attributeKey({ ...attributes }));
    const map = new Map();
    const value = f32([1], [1]);
    expect(concreteAttributes({ ...attributes, map, value }, () => 7)).toEqual({
      sizes: [7, 3],
      nested: { k: 7 },
      text: 'n',
      rule: Math.max,
      map,
      value,
    });
    expect(concreteAttributes({ map, value }, () => 7).map).toBe(map);
    expect(concreteAttributes({ map, value }, () => 7).value).toBe(value);
  });
});

describe('fusing', () => {
  const x = input('x', 'f32', ['b', 'n', 4]);
  const w = parameter('w', 'f32', [6, 4]);
  const feeds = { x: f32([1, 2, 4], range(8)) };
  const held = { w: f32([6, 4], range(24)) };
  const values = (g: Graph, name = 'y') => {
    const result = interpret(g, feeds, g.parameters.size > 0 ? held : {}).outputs.get(name);
    return result ? elements(result) : [];
  };
  const only = (g: Graph) => {
    const [node, ...others] = named(g, 'matmul');
    expect(others).toEqual([]);
    return node.attributes;
  };

  it('takes transposes and scales into the product', () => {
    const y = x.matmul(w.swap(0, 1)).mul(0.5);
    const g = simplify(graph({ y }));
    expect(names(g)).toEqual(['input', 'parameter', 'matmul']);
    expect(only(g)).toEqual({ transposeA: false, transposeB: true, scale: 0.5 });
    expect(values(g)).toEqual(values(graph({ y })));

    const left = scalar('f32', 3).mul(w.matmul(x.swap(1, 2)));
    const both = simplify(graph({ y: left }));
    expect(only(both)).toEqual({ transposeA: false, transposeB: true, scale: 3 });
    expect(values(both)).toEqual(values(graph({ y: left })));

    const square = parameter('w', 'f32', [4, 4]).swap(0, 1);
    const undone = simplify(graph({ y: x.matmul(square, { transposeB: true }) }));
    expect(only(undone)).toEqual({ transposeA: false, transposeB: false, scale: 1 });
    expect(named(undone, 'transpose')).toEqual([]);
  });

  it('takes one scale after another, and exchanges that undo each other', () => {
    const y = scalar('f32', 0.25).mul(x.matmul(w.swap(0, 1)).div(2).mul(3));
    const g = simplify(graph({ y }));
    expect(names(g)).toEqual(['input', 'parameter', 'matmul']);
    expect(only(g)).toMatchObject({ scale: 0.375 });
    expect(values(g)).toEqual(values(graph({ y })));
    const twice = simplify(graph({ y: x.matmul(w.swap(0, 1).swap(0, 1), { transposeB: true }) }));
    expect(names(twice)).toEqual(['input', 'parameter', 'matmul']);
    expect(only(twice)).toMatchObject({ transposeB: true });
  });

  it('shares products that become equal by fusing', () => {
    const g = simplify(graph({ y: x.matmul(w.swap(0, 1)), z: x.matmul(w, { transposeB: true }) }));
    expect(named(g, 'matmul')).toHaveLength(1);
  });

  it('takes divisions and a scale that is there already', () => {
    const g = simplify(graph({ y: x.matmul(w, { transposeB: true, scale: 6 }).div(4) }));
    expect(only(g)).toEqual({ transposeA: false, transposeB: true, scale: 1.5 });
    expect(named(g, 'div')).toEqual([]);
  });

  it('takes only exchanges of the last two axes', () => {
    const other = input('o', 'f32', ['n', 'b', 4]);
    const g = simplify(graph({ y: x.matmul(other.swap(0, 1), { transposeB: true }) }));
    expect(named(g, 'transpose')).toHaveLength(1);
    const rolled = simplify(graph({ y: x.transpose(2, 0, 1).matmul(x.transpose(2, 1, 0)) }));
    expect(named(rolled, 'transpose')).toHaveLength(2);
  });

  it('keeps a transpose that others read', () => {
    const t = w.swap(0, 1);
    const g = simplify(graph({ y: x.matmul(t), t }));
    expect(named(g, 'transpose')).toHaveLength(1);
    expect(only(g)).toMatchObject({ transposeB: true });
  });

  it('leaves a scale whose product is read elsewhere, or is a result itself', () => {
    const product = x.matmul(w, { transposeB: true });
    for (const g of [
      graph({ y: product.mul(2), other: product.neg() }),
      graph({ y: product.mul(2), product }),
      graph({ y: product.mul(2).add(product) }),
      graph({ y: product.mul(product) }),
    ]) {
      const simplified = simplify(g);
      expect(only(simplified)).toMatchObject({ scale: 1 });
      expect(values(simplified)).toEqual(values(g));
    }
  });

  it('leaves factors that are not one constant', () => {
    const product = x.matmul(w, { transposeB: true });
    for (const y of [
      product.mul(input('s', 'f32', [])),
      product.mul(constant(f32([6], range(6)))),
      scalar('f32', 2).div(product),
      product.add(2),
    ]) {
      expect(only(simplify(graph({ y })))).toMatchObject({ scale: 1 });
    }
  });

  it('keeps the value of an activation that is tapped or updated', () => {
    const scores = x.matmul(w, { transposeB: true }).tag('scores');
    const g = graph({ y: scores.mul(0.125) });
    expect(only(simplify(g))).toMatchObject({ scale: 0.125 });
    const tapped = graph({ ...Object.fromEntries(g.outputs), scores: tap(g, 'scores') });
    const simplified = simplify(tapped);
    expect(only(simplified)).toMatchObject({ scale: 1 });
    expect(values(simplified, 'scores')).toEqual(values(tapped, 'scores'));
    expect(values(simplified)).toEqual(values(tapped));

    const state = parameter('w', 'f32', [6, 4]);
    const next = state.matmul(constant(fromNumbers('f32', [4, 4], range(16))));
    const updating = simplify(graph({ y: next.mul(3) }, { w: next }));
    expect(only(updating)).toMatchObject({ scale: 1 });
  });

  it('comes out equal for a model and its patched twin, which then share the prefix', () => {
    const hidden = x.matmul(w, { transposeB: true }).gelu().tag('mlp');
    const g = graph({ y: hidden.sum(-1) });
    const patched = patch(g, { mlp: (h) => h.mul(0) });
    const y = g.outputs.get('y') ?? x;
    const ablated = patched.outputs.get('y') ?? x;
    const both = simplify(graph({ y, ablated }));
    expect(named(both, 'matmul')).toHaveLength(1);
    expect(named(both, 'gelu')).toHaveLength(1);
    expect(values(both, 'ablated')).toEqual([0, 0]);
  });
});
