// W ~ U V: two thin matrices, `down` [rank, columns] and `up` [rows, rank], each a matrix of its own
// with its own format, so that factors may be quantised afterwards. A matrix that is looked up in
// stores U as `codes` [rows, rank] and V transposed as `table` [columns, rank].
import { z } from 'zod';
import { AnyformerError, fromNumbers, toNumbers } from '../../tensor/index.js';
import { defineFormat, type MatrixSize, type StoredTensors } from './format.js';

export const lowRank = defineFormat({
  name: 'low-rank',
  options: z.strictObject({ rank: z.int().positive() }),
  product: (s, x, { rows, columns }, { rank }, { product }) =>
    product(s.at('up'), product(s.at('down'), x, { rows: rank, columns }), { rows, columns: rank }),
  lookup: (s, ids, { rows, columns }, { rank }, { product, lookup }) =>
    product(s.at('table'), lookup(s.at('codes'), ids, { rows, columns: rank }), {
      rows: columns,
      columns: rank,
    }),
  encode: () => {
    throw new AnyformerError('format/encode', {
      what: 'a matrix is factored by a compression pass, which knows what to keep',
      hint: "use the pass 'low-rank'",
    });
  },
  decode: (stored, size, { rank }) => {
    const { rows, columns } = size;
    const [up, down] = factors(stored, size, rank);
    const out = new Float64Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let r = 0; r < rank; r++) {
        const factor = up[row * rank + r];
        for (let k = 0; k < columns; k++) out[row * columns + k] += factor * down(r, k);
      }
    }
    return fromNumbers('f32', [rows, columns], out);
  },
  executionError: () => 1e-5,
});

/** U [rows, rank] and V(r, k), of dense factors for products or for look-ups. */
function factors(
  stored: StoredTensors,
  { columns }: MatrixSize,
  rank: number,
): [up: Float64Array, down: (r: number, k: number) => number] {
  const [up, down] = [stored['up.weight'], stored['down.weight']];
  if (up && down) {
    const values = toNumbers(down);
    return [toNumbers(up), (r, k) => values[r * columns + k]];
  }
  const [codes, table] = [stored['codes.weight'], stored['table.weight']];
  if (codes && table) {
    const values = toNumbers(table);
    return [toNumbers(codes), (r, k) => values[k * rank + r]];
  }
  throw new AnyformerError('format/decode', {
    what: 'the factors of a low-rank matrix are missing or are not dense',
    expected: 'up.weight and down.weight, or codes.weight and table.weight',
    found: Object.keys(stored).join(', ') || 'nothing',
    hint: 'decode the factors first',
  });
}
