// Running a checkpoint with a head for whole texts: texts, or pairs of them, in; how likely each class
// is out. Batches are made as those of encoders.
import type { Device } from '../runtime/device.js';
import { type NDArray, ndarray, toNumbers } from '../tensor/index.js';
import { type ClassScore, classScores } from './class-scores.js';
import { batches, feedsOf, tokenizerOf } from './encoder.js';
import {
  classesOf,
  encoderProgram,
  isEncoder,
  type Model,
  noHead,
  readsTypes,
  wrongKind,
} from './model.js';
import { programParameters } from './parameters.js';
import type { TokenPair } from './tokenizer.js';

/** A text, or two that belong together. */
export type TextOrPair = string | readonly [first: string, second: string];

export type TextClassifier = AsyncDisposable & {
  readonly model: Model;
  readonly classes: readonly string[];
  /** For each text the classes, the likeliest first. Longer texts are cut to the model's context. */
  classify(
    texts: readonly TextOrPair[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<ClassScore[][]>;
};

/** Compiles the model's head for a device. Errors: `models/kind`, `models/no-head`. */
export async function openTextClassifier(
  model: Model,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<TextClassifier> {
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  const classes = classesOf(model) ?? noHead(model);
  const built = encoderProgram(model, { typed: true, outputs: ['logits'] });
  const parameters = await programParameters(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  const typed = readsTypes(model);
  const classify: TextClassifier['classify'] = async (texts, options = {}) => {
    const tokens = tokensOf(model, texts);
    const out: ClassScore[][] = new Array(texts.length);
    for (const rows of batches(tokens.map(({ ids }) => ids.length))) {
      const feeds: Record<string, NDArray> = feedsOf(
        rows,
        tokens.map(({ ids }) => ids),
      );
      if (typed) feeds.token_type_ids = typeFeed(rows, tokens);
      const { logits } = await program.run(feeds, options);
      const scores = toNumbers(logits);
      rows.forEach((at, i) => {
        const own = scores.subarray(i * classes.length, (i + 1) * classes.length);
        out[at] = classScores(model, classes, own);
      });
    }
    return out;
  };
  return { model, classes, classify, [Symbol.asyncDispose]: () => program.dispose() };
}

function tokensOf(model: Model, texts: readonly TextOrPair[]): TokenPair[] {
  const tokenizer = tokenizerOf(model);
  const most = model.family.context(model.config);
  return texts.map((text) => {
    if (typeof text !== 'string') return tokenizer.encodePair(text[0], text[1], { most });
    const ids = tokenizer.encode(text, { most });
    return { ids, types: ids.map(() => 0) };
  });
}

function typeFeed(rows: readonly number[], tokens: readonly TokenPair[]): NDArray {
  const longest = Math.max(...rows.map((at) => tokens[at].ids.length));
  const types = new BigInt64Array(rows.length * longest);
  rows.forEach((at, row) => {
    tokens[at].types.forEach((type, k) => {
      types[row * longest + k] = BigInt(type);
    });
  });
  return ndarray('i64', [rows.length, longest], types);
}
