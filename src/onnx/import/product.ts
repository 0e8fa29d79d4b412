// Matrix products: MatMul and its relatives, Gemm, Einsum.
import { type Dim, einsum, iota, type Tensor } from '../../tensor/index.js';
import type { Builder, NodeReader } from './node-reader.js';

/** NumPy's rule: a vector on the left is a row, on the right a column, and its axis goes again. */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: { transposeA?: boolean; transposeB?: boolean; scale?: number } = {},
): Tensor {
  const row = a.rank === 1 ? a.unsqueeze(0) : a;
  const column = b.rank === 1 ? b.unsqueeze(1) : b;
  const product = row.matmul(column, options);
  const gone = [...(a.rank === 1 ? [-2] : []), ...(b.rank === 1 ? [-1] : [])];
  return gone.length > 0 ? product.squeeze(...gone) : product;
}

function fusedMatmul(n: NodeReader): Tensor {
  n.only('transBatchA', 0);
  n.only('transBatchB', 0);
  return matmul(n.tensor(0), n.tensor(1), {
    transposeA: n.flag('transA'),
    transposeB: n.flag('transB'),
    scale: n.float('alpha', 1),
  });
}

/** alpha A' B' + beta C. */
function gemm(n: NodeReader): Tensor {
  n.ignore('broadcast');
  const product = n.tensor(0).matmul(n.tensor(1), {
    transposeA: n.flag('transA'),
    transposeB: n.flag('transB'),
    scale: n.float('alpha', 1),
  });
  const beta = n.float('beta', 1);
  const addend = n.optional(2);
  if (!addend || beta === 0) return product;
  return product.add(beta === 1 ? addend : addend.mul(beta));
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** ONNX's equations: the result may be left out, `...` stands for further axes, `ii` is a diagonal. */
function einsumNode(n: NodeReader): Tensor {
  const equation = n.text('equation', '').replaceAll(' ', '');
  const tensors = n.tensors();
  const [left, right] = equation.split('->');
  const free = [...letters].filter((letter) => !equation.includes(letter));
  const parts = left.split(',');
  const extra = parts.map((part, i) =>
    part.includes('...') ? tensors[i].rank - part.replace('...', '').length : 0,
  );
  const most = Math.max(0, ...extra);
  // The further axes of all operands are aligned at the right.
  const spread = (part: string, count: number) =>
    part.replace('...', free.slice(most - count, most).join(''));
  const axes = parts.map((part, i) => spread(part, Math.max(0, extra[i])));
  const implicit = () => {
    const all = axes.join('');
    const once = [...new Set(all)].filter((axis) => all.split(axis).length === 2);
    const named = once.filter((axis) => !free.slice(0, most).includes(axis)).sort();
    return free.slice(0, most).join('') + named.join('');
  };
  const output = right === undefined ? implicit() : spread(right, most);
  const operands = tensors.map((x, i) => diagonal(x, axes[i]));
  const inputs = operands.map((operand) => operand.axes).join(',');
  return einsum(`${inputs}->${output}`, ...operands.map(({ x }) => x));
}

/** Repeated axes become one: elements off the diagonal are put to 0 and summed away. */
function diagonal(x: Tensor, axes: string): { x: Tensor; axes: string } {
  const again = [...axes].findIndex((axis, i) => axes.indexOf(axis) !== i);
  if (again < 0) return { x, axes };
  const first = axes.indexOf(axes[again]);
  const along = (axis: number) =>
    iota(x.shape[axis]).reshape(...x.shape.map<Dim>((d, i) => (i === axis ? d : 1)));
  const kept = along(first).equal(along(again)).where(x, x.operand(0)).sum(again);
  return diagonal(kept, axes.slice(0, again) + axes.slice(again + 1));
}

export const products: Readonly<Record<string, Builder>> = {
  MatMul: (n) => matmul(n.tensor(0), n.tensor(1)),
  Gemm: gemm,
  Einsum: einsumNode,
};

export const microsoftProducts: Readonly<Record<string, Builder>> = {
  FusedMatMul: fusedMatmul,
  TransposeMatMul: fusedMatmul,
};
