// A sum over rows that a smaller product already holds: rowsum((A Bt) * C) = rowsum(A * (C B)). With
// C the attention pattern, B the values and A the gradient of the output, C B is the output itself:
// the gradient of softmax then needs no product of the size queries x keys (Dao et al. 2022,
// "FlashAttention", section B.2).
import { sameShape } from './dim.js';
import { type Graph, rewrite } from './graph.js';
import type { MatmulAttributes } from './ops/matmul.js';
import type { Node, Tensor } from './tensor.js';

/** Takes row sums of a product from another one where that one is computed anyway. */
export function shareRowSums(g: Graph): Graph {
  const products = new Map<string, Tensor>();
  return rewrite(g, (node, inputs, copy) => {
    if (node.row.name === 'matmul') {
      const out = copy(inputs);
      const { transposeA, transposeB } = node.attributes as MatmulAttributes;
      if (!transposeA) products.set(keyOf(inputs[0], inputs[1], transposeB), out[0]);
      return out;
    }
    const terms = summedRows(node, inputs);
    if (!terms) return copy(inputs);
    for (const [product, other] of [terms, [terms[1], terms[0]]]) {
      if (product.node.row.name !== 'matmul') continue;
      const { transposeA, transposeB, scale } = product.node.attributes as MatmulAttributes;
      const [a, b] = product.node.inputs;
      const held = products.get(keyOf(other, b, !transposeB));
      if (transposeA || !held || !sameShape(held.shape, a.shape)) continue;
      const ratio = scale / (held.node.attributes as MatmulAttributes).scale;
      const sum = a.mul(held).sum(-1, (node.attributes as { keep: boolean }).keep);
      return [ratio === 1 ? sum : sum.mul(ratio)];
    }
    return copy(inputs);
  });
}

const nameOf = ({ node, index }: Tensor): string => `${node.id}.${index}`;
const keyOf = (a: Tensor, b: Tensor, transposeB: boolean): string =>
  `${nameOf(a)} ${nameOf(b)} ${transposeB}`;

/** The factors of a sum over the last axis of a product of two equally shaped tensors. */
function summedRows(node: Node, [x]: readonly Tensor[]): [Tensor, Tensor] | undefined {
  if (node.row.name !== 'sum' || x.node.row.name !== 'mul') return undefined;
  const { axes } = node.attributes as { axes: readonly number[] };
  const [a, b] = x.node.inputs;
  const fits = axes.length === 1 && axes[0] === x.rank - 1 && sameShape(a.shape, b.shape);
  return fits ? [a, b] : undefined;
}
