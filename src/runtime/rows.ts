// Writing rows of a larger array: the part of `target` that begins at `start` along `axis` takes the
// elements of `source`, whose shape is the target's in every other axis. Runs that are contiguous in
// both are copied at once.
import { type NDArray, sizeOf } from '../tensor/index.js';

/** Whether rows of shape `rows` fit a target from `start` on; `expected` is text for an error. */
export function rowsFit(
  target: readonly number[],
  rows: readonly number[],
  axis: number,
  start: number,
): boolean {
  return (
    Number.isInteger(axis) &&
    Number.isInteger(start) &&
    axis >= 0 &&
    axis < target.length &&
    start >= 0 &&
    rows.length === target.length &&
    rows.every((size, i) => (i === axis ? start + size <= target[i] : size === target[i]))
  );
}

export function writeRows(target: NDArray, source: NDArray, axis: number, start: number): void {
  const after = sizeOf(target.shape.slice(axis + 1));
  const blocks = sizeOf(target.shape.slice(0, axis));
  const run = source.shape[axis] * after;
  const stride = target.shape[axis] * after;
  const [to, from] = [target.data, source.data] as [Float32Array, Float32Array];
  for (let block = 0; block < blocks; block++) {
    to.set(from.subarray(block * run, (block + 1) * run), block * stride + start * after);
  }
}
