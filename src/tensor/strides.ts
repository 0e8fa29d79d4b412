// Index arithmetic shared by the reference kernels.

/** Elements to skip for one step along each axis of a row-major array. */
export function strides(shape: readonly number[]): number[] {
  const out = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    out[axis] = step;
    step *= shape[axis];
  }
  return out;
}

/** Maps a flat index of `to` to the flat index of `from` that broadcasts onto it. */
export function broadcastIndex(
  from: readonly number[],
  to: readonly number[],
): (index: number) => number {
  if (from.length === to.length && from.every((size, i) => size === to[i])) return (index) => index;
  const source = strides(from);
  const target = strides(to);
  const lead = to.length - from.length;
  const steps = to.map((_, axis) =>
    axis < lead || from[axis - lead] === 1 ? 0 : source[axis - lead],
  );
  return (index) => {
    let at = 0;
    let rest = index;
    for (let axis = 0; axis < to.length; axis++) {
      const coordinate = Math.floor(rest / target[axis]);
      rest -= coordinate * target[axis];
      at += coordinate * steps[axis];
    }
    return at;
  };
}

/** Visits every coordinate of `shape` in row-major order; the array handed out is reused. */
export function* coordinates(shape: readonly number[]): Generator<readonly number[]> {
  const at = shape.map(() => 0);
  if (shape.some((size) => size === 0)) return;
  for (;;) {
    yield at;
    let axis = shape.length - 1;
    while (axis >= 0 && ++at[axis] === shape[axis]) at[axis--] = 0;
    if (axis < 0) return;
  }
}

/** Splits a shape at an axis: [elements before, the axis, elements after]. */
export function around(shape: readonly number[], axis: number): [number, number, number] {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  return [product(shape.slice(0, axis)), shape[axis], product(shape.slice(axis + 1))];
}
