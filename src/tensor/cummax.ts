// The running maximum along an axis, which ONNX has no operator for: by doubling where the size is
// known (log2 n steps, each over the whole tensor), by a scan where it is a name.

import { concat } from './leaves.js';
import { axisOf } from './op.js';
import { scan } from './scan.js';
import type { Tensor } from './tensor.js';

/** max(x[0], ..., x[i]) along an axis, from the end with `reverse`. */
export function cummax(x: Tensor, axis: number, { reverse = false } = {}): Tensor {
  const at = axisOf(axis, x.rank);
  if (reverse) return cummax(x.flip(at), at).flip(at);
  const size = x.size(at);
  if (typeof size !== 'number') return scanned(x, at);
  let result = x;
  for (let width = 1; width < size; width *= 2) {
    const earlier = result.slice(at, 0, size - width);
    const later = result.slice(at, width).maximum(earlier);
    result = concat([result.slice(at, 0, width), later], at);
  }
  return result;
}

function scanned(x: Tensor, axis: number): Tensor {
  const first = x.slice(axis, 0, 1).squeeze(axis);
  const { outputs } = scan({
    states: [first],
    inputs: [x],
    axis,
    step: ([largest], [here]) => {
      const next = largest.maximum(here);
      return { states: [next], outputs: [next] };
    },
  });
  return outputs[0];
}
