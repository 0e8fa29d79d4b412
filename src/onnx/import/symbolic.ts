// Shape arithmetic over symbolic sizes. Exporters compute target shapes with ordinary nodes
// (Shape -> Gather -> Mul -> Concat -> Reshape); where such a node's inputs are known but hold
// symbolic sizes, its outputs are known too. Nodes that only move data need no second definition:
// the builder runs on the elements' numbers, and where these end up tells where the sizes do.
import {
  addDims,
  broadcast,
  type Dim,
  type DType,
  exactDiv,
  floorDiv,
  fromNumbers,
  isFloat,
  maxDims,
  minDims,
  mulDims,
  type NDArray,
  sameDim,
  subDims,
  toNumbers,
} from '../../tensor/index.js';
import { broadcastIndex } from '../../tensor/strides.js';
import { elementTypeName, isNative } from '../element-type.js';
import type { OnnxNode } from '../model.js';
import { surelyAtMost, surelyLess } from './dims.js';
import type { Known, Value } from './value.js';

type Item = Dim | undefined;

/** A factor of sizes is whole: 0.5 times a size is no size. */
const whole = (d: Dim): boolean => typeof d !== 'number' || Number.isInteger(d);

function quotient(a: Dim, b: Dim, dtype: DType): Item {
  if (typeof a === 'number' && typeof b === 'number') {
    return isFloat(dtype) ? a / b : b === 0 ? undefined : Math.trunc(a / b);
  }
  if (!whole(a) || !whole(b)) return undefined;
  if (isFloat(dtype) || typeof b !== 'number') return exactDiv(a, b);
  return b >= 1 ? floorDiv(a, b) : undefined;
}

function ofWhole(combine: (a: Dim, b: Dim) => Dim) {
  return (a: Dim, b: Dim): Item => (whole(a) && whole(b) ? combine(a, b) : undefined);
}

const truth = (value: boolean | undefined): Item =>
  value === undefined ? undefined : Number(value);

function compare(isTrue: (a: Dim, b: Dim) => boolean, isFalse: (a: Dim, b: Dim) => boolean) {
  return (a: Dim, b: Dim) => truth(isTrue(a, b) ? true : isFalse(a, b) ? false : undefined);
}
const apart = (a: Dim, b: Dim): boolean => surelyLess(a, b) || surelyLess(b, a);

const binary: Readonly<Record<string, (a: Dim, b: Dim, dtype: DType) => Item>> = {
  Add: ofWhole(addDims),
  Sub: ofWhole(subDims),
  Mul: ofWhole(mulDims),
  Div: quotient,
  Min: ofWhole((a, b) => (surelyAtMost(a, b) ? a : surelyAtMost(b, a) ? b : minDims(a, b))),
  Max: ofWhole((a, b) => (surelyAtMost(a, b) ? b : surelyAtMost(b, a) ? a : maxDims(a, b))),
  Equal: compare(sameDim, apart),
  Less: compare(surelyLess, (a, b) => surelyAtMost(b, a)),
  LessOrEqual: compare(surelyAtMost, (a, b) => surelyLess(b, a)),
  Greater: compare((a, b) => surelyLess(b, a), surelyAtMost),
  GreaterOrEqual: compare((a, b) => surelyAtMost(b, a), surelyLess),
};
const comparisons = new Set(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']);

const unary: Readonly<Record<string, (a: Dim) => Item>> = {
  Neg: (a) => mulDims(a, -1),
  Abs: (a) => (surelyAtMost(0, a) ? a : undefined),
  Floor: (a) => (whole(a) ? a : undefined),
  Ceil: (a) => (whole(a) ? a : undefined),
  Round: (a) => (whole(a) ? a : undefined),
  Cast: (a) => (whole(a) ? a : undefined),
};

const folds: Readonly<Record<string, (a: Dim, b: Dim) => Dim>> = {
  ReduceProd: mulDims,
  ReduceSum: addDims,
};

// Sizes of more terms than this are left to run time.
const maxTerms = 200;
const plain = (item: Item): item is Dim =>
  item !== undefined && (typeof item === 'number' || item.terms.length <= maxTerms);

const complete = (items: readonly Item[]): readonly Dim[] | undefined => {
  const found = items.filter(plain);
  return found.length === items.length ? found : undefined;
};

/** The element type of a node's output, where it is not that of its first input. */
function resultType(node: OnnxNode, first: DType): DType | undefined {
  if (comparisons.has(node.op)) return 'bool';
  if (node.op !== 'Cast') return first;
  const { to } = node.attributes;
  const type = to?.kind === 'int' ? elementTypeName(to.value) : undefined;
  return type !== undefined && isNative(type) && type !== 'bool' ? type : undefined;
}

function arithmetic(node: OnnxNode, inputs: readonly Known[]): Known | undefined {
  const [a, b] = inputs;
  const dtype = a && resultType(node, a.dtype);
  if (dtype === undefined) return undefined;
  const make = (shape: readonly number[], items: readonly Item[]): Known | undefined => {
    const found = complete(items);
    return found && { dtype, shape, items: found };
  };
  if (Object.hasOwn(unary, node.op)) return make(a.shape, a.items.map(unary[node.op]));
  if (Object.hasOwn(binary, node.op) && inputs.length === 2) {
    const shape = broadcast(a.shape, b.shape) as number[] | undefined;
    if (!shape) return undefined;
    const [ia, ib] = [broadcastIndex(a.shape, shape), broadcastIndex(b.shape, shape)];
    const count = shape.reduce((x, y) => x * y, 1);
    const items = Array.from({ length: count }, (_, i) =>
      binary[node.op](a.items[ia(i)], b.items[ib(i)], a.dtype),
    );
    return make(shape, items);
  }
  if (Object.hasOwn(folds, node.op) && a.shape.length === 1 && a.items.every(whole)) {
    const { keepdims } = node.attributes;
    const keep = keepdims?.kind !== 'int' || keepdims.value !== 0;
    const start = node.op === 'ReduceProd' ? 1 : 0;
    return make(keep ? [1] : [], [a.items.reduce(folds[node.op], start)]);
  }
  return undefined;
}

/** Which inputs of a node hold the data that it moves; the others say where to. */
const moves: Readonly<Record<string, readonly number[] | 'all'>> = {
  Concat: 'all',
  Where: [1, 2],
  ScatterElements: [0, 2],
  ScatterND: [0, 2],
  ...Object.fromEntries(
    [
      'Expand Flatten Gather GatherElements GatherND Identity Reshape Slice Split Squeeze Tile',
      'Transpose Unsqueeze',
    ].flatMap((names) => names.split(' ').map((name) => [name, [0]])),
  ),
};

/**
 * The outputs of a standard node whose inputs hold symbolic sizes; undefined where they cannot be
 * told. `run` computes the node from arrays alone.
 */
export function symbolicOutputs(
  node: OnnxNode,
  values: readonly (Value | undefined)[],
  run: (inputs: readonly (NDArray | undefined)[]) => readonly NDArray[] | undefined,
): readonly Known[] | undefined {
  if (Object.hasOwn(moves, node.op)) {
    const which = moves[node.op];
    const items: Dim[] = [];
    let dtype: DType = 'i64';
    const inputs = values.map((value, i) => {
      if (!value || (which !== 'all' && !which.includes(i))) return value?.array;
      const { known } = value;
      if (!known) return undefined;
      dtype = known.dtype;
      const first = items.length;
      items.push(...known.items);
      return fromNumbers(
        'i64',
        known.shape,
        known.items.map((_, place) => first + place),
      );
    });
    if (inputs.some((array, i) => values[i] && !array)) return undefined;
    return run(inputs)?.map((array) => ({
      dtype,
      shape: array.shape,
      items: Array.from(toNumbers(array), (place) => items[place]),
    }));
  }
  const known = values.map((value) => value?.known).filter((one) => one !== undefined);
  const result = known.length === values.length ? arithmetic(node, known) : undefined;
  return result && [result];
}
