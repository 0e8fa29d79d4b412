// The programs that exported files are for, where `node bench/peers.mjs` has fetched them. Loosely
// typed: their types are theirs, and they may be absent.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const modules = fileURLToPath(new URL('../../.cache/peers/node_modules', import.meta.url));
const whereFrom = 'skipped: `node bench/peers.mjs` fetches it';

const peer = (name: string, main: string) => {
  const file = join(modules, name, main);
  const here = existsSync(file);
  return {
    here,
    /** For the names of suites. */
    title: here ? name : `${name} (${whereFrom})`,
    load: async <T>(): Promise<T> => (await import(pathToFileURL(file).href)) as T,
  };
};

export const llamaCpp = peer('node-llama-cpp', 'dist/index.js');
export const transformersJs = peer('@huggingface/transformers', 'dist/transformers.node.mjs');

type LlamaSequence = {
  evaluateWithMetadata(
    tokens: readonly number[],
    metadata: { probabilities?: boolean; confidence?: boolean },
    options: { temperature: number; yieldEogToken: boolean },
  ): AsyncGenerator<{ token: number; probabilities: Map<number, number> }>;
  dispose(): Promise<void>;
};

export type LlamaModel = {
  tokenize(text: string): number[];
  createContext(options: { contextSize: number; threads: number }): Promise<{
    getSequence(): LlamaSequence;
    dispose(): Promise<void>;
  }>;
  dispose(): Promise<void>;
};

export type Llama = {
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  dispose(): Promise<void>;
};

/** llama.cpp on the CPU, from its prebuilt binary. */
export async function openLlama(): Promise<Llama> {
  const { getLlama } = await llamaCpp.load<{
    getLlama(options: Record<string, unknown>): Promise<Llama>;
  }>();
  return await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
}

/** Greedy ids after a prompt, with the probabilities of the first. */
export async function llamaGreedy(
  model: LlamaModel,
  prompt: readonly number[],
  count: number,
): Promise<{ ids: number[]; first: Map<number, number> }> {
  const context = await model.createContext({ contextSize: prompt.length + count + 8, threads: 1 });
  try {
    const steps = context
      .getSequence()
      .evaluateWithMetadata(
        prompt,
        { probabilities: true },
        { temperature: 0, yieldEogToken: true },
      );
    const ids: number[] = [];
    let first = new Map<number, number>();
    for await (const { token, probabilities } of steps) {
      if (ids.length === 0) first = probabilities;
      ids.push(token);
      if (ids.length === count) break;
    }
    return { ids, first };
  } finally {
    await context.dispose();
  }
}
