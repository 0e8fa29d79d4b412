// Row-wise normalisations that run as one kernel: softmax, layer norm, RMS norm.
import { fromNumbers, sizeOf, toNumbers } from '../array.js';
import { sameDim, showShape } from '../dim.js';
import { isFloat } from '../dtype.js';
import {
  axisOf,
  type ConcreteType,
  defineOp,
  type Emitter,
  float,
  int,
  type OpRow,
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';
import { around } from '../strides.js';
import type { Tensor } from '../tensor.js';
import { unbroadcast } from './element.js';

const needFloat = ({ dtype }: TensorType): void => {
  if (!isFloat(dtype)) reject('a normalisation needs floats', 'a float type', dtype);
};

const size = ([{ shape }]: readonly ConcreteType[]): number => sizeOf(shape);

function softmaxOf(
  name: string,
  op: string,
  finish: (x: number, sum: number) => number,
  slope: (g: Tensor, y: Tensor, axis: number) => Tensor,
): OpRow<{ axis: number }> {
  return defineOp<{ axis: number }>({
    name,
    infer: ([x], { axis }) => {
      needFloat(x);
      axisOf(axis, x.shape.length);
      return [x];
    },
    flops: (inputs) => 5 * size(inputs),
    lower: (emit, { values, attributes }) => emit.node(op, values, { axis: int(attributes.axis) }),
    evaluate: ([x], { axis }, [{ dtype, shape }]) => {
      const [before, n, after] = around(shape, axisOf(axis, shape.length));
      const values = toNumbers(x);
      const out = new Float64Array(values.length);
      for (let i = 0; i < before; i++) {
        for (let k = 0; k < after; k++) {
          const at = (j: number) => (i * n + j) * after + k;
          let top = Number.NEGATIVE_INFINITY;
          for (let j = 0; j < n; j++) top = Math.max(top, values[at(j)]);
          let sum = 0;
          for (let j = 0; j < n; j++) sum += Math.exp(values[at(j)] - top);
          for (let j = 0; j < n; j++) out[at(j)] = finish(values[at(j)] - top, sum);
        }
      }
      return [fromNumbers(dtype, shape, out)];
    },
    gradient: ({ outputs: [y], gradients: [g], attributes: { axis } }) =>
      g ? [slope(g, y, axis)] : [],
  });
}

export const softmax: OpRow<{ axis: number }> = softmaxOf(
  'softmax',
  'Softmax',
  (x, sum) => Math.exp(x) / sum,
  (g, y, axis) => y.mul(g.sub(g.mul(y).sum(axis, true))),
);
export const logSoftmax: OpRow<{ axis: number }> = softmaxOf(
  'logSoftmax',
  'LogSoftmax',
  (x, sum) => x - Math.log(sum),
  (g, y, axis) => g.sub(y.exp().mul(g.sum(axis, true))),
);

const checkGain = (x: TensorType, gains: readonly TensorType[]): void => {
  needFloat(x);
  const width = x.shape.at(-1);
  for (const gain of gains) {
    const fits = gain.shape.length === 1 && width !== undefined && sameDim(gain.shape[0], width);
    if (!fits || gain.dtype !== x.dtype) {
      reject(
        `the gain ${showShape(gain.shape)} does not fit ${showShape(x.shape)}`,
        `${x.dtype}[${width}]`,
        `${gain.dtype}${showShape(gain.shape)}`,
      );
    }
  }
};

const rowMean = (emit: Emitter, x: ValueName): ValueName =>
  emit.node('ReduceMean', [x, emit.sizes([-1])], { keepdims: int(1) });

/**
 * x / sqrt(mean(x^2) + eps) * gain + bias and 1 / sqrt(...), operator by operator: an attribute of
 * ONNX holds eps in float32 only, which float64 results would show.
 */
function lowerDouble(
  emit: Emitter,
  x: ValueName,
  eps: number,
  gain: ValueName,
  bias?: ValueName,
): { y: ValueName; inverse: ValueName } {
  const square = rowMean(emit, emit.node('Mul', [x, x]));
  const deviation = emit.node('Sqrt', [emit.node('Add', [square, emit.scalar('f64', eps)])]);
  const inverse = emit.node('Reciprocal', [deviation]);
  const scaled = emit.node('Mul', [emit.node('Div', [x, deviation]), gain]);
  return { y: bias ? emit.node('Add', [scaled, bias]) : scaled, inverse };
}

/** The statistics of rows: one number a row, beside x. */
const rowStatistic = (x: TensorType): TensorType => ({
  dtype: x.dtype,
  shape: x.shape.map((d, i) => (i === x.shape.length - 1 ? 1 : d)),
});

/** Outputs that the kernel must write: up to the last that is read. */
const written = (used: readonly boolean[]): number => used.lastIndexOf(true) + 1;

/** dL/dx through inverse = 1 / sqrt(mean(d^2) + eps), unit = d * inverse: -unit inverse^2 g / width. */
const throughInverse = (g: Tensor, unit: Tensor, inverse: Tensor, width: number): Tensor =>
  unit.mul(
    g
      .mul(inverse)
      .mul(inverse)
      .mul(-1 / width),
  );

/**
 * y = (x - mean) * inverse * gain + bias over the last axis, inverse = 1 / sqrt(variance + eps)
 * (Ba et al. 2016). Outputs y, mean, inverse: the statistics serve the gradient.
 */
export const layerNorm = defineOp<{ eps: number }>({
  name: 'layerNorm',
  infer: ([x, ...gains]) => {
    checkGain(x, gains);
    return [x, rowStatistic(x), rowStatistic(x)];
  },
  flops: (inputs) => 8 * size(inputs),
  lower: (emit, { values, inputs, used, attributes: { eps } }) => {
    if (inputs[0].dtype === 'f64') {
      const [x, gain, bias] = values;
      const mean = rowMean(emit, x);
      const { y, inverse } = lowerDouble(emit, emit.node('Sub', [x, mean]), eps, gain, bias);
      return [y, mean, inverse];
    }
    const attributes = { axis: int(-1), epsilon: float(eps) };
    return emit.nodes('LayerNormalization', values, written(used), attributes);
  },
  evaluate: ([x, gain, bias], { eps }, outputs) => {
    const width = x.shape[x.shape.length - 1];
    const [values, g, b] = [toNumbers(x), toNumbers(gain), bias && toNumbers(bias)];
    const out = new Float64Array(values.length);
    const rows = values.length / Math.max(1, width);
    const [means, inverses] = [new Float64Array(rows), new Float64Array(rows)];
    for (let row = 0; row < rows; row++) {
      const slice = values.subarray(row * width, (row + 1) * width);
      const mean = slice.reduce((a, v) => a + v, 0) / width;
      const variance = slice.reduce((a, v) => a + (v - mean) ** 2, 0) / width;
      const inverse = 1 / Math.sqrt(variance + eps);
      [means[row], inverses[row]] = [mean, inverse];
      for (let j = 0; j < width; j++) {
        out[row * width + j] = (slice[j] - mean) * inverse * g[j] + (b ? b[j] : 0);
      }
    }
    return [out, means, inverses].map((v, i) => fromNumbers(x.dtype, outputs[i].shape, v));
  },
  gradient: ({ inputs: [x, gain, bias], outputs, gradients: [g, gMean, gInverse] }) => {
    const [, mean, inverse] = outputs;
    const unit = x.sub(mean).mul(inverse);
    const parts: Tensor[] = [];
    if (g) {
      const h = g.mul(gain);
      const inner = h.sub(h.mean(-1, true)).sub(unit.mul(h.mul(unit).mean(-1, true)));
      parts.push(inner.mul(inverse));
    }
    const width = Number(x.size(-1));
    if (gMean) parts.push(gMean.mul(1 / width).broadcastTo(...x.shape));
    if (gInverse) parts.push(throughInverse(gInverse, unit, inverse, width));
    return [
      parts.length > 0 ? parts.reduce((a, b) => a.add(b)) : undefined,
      g && unbroadcast(g.mul(unit), gain.shape),
      g && bias && unbroadcast(g, bias.shape),
    ];
  },
});

/**
 * y = x * inverse * gain over the last axis, inverse = 1 / sqrt(mean(x^2) + eps) (Zhang and Sennrich
 * 2019). Outputs y and inverse.
 */
export const rmsNorm = defineOp<{ eps: number }>({
  name: 'rmsNorm',
  infer: ([x, gain]) => {
    checkGain(x, [gain]);
    return [x, rowStatistic(x)];
  },
  flops: (inputs) => 5 * size(inputs),
  lower: (emit, { values, inputs, used, attributes: { eps } }) => {
    if (inputs[0].dtype === 'f64') {
      const { y, inverse } = lowerDouble(emit, values[0], eps, values[1]);
      return [y, inverse];
    }
    const attributes = { axis: int(-1), epsilon: float(eps) };
    return emit.nodes('SimplifiedLayerNormalization', values, written(used), attributes);
  },
  evaluate: ([x, gain], { eps }, outputs) => {
    const width = x.shape[x.shape.length - 1];
    const [values, g] = [toNumbers(x), toNumbers(gain)];
    const out = new Float64Array(values.length);
    const inverses = new Float64Array(values.length / Math.max(1, width));
    for (let row = 0; row < inverses.length; row++) {
      const slice = values.subarray(row * width, (row + 1) * width);
      const square = slice.reduce((a, v) => a + v * v, 0) / width;
      inverses[row] = 1 / Math.sqrt(square + eps);
      for (let j = 0; j < width; j++) out[row * width + j] = slice[j] * inverses[row] * g[j];
    }
    return [out, inverses].map((v, i) => fromNumbers(x.dtype, outputs[i].shape, v));
  },
  gradient: ({ inputs: [x, gain], outputs: [, inverse], gradients: [g, gInverse] }) => {
    const unit = x.mul(inverse);
    const parts: Tensor[] = [];
    if (g) {
      const h = g.mul(gain);
      parts.push(h.sub(unit.mul(h.mul(unit).mean(-1, true))).mul(inverse));
    }
    const width = Number(x.size(-1));
    if (gInverse) parts.push(throughInverse(gInverse, unit, inverse, width));
    return [
      parts.length > 0 ? parts.reduce((a, b) => a.add(b)) : undefined,
      g && unbroadcast(g.mul(unit), gain.shape),
    ];
  },
});
