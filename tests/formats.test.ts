// The conformance suite of weight formats: one set of rules over every format of the registry and
// every setting of it.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  formats,
  type MatrixSize,
  type MatrixSpec,
  matrixLookup,
  matrixProduct,
  resolveFormat,
  Scope,
  type StoredTensors,
} from '../src/nn/index.js';
import type { Device } from '../src/runtime/device.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import {
  byteLength,
  fromNumbers,
  graph,
  input,
  interpret,
  type NDArray,
  type Tensor,
  toNumbers,
} from '../src/tensor/index.js';
import { gaussian, normalArray } from './support/draw.js';
import { type FormatCase, formatCases, sizeOfMatrix } from './support/format-cases.js';
import { frozen } from './support/frozen.js';

/** Odd sizes: one row, fewer columns than a block, one column more than a block, even and odd. */
const SIZES: readonly MatrixSize[] = [
  { rows: 1, columns: 1 },
  { rows: 1, columns: 33 },
  { rows: 5, columns: 64 },
  { rows: 3, columns: 257 },
  { rows: 9, columns: 130 },
];

const cases = Object.values(formatCases).flat();
const isDense = ({ spec }: FormatCase) => spec.format === 'dense';

/** A matrix of normal numbers with a block of zeros, an outlier and a row of tiny weights. */
function matrixOf({ rows, columns }: MatrixSize, seed: number, scale = 0.05): NDArray {
  const draw = gaussian(seed);
  const values = Array.from({ length: rows * columns }, () => draw() * scale);
  values.fill(0, columns * (rows - 1) + Math.floor(columns / 2), columns * rows);
  if (columns > 2) values[1] *= 30;
  if (rows > 3) for (let k = 0; k < columns; k++) values[2 * columns + k] *= 1e-3;
  return fromNumbers('f32', [rows, columns], values);
}

const decode = ({ spec }: FormatCase, stored: StoredTensors, size: MatrixSize): NDArray => {
  const { format, options } = resolveFormat(spec, 'm');
  return format.decode(stored, size, options);
};

const scopeOf = (spec: MatrixSpec): Scope =>
  Scope.root({ format: (path) => (path === 'm' ? spec : undefined) });

const named = (stored: StoredTensors): Map<string, NDArray> =>
  new Map(Object.entries(stored).map(([suffix, array]) => [`m.${suffix}`, array]));

/** A graph over the matrix at `m`, with its parameters. */
function program(c: FormatCase, stored: StoredTensors, build: (s: Scope) => Tensor) {
  const root = scopeOf(c.spec);
  const g = graph({ y: build(root.at('m')) });
  return { g, parameters: frozen(g, root.declarations, named(stored)) };
}

/** |a - b| / |b|, in 2-norms. */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [miss, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    miss += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(miss) : Math.sqrt(miss / norm);
}

/** x @ W^T in plain loops, float64. */
function product(x: NDArray, w: NDArray): Float64Array {
  const [[count, columns], [rows]] = [x.shape, w.shape];
  const [a, b] = [toNumbers(x), toNumbers(w)];
  const out = new Float64Array(count * rows);
  for (let i = 0; i < count; i++) {
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < columns; k++)
        out[i * rows + r] += a[i * columns + k] * b[r * columns + k];
    }
  }
  return out;
}

let device: Device;
beforeAll(async () => {
  device = await cpuDevice({ threads: 2 });
});
afterAll(() => device.dispose());

it('every format of the registry is under test', () => {
  expect(Object.keys(formatCases).sort()).toEqual([...formats.keys()].sort());
});

describe.each(cases)('$name', (c) => {
  it('decodes within its bound, whatever the size and the scale', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: -9, max: 3 }),
        fc.integer(),
        (rows, columns, exponent, seed) => {
          const size = { rows, columns };
          const { matrix, stored } = c.make(matrixOf(size, seed, 10 ** exponent), 'product');
          c.bound(matrix, decode(c, stored, size), stored);
        },
      ),
      { numRuns: 30 },
    );
  });

  it.runIf(c.encodes)('encodes what it decoded to the same matrix', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: -2, max: 3 }),
        fc.integer(),
        (rows, columns, exponent, seed) => {
          const size = { rows, columns };
          // No weight is so small that float16 cannot hold the step of its block precisely.
          const matrix = matrixOf(size, seed, 10 ** exponent);
          const away = toNumbers(matrix).map((v) => v + Math.sign(v) * 0.01);
          const { stored } = c.make(fromNumbers('f32', matrix.shape, away), 'product');
          const once = decode(c, stored, size);
          const twice = decode(c, c.make(once, 'product').stored, size);
          // Steps of float32 are found again up to its rounding, all others exactly.
          const exact = Object.values(stored).every(({ dtype }) => dtype !== 'f32');
          const [a, b] = [toNumbers(once), toNumbers(twice)];
          for (let i = 0; i < a.length; i++) {
            const limit = exact || isDense(c) ? 0 : Math.abs(a[i]) * 2 ** -21;
            if (!(Math.abs(a[i] - b[i]) <= limit)) expect.fail(`${i}: ${a[i]} became ${b[i]}`);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it.runIf(c.encodes)('keeps zeros exactly', () => {
    for (const size of SIZES) {
      const zeros = fromNumbers(
        'f32',
        [size.rows, size.columns],
        Array(size.rows * size.columns).fill(0),
      );
      const decoded = decode(c, c.make(zeros, 'product').stored, size);
      expect(toNumbers(decoded).every((v) => v === 0)).toBe(true);
      const matrix = matrixOf(size, 3);
      const back = toNumbers(decode(c, c.make(matrix, 'product').stored, size));
      toNumbers(matrix).forEach((v, i) => {
        if (v === 0) expect(Math.abs(back[i])).toBe(0);
      });
    }
  });

  // A dense matrix holds what it is given; factors are made by a pass.
  it.runIf(c.encodes && !isDense(c))('refuses weights that are not finite, by place', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = Array(70).fill(0.5);
      values[37] = bad;
      const matrix = fromNumbers('f32', [2, 35], values);
      expect(() => c.make(matrix, 'product')).toThrowError(
        expect.objectContaining({
          code: 'format/non-finite',
          what: expect.stringContaining('[1, 2]'),
        }),
      );
    }
  });

  it('declares exactly what it stores', () => {
    const builds = {
      product: (s: Scope, size: MatrixSize) =>
        matrixProduct(s, input('x', 'f32', ['n', size.columns]), size),
      lookup: (s: Scope, size: MatrixSize) => matrixLookup(s, input('ids', 'i64', ['n']), size),
    };
    for (const size of SIZES) {
      for (const role of ['product', 'lookup'] as const) {
        const { stored } = c.make(matrixOf(size, 5), role);
        const root = scopeOf(c.spec);
        builds[role](root.at('m'), size);
        const types = [...root.declarations.stored.values()].map(({ name, dtype, shape }) => ({
          name,
          dtype,
          shape: [...shape],
        }));
        const made = Object.entries(stored).map(([suffix, { dtype, shape }]) => ({
          name: `m.${suffix}`,
          dtype,
          shape: [...shape],
        }));
        const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
        expect(types.sort(byName)).toEqual(made.sort(byName));
        const bytes = Object.values(stored).reduce((sum, array) => sum + byteLength(array), 0);
        expect(bytes).toBe(c.bytes(size));
      }
    }
  });

  it('multiplies as its decoded matrix does, in the interpreter and on the device', async () => {
    const { format, options } = resolveFormat(c.spec, 'm');
    const allowed = format.executionError(options);
    for (const [i, size] of SIZES.entries()) {
      const { matrix, stored } = c.make(matrixOf(size, 11 + i), 'product');
      const decoded = decode(c, stored, sizeOfMatrix(matrix));
      const { g, parameters } = program(c, stored, (s) =>
        matrixProduct(s, input('x', 'f32', ['n', size.columns]), size),
      );
      await using compiled = await device.compile(g, { parameters });
      for (const count of [1, 3, 34]) {
        const x = normalArray([count, size.columns], 17 + count);
        const reference = product(x, decoded);
        const interpreted = interpret(g, { x }, parameters).outputs.get('y') as NDArray;
        expect(relative(toNumbers(interpreted), reference)).toBeLessThanOrEqual(allowed);
        const { y } = await compiled.run({ x });
        expect(y.shape).toEqual([count, size.rows]);
        expect(relative(toNumbers(y), reference)).toBeLessThanOrEqual(allowed);
      }
    }
  });

  it('looks up exactly the rows of its decoded matrix', async () => {
    for (const [i, size] of SIZES.entries()) {
      const { stored } = c.make(matrixOf(size, 23 + i), 'lookup');
      const rows = toNumbers(decode(c, stored, size));
      const picked = [0, size.rows - 1, Math.floor(size.rows / 2), 0, -1];
      const ids = fromNumbers('i64', [1, picked.length], picked);
      const reference = picked.flatMap((row) => {
        const at = (row < 0 ? row + size.rows : row) * size.columns;
        return [...rows.subarray(at, at + size.columns)];
      });
      const { g, parameters } = program(c, stored, (s) =>
        matrixLookup(s, input('ids', 'i64', ['batch', 'seq']), size),
      );
      const interpreted = interpret(g, { ids }, parameters).outputs.get('y') as NDArray;
      expect(interpreted.shape).toEqual([1, picked.length, size.columns]);
      expect(relative(toNumbers(interpreted), reference)).toBeLessThanOrEqual(1e-6);
      await using compiled = await device.compile(g, { parameters });
      const { y } = await compiled.run({ ids });
      expect(relative(toNumbers(y), reference)).toBeLessThanOrEqual(1e-6);
    }
  });
});
