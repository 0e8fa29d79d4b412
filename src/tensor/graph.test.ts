import { describe, expect, it } from 'vitest';
import { elements, f32 } from '../../tests/support/arrays.js';
import {
  AnyformerError,
  type Graph,
  graph,
  input,
  interpret,
  type Node,
  parameter,
  patch,
  rewrite,
  scalar,
  simplify,
  type Tensor,
  tap,
} from './index.js';

const x = input('x', 'f32', ['n']);
const value = (g: Graph, name: string, feed: readonly number[] = [1, 2]) => {
  const feeds = new Map(g.inputs.has('x') ? [['x', f32([feed.length], feed)]] : []);
  const result = interpret(g, feeds, {}, { n: feed.length }).outputs.get(name);
  return result && elements(result);
};

function failure(run: () => unknown): AnyformerError {
  try {
    run();
  } catch (error) {
    if (error instanceof AnyformerError) return error;
    throw error;
  }
  return expect.fail('nothing was refused');
}

/** Every node once, and after its inputs. */
function expectSchedule(g: Graph): void {
  const place = new Map<Node, number>(g.nodes.map((node, i) => [node, i]));
  expect(place.size).toBe(g.nodes.length);
  for (const node of g.nodes) {
    for (const { node: from } of node.inputs) {
      expect(place.get(from)).toBeLessThan(place.get(node) ?? -1);
    }
  }
}

describe('graph', () => {
  it('schedules every node once, inputs first', () => {
    const shared = x.exp();
    const topK = x.topK(1);
    const y = shared.add(shared.mul(x)).sub(topK.values);
    const g = graph({ y, shared, i: topK.indices });
    expectSchedule(g);
    expect(g.nodes.map(({ row }) => row.name)).toEqual([
      'input',
      'exp',
      'mul',
      'add',
      'topK',
      'sub',
    ]);
    expect([...g.outputs.keys()]).toEqual(['y', 'shared', 'i']);
  });

  it('schedules a ladder in which paths multiply in linear time', () => {
    let y: Tensor = x;
    for (let i = 0; i < 200; i++) y = y.add(y);
    expect(graph({ y }).nodes).toHaveLength(201);
  });

  it('takes chains of 50,000 nodes: schedule, rewrite, patch, run', () => {
    let y: Tensor = x;
    for (let i = 0; i < 50_000; i++) y = i === 25_000 ? y.neg().tag('middle') : y.neg();
    const g = graph({ y });
    expect(g.nodes).toHaveLength(50_002);
    expect(value(g, 'y')).toEqual([1, 2]);
    const patched = patch(g, { middle: (m) => m.mul(3) });
    expect(patched.nodes).toHaveLength(50_004);
    expect(value(patched, 'y')).toEqual([3, 6]);
  });

  it('takes one leaf for two of the same name and type', () => {
    const again = input('x', 'f32', ['n']);
    const g = graph({ y: x.add(again) });
    expect([...g.inputs]).toEqual([['x', x]]);
    expect(value(g, 'y')).toEqual([2, 4]);
  });

  it('refuses two different leaves of one name', () => {
    for (const other of [
      input('x', 'f64', ['n']).cast('f32'),
      input('x', 'f32', ['m']).sum(0),
      parameter('x', 'f32', ['n']),
    ]) {
      const { code, message } = failure(() => graph({ x, other }));
      expect(code).toBe('tensor/leaf');
      expect(message).toMatch(/called 'x'[\s\S]*input f32\[n\]/);
    }
  });

  it('lists inputs and parameters', () => {
    const w = parameter('layers.0.weight', 'f32', ['n']);
    const g = graph(new Map([['y', x.mul(w)]]));
    expect([...g.inputs.keys()]).toEqual(['x']);
    expect([...g.parameters.keys()]).toEqual(['layers.0.weight']);
  });

  it('checks updates against the parameters they write', () => {
    const w = parameter('w', 'f32', ['n']);
    const next = w.mul(0.5).add(x);
    const g = graph({ loss: next.sum() }, { w: next });
    const { updates } = interpret(g, { x: f32([2], [1, 2]) }, { w: f32([2], [4, 8]) });
    expect([...updates].map(([name, array]) => [name, elements(array)])).toEqual([['w', [3, 6]]]);

    expect(failure(() => graph({ x }, { w: x })).code).toBe('tensor/update');
    const wrong = failure(() => graph({ x }, { w: next.sum(0, true) }));
    expect(wrong.message).toMatch(/update of 'w'[\s\S]*f32\[n\][\s\S]*f32\[1\]/);
    expect(failure(() => graph({ x }, { w: next.cast('f64') })).code).toBe('tensor/update');
    expect(failure(() => graph({ w }, { x: x.neg() })).code).toBe('tensor/update');
  });

  it('writes a parameter that nothing reads, where its leaf is given', () => {
    const [w, other] = [parameter('w', 'f32', ['n']), parameter('other', 'f32', [9])];
    const g = graph({ y: x }, { w: x.neg() }, [w, other]);
    expect([...g.parameters.keys()]).toEqual(['w']);
    expect(failure(() => graph({ y: x }, { w: x.neg() }, [other])).code).toBe('tensor/update');
    const wide = parameter('w', 'f32', [3]);
    expect(failure(() => graph({ y: x }, { w: x.neg() }, [wide])).code).toBe('tensor/update');
    for (const same of [g, rewrite(g, (_, inputs, copy) => copy(inputs)), simplify(g)]) {
      const { updates } = interpret(same, { x: f32([1], [2]) }, { w: f32([1], [5]) });
      expect(elements(updates.get('w') ?? f32([], [0]))).toEqual([-2]);
    }
  });
});

describe('tags', () => {
  const model = () => {
    const a = x.mul(2).tag('layers.0');
    const b = a.add(1).tag('layers.1');
    return { a, b, g: graph({ y: b.mul(10), a, side: a.neg() }) };
  };

  it('are found by path', () => {
    const { a, b, g } = model();
    expect(tap(g, 'layers.0')).toBe(a);
    expect(tap(g, 'layers.1')).toBe(b);
    expect(value(graph({ t: tap(g, 'layers.1') }), 't')).toEqual([3, 5]);
  });

  it('number a path that is met again', () => {
    let h: Tensor = x;
    for (let i = 0; i < 3; i++) h = h.add(1).tag('loop');
    const g = graph({ h });
    expect([...g.tags.keys()]).toEqual(['loop', 'loop#1', 'loop#2']);
    expect(value(graph({ t: tap(g, 'loop#1') }), 't')).toEqual([3, 4]);
  });

  it('that are not met are refused with the nearest', () => {
    const { g } = model();
    for (const run of [() => tap(g, 'layer.1'), () => patch(g, { 'layer.1': (v) => v })]) {
      const { code, message } = failure(run);
      expect(code).toBe('tensor/path');
      expect(message).toMatch(
        /no activation is called 'layer\.1'[\s\S]*layers\.[01], layers\.[01]/,
      );
    }
    expect(failure(() => tap(graph({ x }), 'a')).message).toMatch(/0 paths, such as none/);
    expect(
      failure(() => patch(g, Object.assign(Object.create(null), { toString: () => x }))).code,
    ).toBe('tensor/path');
  });
});

describe('patch', () => {
  const before = x.mul(2);
  const a = before.tag('layers.0');
  const b = a.add(1).tag('layers.1');
  const g = graph({ y: b.mul(10), untouched: before.neg(), side: a.neg() });

  it('hands the replaced value to every reader of the activation, and to no other', () => {
    const patched = patch(g, { 'layers.0': (v) => v.mul(0).add(7) });
    expect(value(patched, 'y')).toEqual([80, 80]);
    expect(value(patched, 'side')).toEqual([-7, -7]);
    expect(value(patched, 'untouched')).toEqual([-2, -4]);
    expect(value(g, 'y')).toEqual([30, 50]);
  });

  it('keeps what is upstream and beside it: the very same nodes', () => {
    const patched = patch(g, { 'layers.1': (v) => v.neg() });
    const kept = new Set(patched.nodes);
    for (const node of [x.node, before.node, a.node, b.node.inputs[0].node]) {
      expect(kept.has(node)).toBe(true);
    }
    expect(patched.outputs.get('side')).toBe(g.outputs.get('side'));
    expect(patched.outputs.get('y')).not.toBe(g.outputs.get('y'));
    const nothing = patch(g, { 'layers.1': (v) => v });
    expect(nothing.nodes).toEqual(g.nodes);
    expect(nothing.outputs.get('y')).toBe(g.outputs.get('y'));
  });

  it('replaces several activations at once', () => {
    const patched = patch(g, { 'layers.0': (v) => v.add(1), 'layers.1': (v) => v.mul(2) });
    expect(value(patched, 'y')).toEqual([80, 120]);
  });

  it('takes values from elsewhere: another activation, an input, a constant', () => {
    const swapped = patch(g, { 'layers.1': () => tap(g, 'layers.0') });
    expect(value(swapped, 'y')).toEqual([20, 40]);
    const fed = patch(g, { 'layers.1': () => input('other', 'f32', ['n']) });
    const { outputs } = interpret(fed, { x: f32([2], [1, 2]), other: f32([2], [5, 6]) });
    expect(elements(outputs.get('y') ?? f32([0], []))).toEqual([50, 60]);
    const zero = patch(g, { 'layers.1': (v) => scalar('f32', 0).broadcastTo(v.size(0)) });
    expect(value(zero, 'y')).toEqual([0, 0]);
  });

  it('keeps the path, so that taps see the replacement and patches compose in order', () => {
    const once = patch(g, { 'layers.1': (v) => v.mul(100) });
    expect(value(graph({ t: tap(once, 'layers.1') }), 't')).toEqual([300, 500]);
    const twice = patch(once, { 'layers.1': (v) => v.add(1) });
    expect(value(twice, 'y')).toEqual([3010, 5010]);
    expect([...twice.tags.keys()].sort()).toEqual(['layers.0', 'layers.1']);
  });

  it('keeps the names of paths that are met again, though the first is gone', () => {
    let h: Tensor = x;
    for (let i = 0; i < 3; i++) h = h.add(1).tag('loop');
    const cut = patch(graph({ h }), { 'loop#1': (v) => scalar('f32', 0).broadcastTo(v.size(0)) });
    expect([...cut.tags.keys()]).toEqual(['loop#1', 'loop#2']);
    expect(value(patch(cut, { 'loop#2': (v) => v.mul(5) }), 'h')).toEqual([5, 5]);
  });

  it('refuses a replacement of another type', () => {
    const wide = failure(() => patch(g, { 'layers.0': (v) => v.cast('f64') }));
    expect(wide.code).toBe('tensor/patch');
    expect(wide.message).toMatch(/'layers\.0'[\s\S]*f32\[n\][\s\S]*f64\[n\]/);
    expect(failure(() => patch(g, { 'layers.0': (v) => v.sum() })).message).toMatch(/f32\[\]/);
  });

  it('does not mistake methods of objects for changes', () => {
    const odd = graph({ y: x.tag('constructor').neg() });
    expect(patch(odd, {}).outputs.get('y')).toBe(odd.outputs.get('y'));
  });
});

describe('rewrite', () => {
  it('carries results with several outputs', () => {
    const { values, indices } = x.neg().topK('n');
    const g = graph({ values, indices });
    const doubled = rewrite(g, (node, inputs, copy) =>
      node.row.name === 'neg' ? [inputs[0].mul(2)] : copy(inputs),
    );
    expect(value(doubled, 'values')).toEqual([4, 2]);
    expect(value(doubled, 'indices')).toEqual([1n, 0n]);
  });

  it('moves updates too', () => {
    const w = parameter('w', 'f32', []);
    const g = graph({ y: x.mul(w) }, { w: w.neg() });
    const moved = rewrite(g, (node, inputs, copy) =>
      node.row.name === 'neg' ? [inputs[0].mul(3)] : copy(inputs),
    );
    const { updates } = interpret(moved, { x: f32([1], [1]) }, { w: f32([], [2]) });
    expect(elements(updates.get('w') ?? f32([], [0]))).toEqual([6]);
  });
});
