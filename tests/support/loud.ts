// Fresh weights whose scores differ enough that near ties decide nothing, and biases that are not zero.
import { memoryStore } from '../../src/models/checkpoint.js';
import { initialModel } from '../../src/models/initial.js';
import type { Model, ModelParts } from '../../src/models/model.js';
import { type NDArray, ndarray } from '../../src/tensor/index.js';

export async function loudModel(
  parts: Pick<ModelParts, 'config' | 'tokenizer'> & { name?: string },
): Promise<Model> {
  const model = initialModel({ name: 'small', ...parts });
  const arrays = new Map<string, NDArray>();
  let seed = 1;
  for (const name of model.weights.names()) {
    const { dtype, shape, data } = await model.weights.read(name);
    const values = Array.from(data as Float32Array, (x) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const noise = seed / 2 ** 32 - 0.5;
      return name.endsWith('bias') ? noise : /norm|ln_/i.test(name) ? 1 + noise : x * 8;
    });
    arrays.set(name, ndarray(dtype, shape, Float32Array.from(values)));
  }
  return { ...model, weights: memoryStore(arrays) };
}
