// Sizes as values of an ONNX graph: numbers are constants, symbolic ones are computed from the shapes
// of inputs, each polynomial once.
import {
  AnyformerError,
  type Dim,
  type Emitter,
  foldDim,
  fromNumbers,
  int,
  type NDArray,
  plainName,
  type Shape,
  type ValueName,
} from '../tensor/index.js';
import { elementTypeNumber } from './element-type.js';

export type SizeWriter = {
  /** Tells the named sizes that are axes of this input. */
  addInput(value: ValueName, shape: Shape): void;
  /** A 1-D int64 value of these sizes. */
  vector(dims: readonly Dim[]): ValueName;
};

export function sizeWriter(
  node: Emitter['node'],
  constant: (array: NDArray, key?: string) => ValueName,
): SizeWriter {
  /** Which input's shape tells each named size. */
  const sources = new Map<string, { value: ValueName; axis: number }>();
  const known = new Map<string, ValueName>();

  const longs = (...values: readonly number[]): ValueName =>
    constant(fromNumbers('i64', [values.length], values), `sizes ${values.join()}`);

  const once = (key: string, make: () => ValueName): ValueName => {
    const value = known.get(key) ?? make();
    known.set(key, value);
    return value;
  };

  const named = (name: string): ValueName => {
    const source = sources.get(name);
    if (!source) {
      throw new AnyformerError('tensor/unbound', {
        what: `nothing tells the size '${name}' at run time`,
        expected: `an input with an axis of size ${name} alone`,
        found: `inputs with ${[...sources.keys()].join(', ') || 'fixed sizes only'}`,
      });
    }
    const { value, axis } = source;
    return node('Shape', [value], { start: int(axis), end: int(axis + 1) });
  };

  const ceilLog = (a: ValueName, factor: number): ValueName => {
    const to = (dtype: 'f64' | 'i64') => ({ to: int(elementTypeNumber(dtype)) });
    const log = node('Log', [node('Cast', [node('Max', [a, longs(1)])], to('f64'))]);
    const scaled = node('Mul', [log, constant(fromNumbers('f64', [], [factor]))]);
    return node('Cast', [node('Ceil', [scaled])], to('i64'));
  };

  /** One size as int64[1]. Divisions are of sizes, which are not negative: truncation is floor. */
  const one = (d: Dim): ValueName =>
    typeof d === 'number'
      ? longs(d)
      : once(d.key, () =>
          foldDim<ValueName>(d, {
            constant: (n) => longs(n),
            name: (name) => once(name, () => named(name)),
            add: (a, b) => node('Add', [a, b]),
            mul: (a, b) => node('Mul', [a, b]),
            floorDiv: (a, divisor) => node('Div', [a, longs(divisor)]),
            min: (a, b) => node('Min', [a, b]),
            max: (a, b) => node('Max', [a, b]),
            ceilLog,
          }),
        );

  return {
    addInput(value, shape) {
      shape.forEach((d, axis) => {
        const name = plainName(d);
        if (name !== undefined && !sources.has(name)) sources.set(name, { value, axis });
      });
    },
    vector(dims) {
      const numbers = dims.filter((d) => typeof d === 'number');
      if (numbers.length === dims.length) return longs(...numbers);
      const parts = dims.map(one);
      return parts.length === 1 ? parts[0] : node('Concat', parts, { axis: int(0) });
    },
  };
}
