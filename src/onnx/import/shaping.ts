// Operators that arrange elements: shapes, axes, joining and repeating.
import {
  broadcast,
  concat,
  type Dim,
  mulDims,
  rearrange,
  type Shape,
  shapeSize,
  showShape,
  type Tensor,
} from '../../tensor/index.js';
import { axisOf } from '../../tensor/op.js';
import type { Builder, NodeReader } from './node-reader.js';
import { Value } from './value.js';

function reshape(n: NodeReader): Tensor {
  n.ignore('consumed_inputs');
  const x = n.tensor(0);
  const literal = n.flag('allowzero');
  const target = n.ints('shape') ?? n.sizes(1);
  return x.reshape(...target.map((d, i) => (d === 0 && !literal ? (x.shape[i] ?? 0) : d)));
}

function flatten(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const axis = n.int('axis', 1);
  const at = axis < 0 ? axis + x.rank : axis;
  return x.reshape(shapeSize(x.shape.slice(0, at)), shapeSize(x.shape.slice(at)));
}

function squeeze(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const axes = n.intsOrInput('axes', 1);
  return x.squeeze(...(axes ?? x.shape.flatMap((d, i) => (d === 1 ? [i] : []))));
}

function expand(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const target = n.sizes(1);
  const shape = broadcast(x.shape, target);
  if (shape) return x.broadcastTo(...shape);
  return n.refuse({
    what: `${showShape(x.shape)} does not expand to ${showShape(target)}`,
    expected: 'sizes that are equal or 1',
    found: showShape(target),
  });
}

/** [a, b] tiled (r, s): [1, a, 1, b] -> [r, a, s, b] -> [r a, s b]. */
function tile(n: NodeReader): Tensor {
  const x = n.tensor(0);
  let repeats: Dim[];
  if (n.opset < 6) {
    const axis = axisOf(n.number(2), x.rank);
    repeats = x.shape.map((_, i) => (i === axis ? n.sizes(1)[0] : 1));
  } else repeats = n.sizes(1);
  if (repeats.length !== x.rank) {
    n.refuse({
      what: 'a tile needs one number of repeats for each axis',
      expected: `${x.rank}`,
      found: `${repeats.length}`,
    });
  }
  const once = repeats.every((count) => count === 1);
  if (once) return x;
  return x
    .reshape(...x.shape.flatMap((d) => [1, d]))
    .broadcastTo(...x.shape.flatMap((d, i) => [repeats[i], d]))
    .reshape(...x.shape.map((d, i) => mulDims(d, repeats[i])));
}

function split(n: NodeReader): Tensor[] {
  const x = n.tensor(0);
  const axis = n.int('axis', 0);
  n.ignore('num_outputs');
  const parts = n.node.outputs.length;
  const given = n.intsOrInput('split', 1);
  if (given) return x.split(axis, given);
  const size = x.size(axis);
  if (typeof size !== 'number') {
    return n.refuse({
      what: 'an axis of symbolic size is split without sizes',
      expected: 'the sizes of the parts, or a fixed size',
      found: `${size}`,
      hint: 'give options.sizes',
    });
  }
  const most = Math.ceil(size / parts);
  return x.split(
    axis,
    Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(most, size - i * most))),
  );
}

function depthToSpace(n: NodeReader): Tensor {
  const sizes = { p: n.int('blocksize', 1), q: n.int('blocksize', 1) };
  const mode = n.text('mode', 'DCR');
  const pattern =
    mode === 'DCR' ? 'b (p q c) h w -> b c (h p) (w q)' : 'b (c p q) h w -> b c (h p) (w q)';
  return rearrange(n.tensor(0), pattern, sizes);
}

const spaceToDepth: Builder = (n) =>
  rearrange(n.tensor(0), 'b c (h p) (w q) -> b (p q c) h w', {
    p: n.int('blocksize', 1),
    q: n.int('blocksize', 1),
  });

const longs = (items: readonly Dim[], shape: readonly number[]): Value =>
  Value.sizes({ dtype: 'i64', shape, items });

function shape(n: NodeReader): Value {
  const all: Shape = n.value(0).shape;
  const items = all.slice(n.int('start', 0), n.optionalInt('end'));
  return longs(items, [items.length]);
}

function transpose(n: NodeReader): Tensor {
  const x = n.tensor(0);
  const perm = n.ints('perm') ?? [];
  return x.transpose(...(perm.length > 0 ? perm : x.shape.map((_, i) => x.rank - 1 - i)));
}

export const shaping: Readonly<Record<string, Builder>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: (n) => n.tensor(0).unsqueeze(...(n.intsOrInput('axes', 1) ?? [])),
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: (n) => concat(n.tensors(), n.int('axis', 1)),
  Split: split,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Shape: shape,
  Size: (n) => longs([shapeSize(n.value(0).shape)], []),
  Identity: (n) => n.value(0),
};
