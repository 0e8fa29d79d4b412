// Cases of the matrix products with packed weights.
import { build, fromNumbers, input } from '../../../src/tensor/index.js';
import { dynamicQuantizeMatmul, matmulNBits } from '../../../src/tensor/ops/quantized.js';
import { f32, randomArray, range, reader, table, total } from '../arrays.js';
import type { OpCase, OpRefusal } from './case.js';

const [rows, columns, block] = [3, 20, 16];
const x = randomArray('f32', [2, columns], 41);
const xAt = reader(x);
/** Rows of two blocks of 16; the second block is 4 codes and padding. */
const codes = table([rows, 32], (r, k) => (k < columns ? (7 * r + 3 * k) % 16 : 8));
const scales = randomArray('f32', [rows, 2], 42, 0.25, 1);
const scaleAt = reader(scales);

const packed = (bits: 4 | 8, offset: number): OpCase => ({
  row: 'matmulNBits',
  what: `${bits} bits, a last block that is not full`,
  inputs: {
    x,
    codes:
      bits === 4
        ? fromNumbers(
            'u8',
            [rows, 2, 8],
            range(rows * 16).map((i) => codes[2 * i] + 16 * codes[2 * i + 1]),
          )
        : fromNumbers('u8', [rows, 2, 16], codes),
    scales,
  },
  shapes: { x: ['n', columns] },
  build: (leaf) =>
    build(matmulNBits, [leaf.x, leaf.codes, leaf.scales], {
      rows,
      columns,
      bits,
      block,
      accuracy: 1,
    }),
  type: `f32[n, ${rows}]`,
  values: table([2, rows], (i, r) =>
    total(
      range(columns).map(
        (k) => xAt(i, k) * (codes[32 * r + k] - offset) * scaleAt(r, k < block ? 0 : 1),
      ),
    ),
  ),
  tolerance: 1e-5,
});

const integers = fromNumbers('i8', [3, 2], [1, -2, 3, 4, -5, 127]);

/** Bytes with every extreme among them; three of 16 in each sum would pass 2^15. */
const bytes = (dtype: 'u8' | 'i8', shape: readonly number[], salt: number) =>
  fromNumbers(
    dtype,
    shape,
    table(shape, (...at) => {
      const value = (at.reduce((sum, v, i) => sum + v * (5 + 2 * i), salt) * 85) % 256;
      return dtype === 'i8' ? value - 128 : value;
    }),
  );

const products: OpCase[] = (['u8', 'i8'] as const).flatMap((left) =>
  (['u8', 'i8'] as const).map((right): OpCase => {
    const [a, b] = [bytes(left, [2, 3, 16], 3), bytes(right, [16, 2], 1)];
    const [aAt, bAt] = [reader(a), reader(b)];
    return {
      row: 'matmulInteger',
      what: `${left} by ${right}`,
      inputs: { a, b },
      shapes: { a: ['n', 3, 16] },
      build: (leaf) => leaf.a.matmulInteger(leaf.b),
      type: 'i32[n, 3, 2]',
      values: table([2, 3, 2], (n, i, j) => total(range(16).map((k) => aAt(n, i, k) * bAt(k, j)))),
    };
  }),
);

export const packedCases: readonly OpCase[] = [
  ...products,
  packed(4, 8),
  packed(8, 128),
  {
    row: 'dynamicQuantizeMatmul',
    what: 'activations on the grid of their own scale are exact',
    // 0..255 in steps of 1: scale 1, zero point 0.
    inputs: { x: f32([2, 3], [0, 255, 7, 100, 3, 1]), codes: integers, scales: f32([2], [0.5, 2]) },
    shapes: { x: ['n', 3] },
    build: (leaf) => build(dynamicQuantizeMatmul, [leaf.x, leaf.codes, leaf.scales]),
    type: 'f32[n, 2]',
    values: [
      0.5 * (3 * 255 - 5 * 7),
      2 * (4 * 255 + 127 * 7),
      0.5 * (100 + 9 - 5),
      2 * (-200 + 12 + 127),
    ],
    tolerance: 1e-6,
  },
];

export const packedRefusals: readonly OpRefusal[] = [
  {
    row: 'matmulInteger',
    what: 'wide integers',
    build: () => input('a', 'i32', [2, 2]).matmulInteger(input('b', 'u8', [2, 2])),
    message: /8 bits/,
  },
  {
    row: 'matmulInteger',
    what: 'other inner sizes',
    build: () => input('a', 'u8', [2, 3]).matmulInteger(input('b', 'u8', [2, 2])),
    message: /do not multiply/,
  },
  {
    row: 'matmulNBits',
    what: 'codes of another layout',
    build: () =>
      build(
        matmulNBits,
        [
          input('x', 'f32', [1, columns]),
          input('c', 'u8', [rows, 2, 16]),
          input('s', 'f32', [rows, 2]),
        ],
        { rows, columns, bits: 4, block, accuracy: 1 },
      ),
    message: /codes do not fit/,
  },
  {
    row: 'dynamicQuantizeMatmul',
    what: 'activations of another width',
    build: () =>
      build(dynamicQuantizeMatmul, [
        input('x', 'f32', [1, 4]),
        input('c', 'i8', [3, 2]),
        input('s', 'f32', [2]),
      ]),
    message: /do not fit the matrix/,
  },
];
