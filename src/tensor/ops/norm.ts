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
  reject,
  type TensorType,
  type ValueName,
} from '../op.js';
import { around } from '../strides.js';

const needFloat = ({ dtype }: TensorType): void => {
  if (!isFloat(dtype)) reject('a normalisation needs floats', 'a float type', dtype);
};

const size = ([{ shape }]: readonly ConcreteType[]): number => sizeOf(shape);

function softmaxOf(name: string, op: string, finish: (x: number, sum: number) => number) {
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
  });
}

export const softmax = softmaxOf('softmax', 'Softmax', (x, sum) => Math.exp(x) / sum);
export const logSoftmax = softmaxOf('logSoftmax', 'LogSoftmax', (x, sum) => x - Math.log(sum));

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
 * x / sqrt(mean(x^2) + eps) * gain + bias, operator by operator: an attribute of ONNX holds eps in
 * float32 only, which float64 results would show.
 */
function lowerDouble(
  emit: Emitter,
  x: ValueName,
  eps: number,
  gain: ValueName,
  bias?: ValueName,
): ValueName {
  const square = rowMean(emit, emit.node('Mul', [x, x]));
  const deviation = emit.node('Sqrt', [emit.node('Add', [square, emit.scalar('f64', eps)])]);
  const scaled = emit.node('Mul', [emit.node('Div', [x, deviation]), gain]);
  return bias ? emit.node('Add', [scaled, bias]) : scaled;
}

/** (x - mean) / sqrt(variance + eps) * gain + bias over the last axis (Ba et al. 2016). */
export const layerNorm = defineOp<{ eps: number }>({
  name: 'layerNorm',
  infer: ([x, ...gains]) => {
    checkGain(x, gains);
    return [x];
  },
  flops: (inputs) => 8 * size(inputs),
  lower: (emit, { values, inputs, attributes: { eps } }) => {
    if (inputs[0].dtype === 'f64') {
      const [x, gain, bias] = values;
      const centred = emit.node('Sub', [x, rowMean(emit, x)]);
      return lowerDouble(emit, centred, eps, gain, bias);
    }
    return emit.node('LayerNormalization', values, { axis: int(-1), epsilon: float(eps) });
  },
  evaluate: ([x, gain, bias], { eps }, [{ dtype, shape }]) => {
    const width = shape[shape.length - 1];
    const [values, g, b] = [toNumbers(x), toNumbers(gain), bias && toNumbers(bias)];
    const out = new Float64Array(values.length);
    for (let row = 0; row < values.length; row += width) {
      const slice = values.subarray(row, row + width);
      const mean = slice.reduce((a, v) => a + v, 0) / width;
      const variance = slice.reduce((a, v) => a + (v - mean) ** 2, 0) / width;
      const inverse = 1 / Math.sqrt(variance + eps);
      for (let j = 0; j < width; j++) {
        out[row + j] = (slice[j] - mean) * inverse * g[j] + (b ? b[j] : 0);
      }
    }
    return [fromNumbers(dtype, shape, out)];
  },
});

/** x / sqrt(mean(x^2) + eps) * gain over the last axis (Zhang and Sennrich 2019). */
export const rmsNorm = defineOp<{ eps: number }>({
  name: 'rmsNorm',
  infer: ([x, gain]) => {
    checkGain(x, [gain]);
    return [x];
  },
  flops: (inputs) => 5 * size(inputs),
  lower: (emit, { values, inputs, attributes: { eps } }) =>
    inputs[0].dtype === 'f64'
      ? lowerDouble(emit, values[0], eps, values[1])
      : emit.node('SimplifiedLayerNormalization', values, { axis: int(-1), epsilon: float(eps) }),
  evaluate: ([x, gain], { eps }, [{ dtype, shape }]) => {
    const width = shape[shape.length - 1];
    const [values, g] = [toNumbers(x), toNumbers(gain)];
    const out = new Float64Array(values.length);
    for (let row = 0; row < values.length; row += width) {
      const slice = values.subarray(row, row + width);
      const square = slice.reduce((a, v) => a + v * v, 0) / width;
      const inverse = 1 / Math.sqrt(square + eps);
      for (let j = 0; j < width; j++) out[row + j] = slice[j] * inverse * g[j];
    }
    return [fromNumbers(dtype, shape, out)];
  },
});
