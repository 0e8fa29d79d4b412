// Gathers and scatters, and tensors made of positions: ranges, masks, one-hot rows.
import {
  ceilDiv,
  constant,
  type Dim,
  type DType,
  fromNumbers,
  iota,
  subDims,
  type Tensor,
  toNumbers,
} from '../../tensor/index.js';
import { elementType } from './elementwise.js';
import type { Builder, NodeReader } from './node-reader.js';
import { knownLimit } from './value.js';

const reductions = ['none', 'add', 'mul', 'max', 'min'] as const;

function reductionOf(n: NodeReader): (typeof reductions)[number] {
  const name = n.text('reduction', 'none');
  const found = reductions.find((one) => one === name);
  if (found) return found;
  return n.refuse({
    what: 'this reduction is not supported',
    expected: reductions.join(', '),
    found: name,
  });
}

/** Positions may be counted from the end by any integer type. */
const positions = (x: Tensor): Tensor =>
  x.dtype === 'i64' || x.dtype === 'i32' ? x : x.cast('i64');

const scatterElements: Builder = (n) => {
  const axis = n.int('axis', 0);
  return n.tensor(0).scatterElements(positions(n.tensor(1)), n.tensor(2), axis, reductionOf(n));
};

/** start, start + delta, ... before limit. The number of elements must be known, or a size. */
function range(n: NodeReader): Tensor {
  const { dtype } = n.value(0);
  const delta = n.optionalValue(2) ? n.number(2) : 1;
  const [start] = n.sizes(0);
  const [limit] = n.sizes(1);
  const vector = (size: Dim) => iota(size).cast(dtype);
  if (typeof start === 'number' && typeof limit === 'number') {
    const size = Math.max(0, Math.ceil((limit - start) / delta));
    if (start === 0 && delta === 1) return vector(size);
    if (size > knownLimit) return vector(size).mul(delta).add(start);
    const values = Array.from({ length: size }, (_, i) => start + i * delta);
    return constant(fromNumbers(dtype, [size], values));
  }
  if (!Number.isInteger(delta) || delta < 1) {
    return n.refuse({
      what: 'a range between symbolic sizes goes up by whole steps',
      expected: 'a step of 1 or more',
      found: `${delta}`,
    });
  }
  const counted = vector(ceilDiv(subDims(limit, start), delta));
  const scaled = delta === 1 ? counted : counted.mul(delta);
  return start === 0 ? scaled : scaled.add(n.tensor(0));
}

/** Places (row, column) of the last two axes where column - row >= k, or <= k. */
function diagonalMask(rows: Dim, columns: Dim, upper: boolean, k: Tensor | number): Tensor {
  const difference = iota(columns).sub(iota(rows).unsqueeze(1));
  return upper ? difference.greaterEqual(k) : difference.lessEqual(k);
}

function trilu(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const k = n.optionalValue(1) ? n.tensor(1).reshape() : 0;
  const mask = diagonalMask(x.size(-2), x.size(-1), n.flag('upper', true), k);
  return mask.where(x, x.operand(0));
}

function eyeLike(n: NodeReader): Tensor {
  const x = n.value(0);
  const [rows, columns] = x.shape;
  const difference = iota(columns).sub(iota(rows).unsqueeze(1));
  return difference.equal(n.int('k', 0)).cast(elementType(n, 'dtype', x.dtype));
}

function oneHot(n: NodeReader): Tensor {
  const [depth] = n.sizes(1);
  const values = n.tensor(2);
  const raw = n.tensor(0).cast('i64');
  const count = n.optionalValue(1)?.array ? n.number(1) : depth;
  const size = typeof count === 'number' ? Math.trunc(count) : count;
  const wrapped = typeof size === 'number' ? raw.less(0).where(raw.add(size), raw) : raw;
  const axis = n.int('axis', -1);
  const at = axis < 0 ? axis + raw.rank + 1 : axis;
  const places = iota(size).reshape(size, ...Array<number>(raw.rank - at).fill(1));
  const hot = wrapped.unsqueeze(at).equal(places);
  const [off, on] = [0, 1].map((i) => values.slice(0, i, i + 1).reshape());
  return hot.where(on, off);
}

function constantOfShape(n: NodeReader): Tensor {
  const value = n.tensorAttribute('value');
  const filler = value ? constant(value).reshape() : constant(fromNumbers('f32', [], [0]));
  return filler.broadcastTo(...n.sizes(0));
}

/** 1 at the first largest element of an axis, 0 elsewhere. */
export function hardmaxOf(x: Tensor, axis: number, dtype: DType = x.dtype): Tensor {
  const at = axis < 0 ? axis + x.rank : axis;
  const places = iota(x.size(at)).reshape(...x.shape.map((d, i) => (i === at ? d : 1)));
  return x.argMax(at, true).equal(places).cast(dtype);
}

/** Rows of an axis where a condition holds, both known at import time. */
function compress(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const axis = n.optionalInt('axis');
  const taken = n.numbers(1).flatMap((value, i) => (value !== 0 ? [i] : []));
  const rows = constant(fromNumbers('i64', [taken.length], taken));
  return axis === undefined ? x.reshape(-1).gather(rows, 0) : x.gather(rows, axis);
}

/** Positions other than 0, of a value known at import time: [rank, count]. */
function nonZero(n: NodeReader): Tensor {
  const array = n.array(0);
  const found = Array.from(toNumbers(array)).flatMap((value, i) => (value !== 0 ? [i] : []));
  let rest = found;
  const rows = [...array.shape].reverse().map((size) => {
    const row = rest.map((at) => at % size);
    rest = rest.map((at) => Math.floor(at / size));
    return row;
  });
  return constant(fromNumbers('i64', [array.shape.length, found.length], rows.reverse().flat()));
}

export const indexing: Readonly<Record<string, Builder>> = {
  Gather: (n) => n.tensor(0).gather(positions(n.tensor(1)), n.int('axis', 0)),
  GatherElements: (n) => n.tensor(0).gatherElements(positions(n.tensor(1)), n.int('axis', 0)),
  GatherND: (n) => n.tensor(0).gatherNd(positions(n.tensor(1)), n.int('batch_dims', 0)),
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: (n) => n.tensor(0).scatterNd(positions(n.tensor(1)), n.tensor(2), reductionOf(n)),
  Range: range,
  Trilu: trilu,
  EyeLike: eyeLike,
  OneHot: oneHot,
  ConstantOfShape: constantOfShape,
  Compress: compress,
  NonZero: nonZero,
};
