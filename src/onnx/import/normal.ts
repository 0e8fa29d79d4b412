// Softmax and its kin, normalisations, dropout (which inference leaves out).
import { type Dim, isFloat, type Shape, shapeSize, type Tensor } from '../../tensor/index.js';
import { axisOf } from '../../tensor/op.js';
import { hardmaxOf } from './indexing.js';
import type { Builder, NodeReader } from './node-reader.js';

/** Before opset 13 the axes from `axis` on (1 by default) were flattened into one. */
function alongAxis(apply: (x: Tensor, axis: number) => Tensor): Builder {
  return (n) => {
    const x = n.tensor(0);
    if (n.opset >= 13) return apply(x, n.int('axis', -1));
    const axis = axisOf(n.int('axis', 1), Math.max(2, x.rank));
    if (axis >= x.rank - 1) return apply(x, -1);
    const rows = shapeSize(x.shape.slice(0, axis));
    const flat = x.reshape(rows, shapeSize(x.shape.slice(axis)));
    return apply(flat, -1).reshape(...x.shape);
  };
}

/** Ones in all places but the channels', axis 1. */
const perChannel = (x: Tensor, vector: Tensor): Tensor =>
  vector.reshape(...x.shape.map<Dim>((_, i) => (i === 1 ? vector.shape[0] : 1)));

const trailing = (x: Tensor, from: number): number[] =>
  x.shape.flatMap((_, i) => (i >= from ? [i] : []));

/** The axes from `axis` on as one, and a vector that fits them. */
function lastAxes(n: NodeReader, x: Tensor) {
  const axis = axisOf(n.int('axis', -1), x.rank);
  const width: Shape = x.shape.slice(axis);
  const one = axis === x.rank - 1;
  return {
    axis,
    flat: one ? x : x.reshape(...x.shape.slice(0, axis), shapeSize(width)),
    vector: (v: Tensor) => {
      const full = v.rank === width.length && v.rank === 1 ? v : v.broadcastTo(...width);
      return one ? full : full.reshape(shapeSize(width));
    },
    restore: (y: Tensor) => (one ? y : y.reshape(...x.shape)),
  };
}

/** [normalised, mean, 1 / deviation] of what `sum` is; the last two are float32 or wider. */
function layerNormOf(n: NodeReader, x: Tensor, gain: Tensor, bias?: Tensor): Tensor[] {
  n.ignore('stash_type');
  const eps = n.float('epsilon', 1e-5);
  const { axis, flat, vector, restore } = lastAxes(n, x);
  const y = restore(flat.layerNorm(vector(gain), bias && vector(bias), eps));
  if (!n.wants(1) && !n.wants(2)) return [y];
  const wide = x.dtype === 'f64' ? x : x.cast('f32');
  const mean = wide.mean(trailing(x, axis), true);
  const centred = wide.sub(mean);
  const variance = centred.mul(centred).mean(trailing(x, axis), true);
  return [y, mean, variance.add(eps).sqrt().reciprocal()];
}

function rmsNormOf(n: NodeReader, x: Tensor, gain: Tensor): Tensor[] {
  n.ignore('stash_type');
  const eps = n.float('epsilon', 1e-5);
  const { axis, flat, vector, restore } = lastAxes(n, x);
  const y = restore(flat.rmsNorm(vector(gain), eps));
  if (!n.wants(1)) return [y];
  const wide = x.dtype === 'f64' ? x : x.cast('f32');
  const square = wide.mul(wide).mean(trailing(x, axis), true);
  return [y, square.add(eps).sqrt().reciprocal()];
}

const rmsNorm: Builder = (n) => rmsNormOf(n, n.tensor(0), n.tensor(1));

/** Norms of x + skip (+ bias); the sum is the fourth output. */
function skipNorm(n: NodeReader, simplified: boolean): Tensor[] {
  const sum = n.tensor(0).add(n.tensor(1));
  const bias = n.optional(simplified ? 3 : 4);
  const total = bias ? sum.add(bias) : sum;
  const parts = simplified
    ? rmsNormOf(n, total, n.tensor(2))
    : layerNormOf(n, total, n.tensor(2), n.optional(3));
  if (!n.wants(3)) return parts;
  if (n.wants(1) || n.wants(2)) {
    n.refuse({ what: 'statistics of a skip norm are not supported', expected: 'outputs 0 and 3' });
  }
  return [parts[0], parts[0], parts[0], total];
}

function standardise(x: Tensor, axes: readonly number[], eps: number): Tensor {
  const centred = x.sub(x.mean(axes, true));
  return centred.div(centred.mul(centred).mean(axes, true).add(eps).sqrt());
}

function batchNorm(n: NodeReader): Tensor {
  n.ignore('momentum', 'consumed_inputs', 'is_test');
  n.only('training_mode', 0);
  n.only('spatial', 1);
  const x = n.tensor(0);
  const [gain, bias, mean, variance] = [1, 2, 3, 4].map((i) => n.tensor(i));
  if (n.wants(1)) {
    n.refuse({ what: 'batch statistics are an output of training only', expected: '1 output' });
  }
  const eps = n.float('epsilon', 1e-5);
  const factor = gain.div(variance.cast(gain.dtype).add(eps).sqrt());
  const shift = bias.sub(mean.cast(gain.dtype).mul(factor));
  return x.mul(perChannel(x, factor.cast(x.dtype))).add(perChannel(x, shift.cast(x.dtype)));
}

function instanceNorm(n: NodeReader): Tensor {
  n.ignore('consumed_inputs');
  const [x, gain, bias] = [n.tensor(0), n.tensor(1), n.tensor(2)];
  const normal = standardise(x, trailing(x, 2), n.float('epsilon', 1e-5));
  return normal.mul(perChannel(x, gain)).add(perChannel(x, bias));
}

function groupNorm(n: NodeReader): Tensor {
  n.ignore('stash_type');
  const [x, gain, bias] = [n.tensor(0), n.tensor(1), n.tensor(2)];
  const groups = n.int('num_groups', 1);
  const grouped = x.reshape(x.shape[0], groups, -1);
  const normal = standardise(grouped, [2], n.float('epsilon', 1e-5));
  // Opset 18 has one gain for each group, 21 one for each channel.
  if (n.opset < 21) {
    const scaled = normal.mul(gain.reshape(1, groups, 1)).add(bias.reshape(1, groups, 1));
    return scaled.reshape(...x.shape);
  }
  const full = normal.reshape(...x.shape);
  return full.mul(perChannel(x, gain)).add(perChannel(x, bias));
}

function lpNorm(n: NodeReader): Tensor {
  const [x, axis, p] = [n.tensor(0), n.int('axis', -1), n.int('p', 2)];
  const size = p === 1 ? x.abs().sum(axis, true) : x.mul(x).sum(axis, true).sqrt();
  return x.div(size);
}

function dropout(n: NodeReader): Tensor | Tensor[] {
  n.ignore('seed', 'ratio', 'is_test', 'consumed_inputs');
  const x = n.tensor(0);
  if (n.optionalValue(2) && n.number(2) !== 0) {
    n.refuse({ what: 'dropout of training is not supported', expected: 'training_mode = false' });
  }
  if (!n.wants(1)) return x;
  const kept = x
    .operand(1)
    .cast('bool')
    .broadcastTo(...x.shape);
  return [x, n.opset >= 10 ? kept : kept.cast(x.dtype)];
}

export const normalisations: Readonly<Record<string, Builder>> = {
  Softmax: alongAxis((x, axis) => x.softmax(axis)),
  LogSoftmax: alongAxis((x, axis) => x.logSoftmax(axis)),
  Hardmax: alongAxis((x, axis) => hardmaxOf(x, axis)),
  LayerNormalization: (n) => layerNormOf(n, n.tensor(0), n.tensor(1), n.optional(2)),
  SimplifiedLayerNormalization: rmsNorm,
  RMSNormalization: rmsNorm,
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  MeanVarianceNormalization: (n) =>
    standardise(n.tensor(0), n.ints('axes') ?? [0, 2, 3], isFloat(n.value(0).dtype) ? 1e-9 : 0),
  LpNormalization: lpNorm,
  Dropout: dropout,
};

export const microsoftNormalisations: Readonly<Record<string, Builder>> = {
  SimplifiedLayerNormalization: rmsNorm,
  SkipLayerNormalization: (n) => skipNorm(n, false),
  SkipSimplifiedLayerNormalization: (n) => skipNorm(n, true),
};
