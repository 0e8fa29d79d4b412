import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDims,
  type Bindings,
  broadcast,
  ceilDiv,
  ceilLog,
  type Dim,
  dim,
  dimNames,
  evaluateDim,
  evaluateShape,
  exactDiv,
  floorDiv,
  maxDims,
  minDims,
  mulDims,
  plainName,
  sameDim,
  shapeSize,
  subDims,
  substitute,
} from './dim.js';
import { AnyformerError } from './error.js';

const names = ['batch', 'n', 'n2', 'floor'];

/** A dimension beside the plain function that it stands for. */
type Pair = { dim: Dim; value: (b: Bindings) => number };

const leaf: fc.Arbitrary<Pair> = fc.oneof(
  fc.integer({ min: -4, max: 9 }).map((n): Pair => ({ dim: n, value: () => n })),
  fc.constantFrom(...names).map((name): Pair => ({ dim: dim(name), value: (b) => b[name] })),
);
const expression: fc.Arbitrary<Pair> = fc.letrec<{ any: Pair }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      dim: addDims(a.dim, b.dim),
      value: (v: Bindings) => a.value(v) + b.value(v),
    })),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      dim: subDims(a.dim, b.dim),
      value: (v: Bindings) => a.value(v) - b.value(v),
    })),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      dim: mulDims(a.dim, b.dim),
      value: (v: Bindings) => a.value(v) * b.value(v),
    })),
    fc.tuple(tie('any'), fc.integer({ min: 1, max: 5 })).map(([a, by]) => ({
      dim: floorDiv(a.dim, by),
      value: (v: Bindings) => Math.floor(a.value(v) / by),
    })),
    fc.tuple(tie('any'), fc.integer({ min: 1, max: 5 })).map(([a, by]) => ({
      dim: ceilDiv(a.dim, by),
      value: (v: Bindings) => Math.ceil(a.value(v) / by),
    })),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      dim: minDims(a.dim, b.dim),
      value: (v: Bindings) => Math.min(a.value(v), b.value(v)),
    })),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      dim: maxDims(a.dim, b.dim),
      value: (v: Bindings) => Math.max(a.value(v), b.value(v)),
    })),
    fc.tuple(tie('any'), fc.constantFrom(1, 2.5)).map(([a, factor]) => ({
      dim: ceilLog(a.dim, factor),
      value: (v: Bindings) => Math.ceil(factor * Math.log(Math.max(1, a.value(v)))),
    })),
  ),
})).any;
const bindings: fc.Arbitrary<Bindings> = fc.record(
  Object.fromEntries(names.map((name) => [name, fc.integer({ min: 0, max: 6 })])),
);

describe('symbolic dimensions', () => {
  it('evaluate to what the numbers give', () => {
    fc.assert(
      fc.property(expression, bindings, ({ dim: d, value }, b) => {
        // + 0: -0 and 0 are one size.
        expect(evaluateDim(d, b) + 0).toBe(value(b) + 0);
      }),
      { numRuns: 500 },
    );
  });

  it('are canonical: (a + b) - b = a, sums and products commute, products distribute', () => {
    fc.assert(
      fc.property(expression, expression, expression, (a, b, c) => {
        const [x, y, z] = [a.dim, b.dim, c.dim];
        expect(sameDim(subDims(addDims(x, y), y), x)).toBe(true);
        expect(sameDim(subDims(x, x), 0)).toBe(true);
        expect(sameDim(addDims(x, y), addDims(y, x))).toBe(true);
        expect(sameDim(mulDims(x, y), mulDims(y, x))).toBe(true);
        expect(sameDim(mulDims(x, addDims(y, z)), addDims(mulDims(x, y), mulDims(x, z)))).toBe(
          true,
        );
      }),
    );
  });

  it('divide out what was multiplied in: (a * b) / b = a', () => {
    fc.assert(
      fc.property(expression, expression, (a, b) => {
        fc.pre(b.dim !== 0);
        const quotient = exactDiv(mulDims(a.dim, b.dim), b.dim);
        expect(quotient === undefined ? 'undefined' : String(quotient)).toBe(String(a.dim));
      }),
      { numRuns: 300 },
    );
  });

  it('never divide inexactly', () => {
    fc.assert(
      fc.property(expression, expression, bindings, (a, b, v) => {
        const quotient = exactDiv(a.dim, b.dim);
        if (quotient === undefined) return;
        expect(evaluateDim(quotient, v) * b.value(v) + 0).toBe(a.value(v) + 0);
      }),
    );
  });

  it('carry whole multiples out of a floor', () => {
    fc.assert(
      fc.property(expression, leaf, fc.integer({ min: 1, max: 5 }), (a, b, by) => {
        const shifted = floorDiv(addDims(a.dim, mulDims(by, b.dim)), by);
        expect(String(shifted)).toBe(String(addDims(floorDiv(a.dim, by), b.dim)));
      }),
    );
  });

  it('make one floor of nested ones', () => {
    const n = dim('n');
    const halved = addDims(floorDiv(subDims(n, 1), 2), 1);
    expect(String(halved)).toBe('floor((n + 1)/2)');
    expect(String(floorDiv(addDims(halved, 1), 2))).toBe('floor((n + 3)/4)');
    expect(String(floorDiv(floorDiv(n, 3), 4))).toBe(String(floorDiv(n, 12)));
    expect(String(ceilDiv(mulDims(n, 4), 4))).toBe('n');
  });

  it('have minima and maxima that commute, and are decided where that can be', () => {
    const [n, m] = [dim('n'), dim('m')];
    expect(String(minDims(n, addDims(n, 3)))).toBe('n');
    expect(String(maxDims(subDims(n, 2), n))).toBe('n');
    expect(minDims(4, 7)).toBe(4);
    expect(String(minDims(m, n))).toBe('min(m, n)');
    expect(sameDim(minDims(n, m), minDims(m, n))).toBe(true);
    expect(sameDim(maxDims(n, 1), maxDims(1, n))).toBe(true);
    expect([...dimNames(minDims(ceilLog(n, 5), m))].sort()).toEqual(['m', 'n']);
    expect(String(ceilLog(n, 5))).toBe('ceil(5 log(n))');
    expect(ceilLog(96, 5)).toBe(23);
    expect(ceilLog(1)).toBe(0);
  });

  it('substitute as they evaluate', () => {
    fc.assert(
      fc.property(expression, leaf, bindings, ({ dim: d }, { dim: other, value }, b) => {
        const replaced = substitute(d, new Map([['n', other]]));
        expect(evaluateDim(replaced, b) + 0).toBe(evaluateDim(d, { ...b, n: value(b) }) + 0);
        expect(evaluateDim(substitute(d, new Map(Object.entries(b))), {}) + 0).toBe(
          evaluateDim(d, b) + 0,
        );
      }),
    );
  });

  it('know their names', () => {
    const d = addDims(floorDiv(addDims(dim('seq'), 1), 2), mulDims(dim('batch'), 3));
    expect([...dimNames(d)].sort()).toEqual(['batch', 'seq']);
    expect(plainName(dim('seq'))).toBe('seq');
    for (const other of [
      4,
      addDims(dim('seq'), 1),
      mulDims(dim('seq'), 2),
      floorDiv(dim('n'), 2),
    ]) {
      expect(plainName(other)).toBeUndefined();
    }
  });

  it('take names and sizes only', () => {
    for (const bad of ['', '2n', 'a b', 'a-b', -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => dim(bad)).toThrow(AnyformerError);
    }
    expect(dim(0)).toBe(0);
    expect(String(dim('_seq2'))).toBe('_seq2');
  });

  it('name what has no value', () => {
    const d = addDims(dim('seq'), dim('memory'));
    expect(() => evaluateDim(d, { seq: 3 })).toThrow(/'memory' has no value[\s\S]*values for seq/);
    expect(() => evaluateDim(dim('constructor'), {})).toThrow(/'constructor' has no value/);
  });

  it('refuse a shape with a negative size', () => {
    const shape = [2, subDims(dim('seq'), 3)];
    expect(evaluateShape(shape, { seq: 3 })).toEqual([2, 0]);
    expect(() => evaluateShape(shape, { seq: 2 })).toThrow(/negative[\s\S]*-1 with seq = 2/);
  });
});

describe('broadcasting', () => {
  it('is that of the numbers, or refuses', () => {
    const size = fc.oneof(fc.constantFrom<Dim>(1, 2, 3), fc.constantFrom('n', 'm').map(dim));
    const shape = fc.array(size, { maxLength: 4 });
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        const out = broadcast(a, b);
        const rank = Math.max(a.length, b.length);
        const padded = (s: readonly Dim[]) => [...Array<Dim>(rank - s.length).fill(1), ...s];
        const pairs = padded(a).map((x, i) => [x, padded(b)[i]] as const);
        const fits = pairs.every(([x, y]) => x === 1 || y === 1 || String(x) === String(y));
        expect(out === undefined).toBe(!fits);
        if (out) expect(out.map(String)).toEqual(pairs.map(([x, y]) => String(x === 1 ? y : x)));
      }),
    );
  });

  it('counts elements', () => {
    expect(String(shapeSize([dim('n'), 3, dim('n')]))).toBe('3*n*n');
    expect(shapeSize([])).toBe(1);
    expect(shapeSize([dim('n'), 0])).toBe(0);
  });
});
