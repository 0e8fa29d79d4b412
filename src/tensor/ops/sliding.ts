// The geometry of sliding windows: how many fit, and which places each of them reads.
import { addDims, type Dim, floorDiv, showShape } from '../dim.js';
import { reject, type TensorType } from '../op.js';
import { coordinates, strides as stridesOf } from '../strides.js';
import { checkKind } from './element.js';

/** One entry for each spatial axis. */
export type Sliding = {
  kernel: readonly number[];
  strides: readonly number[];
  /** Steps between two elements that one window reads. */
  dilations: readonly number[];
  before: readonly number[];
  after: readonly number[];
};

export type SlidingOptions = {
  /** One number for every spatial axis, or one for each. */
  stride?: number | readonly number[];
  dilation?: number | readonly number[];
  /** The same around every axis, or for each axis a width or [before, after] (causal: [k - 1, 0]). */
  padding?: number | readonly (number | readonly [number, number])[];
};

/** The same as options, for rules that build more of the kind. */
export const slidingOptions = ({ strides, dilations, before, after }: Sliding) => ({
  stride: strides,
  dilation: dilations,
  padding: before.map((width, i) => [width, after[i]] as const),
});

/** The axes that windows slide over: those after batch and channels. */
export const spatial = <D extends Dim>(shape: readonly D[]): readonly D[] => shape.slice(2);

export function checkLayout(x: TensorType): void {
  checkKind(x, 'float');
  if (x.shape.length !== 3 && x.shape.length !== 4) {
    const expected = '[batch, channels, length] or [batch, channels, height, width]';
    reject('a window slides over one or two spatial axes', expected, showShape(x.shape));
  }
}

export function slidingOf(
  kernel: number | readonly number[],
  axes: number,
  { stride = 1, dilation = 1, padding = 0 }: SlidingOptions,
): Sliding {
  const each = <T>(name: string, value: T | readonly T[]): readonly T[] => {
    const list = Array.isArray(value) ? (value as readonly T[]) : Array<T>(axes).fill(value as T);
    if (list.length === axes) return list;
    reject(`the ${name} is given for every spatial axis`, `${axes} of them`, `${list.length}`);
  };
  const numbers = (name: string, value: number | readonly number[], least: number) => {
    const list = each<number>(name, value);
    const wrong = list.find((n) => !Number.isSafeInteger(n) || n < least);
    if (wrong === undefined) return [...list];
    reject(`${wrong} is not a ${name}`, `a whole number >= ${least}`, `${wrong}`);
  };
  const around = each<number | readonly [number, number]>('padding', padding);
  const side = (index: 0 | 1) => around.map((p) => (typeof p === 'number' ? p : p[index]));
  return {
    kernel: numbers('kernel', kernel, 1),
    strides: numbers('stride', stride, 1),
    dilations: numbers('dilation', dilation, 1),
    before: numbers('padding', side(0), 0),
    after: numbers('padding', side(1), 0),
  };
}

/** How many windows fit along each axis: floor((n + padding - extent) / stride) + 1. */
export function slidingSizes(
  sizes: readonly Dim[],
  { kernel, strides, dilations, before, after }: Sliding,
): Dim[] {
  return sizes.map((size, i) => {
    const extent = dilations[i] * (kernel[i] - 1) + 1;
    const free = addDims(size, before[i] + after[i] - extent);
    if (typeof free === 'number' && free < 0) {
      const expected = `${extent - before[i] - after[i]} elements or more`;
      reject(`the window is longer than spatial axis ${i}`, expected, `${size}`);
    }
    return addDims(floorDiv(free, strides[i]), 1);
  });
}

/** For each output place the flat input place of every kernel place; -1 is padding. */
export function taps(
  input: readonly number[],
  output: readonly number[],
  { kernel, strides, dilations, before }: Sliding,
): number[][] {
  const steps = stridesOf(input);
  const offsets = Array.from(coordinates(kernel), (at) => at.map((k, i) => k * dilations[i]));
  return Array.from(coordinates(output), (place) =>
    offsets.map((offset) => {
      let flat = 0;
      for (let i = 0; i < input.length; i++) {
        const at = place[i] * strides[i] + offset[i] - before[i];
        if (at < 0 || at >= input[i]) return -1;
        flat += at * steps[i];
      }
      return flat;
    }),
  );
}
