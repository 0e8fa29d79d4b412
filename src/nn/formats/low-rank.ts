// W ~ U V: two thin matrices, `down` [rank, columns] and `up` [rows, rank], each a matrix of its own
// with its own format, so that factors may be quantised afterwards.
import { z } from 'zod';
import { AnyformerError, fromNumbers, toNumbers } from '../../tensor/index.js';
import { defineFormat } from './format.js';

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
  decode: (stored, { rows, columns }, { rank }) => {
    const [up, down] = [toNumbers(stored['up.weight']), toNumbers(stored['down.weight'])];
    const out = new Float64Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let r = 0; r < rank; r++) {
        const factor = up[row * rank + r];
        for (let k = 0; k < columns; k++) out[row * columns + k] += factor * down[r * columns + k];
      }
    }
    return fromNumbers('f32', [rows, columns], out);
  },
  executionError: 1e-5,
});
