// Average pooling as a token mixer (PoolFormer, Yu et al. 2022): the mean of the neighbours within a
// window, minus the token itself, since the block adds it back. No parameters. Neighbours outside the
// sequence, outside the grid, or hidden by the mask are not counted, so a causal mask makes it causal.
// Without a mask it is one pooling operation; with one, a sum of shifted copies: linear in the length.
import { z } from 'zod';
import { AnyformerError, addDims, currentPath, iota, type Tensor } from '../tensor/index.js';
import { tokenMixer } from './mixer.js';

const options = z.strictObject({
  /** Width of the window, odd: tokens to both sides, or rows and columns of the grid. */
  window: z
    .int()
    .positive()
    .refine((width) => width % 2 === 1, { message: 'an odd width, centred on its token' })
    .default(3),
  /** Columns of the grid that the tokens form, row by row; a line without it. */
  columns: z.int().positive().optional(),
});
export type PoolingOptions = z.input<typeof options>;
type Options = z.output<typeof options>;

export const pooling = tokenMixer<Options>({
  name: 'pooling',
  options,
  causal: 'both',
  mix: (s, x, o, { mask }) =>
    s.module('pooling', () => (mask ? maskedMean(x, o, mask) : windowMean(x, o)).sub(x)),
});

/** [batch, seq, width] by one pooling operation over [batch, width, ...grid]. */
function windowMean(x: Tensor, { window, columns }: Options): Tensor {
  const [batch, seq, width] = x.shape;
  const features = x.swap(1, 2);
  const grid = columns === undefined ? features : features.reshape(batch, width, -1, columns);
  const padding = (window - 1) / 2;
  return grid.averagePool(window, { stride: 1, padding }).reshape(batch, width, seq).swap(1, 2);
}

/** Mean over the neighbours that the mask lets through; a query that sees none keeps its own token. */
function maskedMean(x: Tensor, { window, columns }: Options, mask: Tensor): Tensor {
  const [batch, seq] = x.shape;
  const reach = (window - 1) / 2;
  const steps = Array.from({ length: window }, (_, i) => i - reach);
  const moves =
    columns === undefined
      ? steps.map((column) => ({ row: 0, column }))
      : steps.flatMap((row) => steps.map((column) => ({ row, column })));
  const heads = mask.rank === 4 ? mask.size(1) : 1;
  if (heads !== 1) {
    throw new AnyformerError('mixer/mask', {
      what: `${currentPath() || 'pooling'}: pooling has no heads`,
      expected: 'one mask for all heads',
      found: `a mask of ${heads}`,
    });
  }
  const far = reach * ((columns ?? 0) + 1);
  const sees = mask.cast('f32').broadcastTo(batch, 1, seq, seq).squeeze(1).pad(2, far, far);
  const padded = x.pad(1, far, far);
  const place = iota(seq);
  let sum: Tensor | undefined;
  let count: Tensor | undefined;
  for (const { row, column } of moves) {
    const offset = row * (columns ?? 0) + column;
    const at = place
      .add(far + offset)
      .unsqueeze(0, 2)
      .broadcastTo(batch, seq, 1);
    const seen = sees.gatherElements(at, 2); // [batch, seq, 1]
    const weight = columns === undefined ? seen : seen.mul(inside(place, column, columns));
    const moved = padded.slice(1, far + offset, addDims(seq, far + offset));
    const term = weight.greater(0).where(moved, 0);
    sum = sum ? sum.add(term) : term;
    count = count ? count.add(weight) : weight;
  }
  return sum && count ? count.greater(0).where(sum.div(count.maximum(1)), x) : x;
}

/** 1 where a move of `column` stays in the row of the grid: [1, seq, 1]. */
function inside(place: Tensor, column: number, columns: number): Tensor {
  const at = place.mod(columns).add(column);
  return at.greaterEqual(0).and(at.less(columns)).cast('f32').unsqueeze(0, 2);
}
