// Numbers known at import time: which initializers are weights, what `Constant` nodes hold, and
// computing what depends on nothing else.
import {
  AnyformerError,
  type DType,
  fromIntegers,
  fromNumbers,
  graph,
  interpret,
  isFloat,
  type NDArray,
  type Tensor,
} from '../../tensor/index.js';
import type { OnnxAttribute } from '../model.js';
import { elementsOf, knownLimit, Value } from './value.js';

// Whole numbers up to this many are constants: shapes, axes, positions, masks.
const smallIntegers = 1024;
const addressing = new Set<DType>(['i64', 'i32', 'u64', 'u32', 'bool']);

/** Whether an initializer is a weight; a single number is one if it has a name as checkpoints do. */
export function isWeight(name: string, { dtype, data }: NDArray): boolean {
  if (data.length <= 1) return isFloat(dtype) && /^[A-Za-z_]+$|^[\w-]+(\.[\w-]+)+$/.test(name);
  return !addressing.has(dtype) || data.length > smallIntegers;
}

/** The array in an attribute of a `Constant` node; undefined for strings and sparse tensors. */
export function constantArray(attribute: OnnxAttribute): NDArray | undefined {
  switch (attribute.kind) {
    case 'tensor':
      return attribute.value;
    case 'float':
      return fromNumbers('f32', [], [attribute.value]);
    case 'floats':
      return fromNumbers('f32', [attribute.value.length], attribute.value);
    case 'int':
    case 'bigint':
      return fromIntegers('i64', [], [BigInt(attribute.value)]);
    case 'ints':
    case 'bigints': {
      const values = Array.from<number | bigint, bigint>(attribute.value, BigInt);
      return fromIntegers('i64', [values.length], values);
    }
    default:
      return undefined;
  }
}

/**
 * The numbers of a tensor that depends on constants and weights alone; undefined where it depends on
 * an input or a symbolic size, or where more is to be computed than import time is for.
 */
export function computeNow(
  tensor: Tensor,
  weights: ReadonlyMap<string, NDArray>,
): NDArray | undefined {
  if (elementsOf(tensor) === undefined) return undefined;
  const part = graph({ result: tensor });
  const needed = [...part.parameters.keys()].map((name) => [name, weights.get(name)] as const);
  const given = needed.flatMap(([name, array]) => (array ? [[name, array] as const] : []));
  const small = part.nodes.every(({ tensors }) =>
    tensors.every((one) => (elementsOf(one) ?? Number.POSITIVE_INFINITY) <= knownLimit),
  );
  if (part.inputs.size > 0 || given.length < needed.length || !small) return undefined;
  try {
    return interpret(part, {}, new Map(given)).outputs.get('result');
  } catch (error) {
    // Division by 0 and the like: the graph will say so when it runs.
    if (error instanceof AnyformerError) return undefined;
    throw error;
  }
}

/** A constant in place of a value computed from constants. */
export function folded(value: Value): Value {
  if (value.array || value.symbolic) return value;
  const array = computeNow(value.tensor, new Map());
  return array ? Value.constant(array) : value;
}
