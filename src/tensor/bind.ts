// Finding the values of symbolic sizes from the shapes of concrete arrays.
import type { NDArray } from './array.js';
import { type Bindings, evaluateDim, plainName, showShape } from './dim.js';
import { AnyformerError, nearest } from './error.js';
import { showType } from './op.js';
import type { Tensor } from './tensor.js';

type Typed = Pick<NDArray, 'dtype' | 'shape'>;

/**
 * Checks arrays against the leaves that they feed (names, element types, shapes) and returns the
 * value of every named size. Known values may be given in `known`.
 */
export function bindShapes(
  leaves: ReadonlyMap<string, Tensor>,
  arrays: ReadonlyMap<string, Typed>,
  known: Bindings = {},
): Record<string, number> {
  const bindings: Record<string, number> = { ...known };
  for (const name of arrays.keys()) {
    if (!leaves.has(name)) {
      throw new AnyformerError('run/unknown-input', {
        what: `the graph has no input '${name}'`,
        expected: nearest(name, leaves.keys()).join(', ') || 'no inputs',
        found: name,
      });
    }
  }
  for (const [name, leaf] of leaves) {
    const array = arrays.get(name);
    if (!array) {
      throw new AnyformerError('run/missing-input', {
        what: `the input '${name}' was not given`,
        expected: showType(leaf),
        found: `inputs ${[...arrays.keys()].join(', ') || 'none'}`,
      });
    }
    if (array.dtype !== leaf.dtype || array.shape.length !== leaf.rank)
      throw mismatch(name, leaf, array);
    leaf.shape.forEach((d, i) => {
      const plain = plainName(d);
      if (plain !== undefined && !Object.hasOwn(bindings, plain)) bindings[plain] = array.shape[i];
    });
  }
  for (const [name, leaf] of leaves) {
    const array = arrays.get(name);
    if (array && leaf.shape.some((d, i) => evaluateDim(d, bindings) !== array.shape[i])) {
      throw mismatch(name, leaf, array, bindings);
    }
  }
  return bindings;
}

function mismatch(
  name: string,
  leaf: Tensor,
  array: Typed,
  bindings: Bindings = {},
): AnyformerError {
  const values = Object.entries(bindings).map(([key, value]) => `${key} = ${value}`);
  return new AnyformerError('run/shape', {
    what: `the input '${name}' does not fit`,
    expected: `${showType(leaf)}${values.length > 0 ? ` with ${values.join(', ')}` : ''}`,
    found: `${array.dtype}${showShape(array.shape)}`,
  });
}
