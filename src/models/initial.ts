// A model with fresh weights: every parameter begins as its module says, from a seed and its own
// name, so that adding a layer moves no other layer's numbers.
import { type ParameterDeclaration, Scope } from '../nn/index.js';
import { fromNumbers, hashText, input, type NDArray, normalAt, sizeOf } from '../tensor/index.js';
import { memoryStore } from './checkpoint.js';
import {
  createModel,
  isDecoder,
  isEncoder,
  isEncoderDecoder,
  isVision,
  type Model,
  type ModelParts,
} from './model.js';
import { sourceMemory, targetLogits } from './source.js';

/** Builds the model of a config and fills its weights. */
export function initialModel(
  parts: Pick<ModelParts, 'name' | 'config' | 'tokenizer'>,
  { seed = 0 }: { seed?: number } = {},
): Model {
  const empty = createModel({ ...parts, weights: memoryStore(new Map()) });
  const scope = Scope.root();
  const ids = input('input_ids', 'i64', ['batch', 'seq']);
  if (isEncoder(empty)) empty.family.encode(scope, empty.config, { ids, mask: undefined });
  else if (isDecoder(empty)) {
    const mask = input('mask', 'bool', ['batch', 1, 'seq', 'seq']);
    empty.family.logits(scope, empty.config, { ids, positions: ids, mask });
  } else if (isEncoderDecoder(empty)) {
    const { family, config } = empty;
    targetLogits(scope, family, config, sourceMemory(scope, family, config), ids);
  } else if (isVision(empty)) {
    const pixels = input('pixels', 'f32', ['batch', ...empty.family.picture(empty.config)]);
    empty.family.scores(scope, empty.config, pixels);
  }
  const { stored } = scope.declarations;
  const weights = [...stored.values()].map((one) => [one.name, initialValue(one, seed)] as const);
  return { ...empty, weights: memoryStore(new Map(weights)) };
}

export function initialValue(
  { name, dtype, shape, init }: ParameterDeclaration,
  seed: number,
): NDArray {
  const stream = hashText(name) ^ seed;
  const count = sizeOf(shape);
  const value = (i: number): number => {
    if (init.kind === 'normal') return init.std * normalAt(stream, i);
    if (init.kind === 'constant') return init.value;
    return init.kind === 'ones' ? 1 : 0;
  };
  return fromNumbers(
    dtype,
    shape,
    Float64Array.from({ length: count }, (_, i) => value(i)),
  );
}
