// The operators that can be imported: one row each, by domain and name.
import { nearest } from '../../tensor/index.js';
import type { OnnxNode } from '../model.js';
import { elementwise, microsoftElementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import { losses } from './loss.js';
import { type Builder, importError, labelOf } from './node-reader.js';
import { microsoftNormalisations, normalisations } from './normal.js';
import { microsoftProducts, products } from './product.js';
import { microsoftQuantised, quantised } from './quantised.js';
import { reductions } from './reduce.js';
import { resizing } from './resize.js';
import { shaping } from './shaping.js';
import { slicing } from './slicing.js';
import { windows } from './window.js';

const table = (...parts: readonly Readonly<Record<string, Builder>>[]) =>
  new Map(parts.flatMap((part) => Object.entries(part)));

/** Builders by domain ('' is the standard one), then operator. */
export const builders: ReadonlyMap<string, ReadonlyMap<string, Builder>> = new Map([
  [
    '',
    table(
      elementwise,
      reductions,
      shaping,
      slicing,
      indexing,
      products,
      normalisations,
      windows,
      resizing,
      quantised,
      losses,
    ),
  ],
  [
    'com.microsoft',
    table(microsoftElementwise, microsoftProducts, microsoftNormalisations, microsoftQuantised),
  ],
]);

/** The builder of a node's operator. */
export function builderOf(node: OnnxNode): Builder {
  const ops = builders.get(node.domain);
  const builder = ops?.get(node.op);
  if (builder) return builder;
  throw importError({
    what: `${labelOf(node)}: this operator cannot be imported`,
    expected: ops
      ? `one of ${ops.size + 2} operators, such as ${nearest(node.op.slice(0, 80), ops.keys()).join(', ')}`
      : `an operator of the domains ${[...builders.keys()].map((name) => `'${name}'`).join(', ')}`,
    found: `${node.domain === '' ? '' : `${node.domain}.`}${node.op}`,
  });
}
