// Linear maps and embedding tables over whatever weight format stands at their scope.
import { AnyformerError, currentPath, type Tensor } from '../tensor/index.js';
import { transposedDense } from './formats/dense.js';
import { matrixLookup, matrixProduct } from './formats/registry.js';
import type { Scope } from './scope.js';

/**
 * x[..., in] @ W^T + b -> [..., out]. The activation that enters is tagged `<path>.input`. A
 * checkpoint stores W as [out, in], or `transposed`.
 */
export function linear(
  s: Scope,
  x: Tensor,
  out: number,
  { bias = false, transposed = false } = {},
): Tensor {
  return s.module('linear', () => {
    const size = { rows: out, columns: fixedWidth(x) };
    const native = transposed ? transposedDense : undefined;
    const product = matrixProduct(s, s.tag('input', x), size, native);
    return bias ? product.add(s.parameter('bias', [out])) : product;
  });
}

/** Rows of the table at the scope: ids[...] -> [..., width]. */
export function embedding(s: Scope, ids: Tensor, vocabulary: number, width: number): Tensor {
  return s.module('embedding', () => matrixLookup(s, ids, { rows: vocabulary, columns: width }));
}

/** Scores of every table entry: hidden [..., width] -> [..., vocabulary]. The table may be tied. */
export function unembedding(s: Scope, hidden: Tensor, vocabulary: number): Tensor {
  const size = { rows: vocabulary, columns: fixedWidth(hidden) };
  return s.module('head', () => matrixProduct(s, hidden, size));
}

/** The width of the last axis, which models need as a number. */
export function fixedWidth(x: Tensor): number {
  const width = x.size(-1);
  if (typeof width === 'number') return width;
  throw new AnyformerError('nn/width', {
    what: `${currentPath() || 'the model'}: the width of the activations must be known`,
    expected: 'a number as the last axis',
    found: String(x),
  });
}
