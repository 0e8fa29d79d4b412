// Every weight format, by name, and the two places where a graph meets them.
import { AnyformerError, nearest, type Tensor } from '../../tensor/index.js';
import type { Scope } from '../scope.js';
import { blockInt } from './block-int.js';
import { channelInt8 } from './channel-int8.js';
import { dense } from './dense.js';
import type { MatrixSize, MatrixSpec, Nested, WeightFormat } from './format.js';
import { fp4 } from './fp4.js';
import { lowRank } from './low-rank.js';

const all = [dense, blockInt, channelInt8, fp4, lowRank] as unknown as WeightFormat[];

export const formats: ReadonlyMap<string, WeightFormat> = new Map(
  all.map((format) => [format.name, format]),
);

/** The format of a spec and its options, checked. */
export function resolveFormat(
  spec: MatrixSpec,
  path: string,
): { format: WeightFormat; options: Readonly<Record<string, unknown>> } {
  const { format: name, ...given } = spec;
  const format = formats.get(name);
  if (!format) {
    throw new AnyformerError('format/unknown', {
      what: `the matrix '${path}' has an unknown weight format '${name}'`,
      expected: [...formats.keys()].join(', '),
      found: name,
      hint: `did you mean ${nearest(name, formats.keys(), 1)[0]}?`,
    });
  }
  const parsed = format.options.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AnyformerError('format/options', {
      what: `the weight format of '${path}' has a wrong option: ${name} ${issue.path.join('.')}`,
      expected: issue.message,
      found: JSON.stringify(given),
    });
  }
  return { format, options: parsed.data };
}

/**
 * x[..., columns] @ W^T -> [..., rows] with the matrix that stands at the scope; `native` is how it
 * lies where nothing compressed it.
 */
export function matrixProduct(s: Scope, x: Tensor, size: MatrixSize, native?: MatrixSpec): Tensor {
  const { format, options } = resolveFormat(s.matrix('product', size, native), s.path);
  return format.product(s, x, size, options, nested);
}

/** Rows of the matrix that stands at the scope: ids[...] -> [..., columns]. */
export function matrixLookup(s: Scope, ids: Tensor, size: MatrixSize): Tensor {
  const { format, options } = resolveFormat(s.matrix('lookup', size), s.path);
  return format.lookup(s, ids, size, options, nested);
}

const nested: Nested = { product: matrixProduct, lookup: matrixLookup };
