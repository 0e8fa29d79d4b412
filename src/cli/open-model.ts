// A model for the time of a command: what it keeps open is closed afterwards.
import type { FileStore } from '../models/checkpoint.js';
import type { Model } from '../models/model.js';
import { resolveModel } from '../models/resolve.js';

export async function openModel(name: string): Promise<AsyncDisposable & { model: Model }> {
  const model = await resolveModel(name);
  return {
    model,
    async [Symbol.asyncDispose]() {
      if ('close' in model.weights) await (model.weights as FileStore).close();
    },
  };
}
