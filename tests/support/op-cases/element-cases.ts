// Cases of the element-wise rows.
import {
  type DType,
  fromNumbers,
  input,
  type NDArray,
  ndarray,
  scalar,
  type Tensor,
} from '../../../src/tensor/index.js';
import { bools, f32, f64, reader, table } from '../arrays.js';
import type { OpCase, OpRefusal } from './case.js';

/** Phi(x) by Simpson's rule over [0, x]. */
function normal(x: number): number {
  const steps = 2000;
  const h = x / steps;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density(i * h) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * h) / 3;
}
const sigma = (x: number) => 1 / (1 + Math.E ** -x);

const points = [-3, -1.5, -0.75, -0.125, 0, 0.25, 1, 2.5, 4];
const positive = [0.125, 0.5, 1, 2.25, 9];

/** Independent definitions and where they are tried. */
const functions: Record<string, { of: (x: number) => number; at?: readonly number[] }> = {
  neg: { of: (x) => 0 - x },
  abs: { of: (x) => (x < 0 ? 0 - x : x) },
  sign: { of: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0) },
  exp: { of: (x) => Math.E ** x },
  log: { of: (x) => Math.log2(x) * Math.LN2, at: positive },
  sqrt: { of: (x) => x ** 0.5, at: positive },
  reciprocal: { of: (x) => x ** -1, at: positive },
  sin: { of: (x) => Math.cos(x - Math.PI / 2) },
  cos: { of: (x) => 1 - 2 * Math.sin(x / 2) ** 2 },
  floor: { of: (x) => x - (((x % 1) + 1) % 1) },
  ceil: { of: (x) => 0 - (-x - (((-x % 1) + 1) % 1)) },
  tanh: { of: (x) => (Math.E ** x - Math.E ** -x) / (Math.E ** x + Math.E ** -x) },
  sigmoid: { of: sigma },
  softplus: { of: (x) => Math.log(1 + Math.E ** x) },
  relu: { of: (x) => (x + Math.sqrt(x * x)) / 2 },
  erf: { of: (x) => 2 * normal(x * Math.SQRT2) - 1 },
  gelu: { of: (x) => x * normal(x) },
  geluTanh: {
    of: (x) => (x / 2) * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
  },
  silu: { of: (x) => x * sigma(x) },
  quickGelu: { of: (x) => x * sigma(1.702 * x) },
};

type Method = (...others: readonly Tensor[]) => Tensor;
const call = (x: Tensor, name: string, ...others: readonly Tensor[]): Tensor =>
  (x as unknown as Record<string, Method>)[name](...others);

const unaryCases: OpCase[] = Object.entries(functions).flatMap(([row, { of, at = points }]) =>
  (
    [
      ['f64', 1e-11],
      ['f32', 2e-6],
      ['f16', 2e-3],
    ] as const
  ).map(([dtype, tolerance]) => ({
    row,
    what: dtype,
    inputs: { x: fromNumbers(dtype, [at.length], at) },
    shapes: { x: ['n'] },
    build: ({ x }) => call(x, row),
    type: `${dtype}[n]`,
    values: at.map(of),
    tolerance,
  })),
);

const known = (
  row: string,
  what: string,
  inputs: Record<string, NDArray>,
  type: string,
  values: readonly (number | bigint)[],
): OpCase => ({
  row,
  what,
  inputs,
  build: ({ x, y }) => (y ? call(x, row, y) : call(x, row)),
  type,
  values,
  tolerance: 0,
});

const longs = (...values: readonly bigint[]) =>
  ndarray('i64', [values.length], BigInt64Array.from(values));
const ulongs = (...values: readonly bigint[]) =>
  ndarray('u64', [values.length], BigUint64Array.from(values));
const of = (dtype: DType, ...values: readonly number[]) =>
  fromNumbers(dtype, [values.length], values);

const big = 2n ** 53n + 1n;
const top = 2n ** 63n - 1n;

const special: OpCase[] = [
  known(
    'round',
    'ties to even',
    { x: f64([8], [-2.5, -1.5, -0.6, 0.5, 1.5, 2.5, 3.49, 1e300]) },
    'f64[8]',
    [-2, -2, -1, 0, 2, 2, 3, 1e300],
  ),
  known('not', 'bool', { x: bools([2], [0, 1]) }, 'bool[2]', [1, 0]),
  known(
    'isNan',
    'f32',
    { x: f32([4], [Number.NaN, 0, Number.POSITIVE_INFINITY, -1]) },
    'bool[4]',
    [1, 0, 0, 0],
  ),
  known('relu', 'NaN stays', { x: f32([1], [Number.NaN]) }, 'f32[1]', [Number.NaN]),
  known('sigmoid', 'far arguments do not overflow', { x: f64([2], [-800, 800]) }, 'f64[2]', [0, 1]),
  known(
    'softplus',
    'far arguments do not overflow',
    { x: f64([2], [-800, 800]) },
    'f64[2]',
    [0, 800],
  ),
  known('neg', 'i64 beyond 2^53', { x: longs(big, -top) }, 'i64[2]', [-big, top]),
  known('abs', 'i64 beyond 2^53', { x: longs(-big, 3n) }, 'i64[2]', [big, 3n]),
  known('abs', 'i8 wraps at its lowest', { x: of('i8', -128, -127) }, 'i8[2]', [-128, 127]),
  known('sign', 'i32', { x: of('i32', -7, 0, 9) }, 'i32[3]', [-1, 0, 1]),
];

/** Two operands: broadcast [2, 1, 3] with [4, 1] against a table of the plain function. */
const pairs: Record<string, (x: number, y: number) => number> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: (x, y) => Math.exp(y * Math.log(x)),
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
  equal: (x, y) => Number(x === y),
  less: (x, y) => Number(x < y),
  lessEqual: (x, y) => Number(x <= y),
  greater: (x, y) => Number(x > y),
  greaterEqual: (x, y) => Number(x >= y),
};
const comparing = new Set(['equal', 'less', 'lessEqual', 'greater', 'greaterEqual']);

const left = f64([2, 1, 3], [0.5, 1, 2, 3, 4, 8]);
const right = f64([4, 1], [-1, 2, 0.25, 4]);
const [leftAt, rightAt] = [reader(left), reader(right)];

const broadcastCases: OpCase[] = Object.entries(pairs).map(([row, apply]) => ({
  row,
  what: 'broadcasts [n, 1, 3] x [4, 1]',
  inputs: { x: left, y: right },
  shapes: { x: ['n', 1, 3] },
  build: ({ x, y }) => call(x, row, y),
  type: `${comparing.has(row) ? 'bool' : 'f64'}[n, 4, 3]`,
  values: table([2, 4, 3], (i, j, k) => apply(leftAt(i, 0, k), rightAt(j, 0))),
  tolerance: 1e-12,
}));

const integers: OpCase[] = [
  known('add', 'i8 wraps', { x: of('i8', 127), y: of('i8', 2) }, 'i8[1]', [-127]),
  known('add', 'i64 beyond 2^53', { x: longs(big), y: longs(1n) }, 'i64[1]', [big + 1n]),
  known('sub', 'u32 wraps', { x: of('u32', 0), y: of('u32', 1) }, 'u32[1]', [4294967295]),
  known(
    'mul',
    'u32 keeps the low bits',
    { x: of('u32', 0xdeadbeef, 3), y: of('u32', 0xcafebabe, 5) },
    'u32[2]',
    [Math.imul(0xdeadbeef, 0xcafebabe) >>> 0, 15],
  ),
  known(
    'mul',
    'i32 keeps the low bits',
    { x: of('i32', 0x12345679), y: of('i32', -0x76543211) },
    'i32[1]',
    [Math.imul(0x12345679, -0x76543211)],
  ),
  known(
    'mul',
    'u64 keeps the low bits',
    { x: ulongs(0xd2511f53n * 2n ** 20n), y: ulongs(2n ** 40n + 1n) },
    'u64[1]',
    [BigInt.asUintN(64, 0xd2511f53n * 2n ** 20n * (2n ** 40n + 1n))],
  ),
  known('div', 'towards zero', { x: of('i32', -7, 7), y: of('i32', 2, -2) }, 'i32[2]', [-3, -3]),
  known('div', 'i64', { x: longs(-top, top), y: longs(2n, 2n) }, 'i64[2]', [-(top / 2n), top / 2n]),
  known(
    'mod',
    "the divisor's sign",
    { x: of('i32', -7, 7, -7, 6), y: of('i32', 3, -3, -3, 3) },
    'i32[4]',
    [2, -2, -1, 0],
  ),
  known('mod', 'i64', { x: longs(-big, big), y: longs(10n, 10n) }, 'i64[2]', [7n, 3n]),
  known('maximum', 'i64', { x: longs(big), y: longs(big - 1n) }, 'i64[1]', [big]),
  known('minimum', 'i64', { x: longs(big), y: longs(big - 1n) }, 'i64[1]', [big - 1n]),
  known('less', 'i64 beyond 2^53', { x: longs(big - 1n), y: longs(big) }, 'bool[1]', [1]),
  known('equal', 'i64 beyond 2^53', { x: longs(big - 1n), y: longs(big) }, 'bool[1]', [0]),
  known('maximum', 'NaN', { x: f32([1], [Number.NaN]), y: f32([1], [1]) }, 'f32[1]', [Number.NaN]),
  known(
    'and',
    'bool',
    { x: bools([4], [0, 0, 1, 1]), y: bools([4], [0, 1, 0, 1]) },
    'bool[4]',
    [0, 0, 0, 1],
  ),
  known(
    'or',
    'bool',
    { x: bools([4], [0, 0, 1, 1]), y: bools([4], [0, 1, 0, 1]) },
    'bool[4]',
    [0, 1, 1, 1],
  ),
  known(
    'bitAnd',
    'u32',
    { x: of('u32', 0xff00ff00), y: of('u32', 0xf0f0f0f0) },
    'u32[1]',
    [0xf000f000],
  ),
  known('bitAnd', 'i64', { x: longs(-1n), y: longs(big) }, 'i64[1]', [big]),
  known('bitOr', 'i32', { x: of('i32', 0b1010), y: of('i32', 0b0110) }, 'i32[1]', [0b1110]),
  known('bitOr', 'u64', { x: ulongs(2n ** 63n), y: ulongs(1n) }, 'u64[1]', [2n ** 63n + 1n]),
  known('bitXor', 'u32', { x: of('u32', 0xffffffff), y: of('u32', 1) }, 'u32[1]', [0xfffffffe]),
  known('bitXor', 'u64', { x: ulongs(2n ** 64n - 1n), y: ulongs(1n) }, 'u64[1]', [2n ** 64n - 2n]),
  known('shiftLeft', 'u32', { x: of('u32', 0x80000001), y: of('u32', 1) }, 'u32[1]', [2]),
  known('shiftLeft', 'u64', { x: ulongs(2n ** 63n + 3n), y: ulongs(1n) }, 'u64[1]', [6n]),
  known('shiftRight', 'u32', { x: of('u32', 0x80000000), y: of('u32', 31) }, 'u32[1]', [1]),
  known('shiftRight', 'u64', { x: ulongs(2n ** 63n), y: ulongs(60n) }, 'u64[1]', [8n]),
];

const selecting: OpCase[] = [
  {
    row: 'where',
    what: 'three shapes broadcast',
    inputs: { c: bools([2, 1], [1, 0]), a: f32([3], [1, 2, 3]), b: f32([1, 1], [-1]) },
    shapes: { c: ['n', 1] },
    build: ({ c, a, b }) => c.where(a, b),
    type: 'f32[n, 3]',
    values: [1, 2, 3, -1, -1, -1],
  },
  {
    row: 'where',
    what: 'one branch a number, i64',
    inputs: { c: bools([2], [1, 0]), a: longs(big, big) },
    build: ({ c, a }) => c.where(a, 0),
    type: 'i64[2]',
    values: [big, 0n],
  },
  {
    row: 'clip',
    what: 'f32',
    inputs: { x: f32([4], [-5, -1, 0.5, 7]) },
    build: ({ x }) => x.clip(-1, 2),
    type: 'f32[4]',
    values: [-1, -1, 0.5, 2],
  },
  {
    row: 'clip',
    what: 'i64 beyond 2^53',
    inputs: { x: longs(big, -big, 0n) },
    build: ({ x }) => x.clip(-4, 2 ** 60),
    type: 'i64[3]',
    values: [big, -4n, 0n],
  },
  {
    row: 'cast',
    what: 'f32 to i32 truncates',
    inputs: { x: f32([4], [-1.9, -0.5, 0.5, 2.9]) },
    shapes: { x: ['n'] },
    build: ({ x }) => x.cast('i32'),
    type: 'i32[n]',
    values: [-1, 0, 0, 2],
  },
  {
    row: 'cast',
    what: 'to bool',
    inputs: { x: f32([3], [0, -0.25, 3]) },
    build: ({ x }) => x.cast('bool'),
    type: 'bool[3]',
    values: [0, 1, 1],
  },
  {
    row: 'cast',
    what: 'i64 to u32 keeps the low bits',
    inputs: { x: longs(2n ** 60n + 5n, -1n) },
    build: ({ x }) => x.cast('u32'),
    type: 'u32[2]',
    values: [5, 4294967295],
  },
];

export const elementCases: readonly OpCase[] = [
  ...unaryCases,
  ...special,
  ...broadcastCases,
  ...integers,
  ...selecting,
];

const x32 = () => input('x', 'f32', ['n', 3]);

export const elementRefusals: readonly OpRefusal[] = [
  {
    row: 'add',
    what: 'sizes that do not broadcast',
    build: () => x32().add(input('y', 'f32', ['n', 4])),
    message: /add: f32\[n, 3\] x f32\[n, 4\].*do not broadcast/,
  },
  {
    row: 'add',
    what: 'two different named sizes',
    build: () => x32().add(input('y', 'f32', ['m', 3])),
    message: /do not broadcast/,
  },
  {
    row: 'mul',
    what: 'two element types',
    build: () => x32().mul(input('y', 'f64', ['n', 3])),
    message: /one element type/,
  },
  {
    row: 'exp',
    what: 'integers',
    build: () => input('i', 'i32', [2]).exp(),
    message: /float types/,
  },
  { row: 'not', what: 'floats', build: () => x32().not(), message: /bool types/ },
  { row: 'bitAnd', what: 'floats', build: () => x32().bitAnd(x32()), message: /integer types/ },
  {
    row: 'shiftLeft',
    what: 'signed types',
    build: () => input('i', 'i32', [2]).shiftLeft(1),
    message: /unsigned types/,
  },
  {
    row: 'add',
    what: 'a number that is no integer',
    build: () => input('i', 'i64', [2]).add(0.5),
    message: /add: i64\[2\]: i64 does not hold 0.5/,
  },
  {
    row: 'add',
    what: 'a number that would wrap',
    build: () => input('i', 'u8', [2]).add(-1),
    message: /u8 does not hold -1/,
  },
  {
    row: 'where',
    what: 'a condition that is not bool',
    build: () => x32().where(x32(), 0),
    message: /must be bool/,
  },
  {
    row: 'where',
    what: 'no branch that is a tensor',
    build: () => x32().isNan().where(0, 1),
    message: /one branch that is a tensor/,
  },
  {
    row: 'where',
    what: 'branches of two types',
    build: () => x32().isNan().where(x32(), scalar('f64', 1)),
    message: /one element type/,
  },
  {
    row: 'clip',
    what: 'bounds that the type lacks',
    build: () => input('i', 'u8', [2]).clip(-5, 300),
    message: /u8 does not hold -5/,
  },
];
