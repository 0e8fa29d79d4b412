// Running a text encoder: many texts in, one vector a text out. Texts are sorted by length and cut
// into batches of a bounded number of tokens, so that little of a batch is padding; the result is in
// the order given.
import type { Device, Program } from '../runtime/device.js';
import { AnyformerError, type NDArray, ndarray } from '../tensor/index.js';
import { encoderProgram, isEncoder, type Model, wrongKind } from './model.js';
import { programParameters } from './parameters.js';
import type { TextTokenizer } from './tokenizer.js';

/** Places of one batch, padding included: large products run near the machine's full rate. */
const BATCH_TOKENS = 4096;

export type EncodeOptions = {
  signal?: AbortSignal | undefined;
  /** Texts finished so far. */
  progress?: ((done: number, total: number) => void) | undefined;
};

export type Encoder = AsyncDisposable & {
  readonly model: Model;
  readonly width: number;
  readonly program: Program;
  /** float32 [texts, width], row i for text i. Longer texts are cut to the model's context. */
  encode(texts: readonly string[], options?: EncodeOptions): Promise<NDArray>;
  /** The same for token ids. */
  encodeIds(ids: readonly (readonly number[])[], options?: EncodeOptions): Promise<NDArray>;
  dispose(): Promise<void>;
};

/** Compiles a model's encoder for a device. Dispose it when done. */
export async function openEncoder(
  model: Model,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Encoder> {
  if (!isEncoder(model)) throw wrongKind(model, 'encoder');
  const built = encoderProgram(model);
  const parameters = await programParameters(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  const width = model.family.width(model.config);
  const encodeIds: Encoder['encodeIds'] = (ids, options = {}) =>
    encodeAll(program, ids, { ...limitsOf(model), width }, options);
  return {
    model,
    width,
    program,
    encodeIds,
    encode: (texts, options) => encodeIds(tokenize(model, texts), options),
    dispose: () => program.dispose(),
    [Symbol.asyncDispose]: () => program.dispose(),
  };
}

type Limits = { width: number; context: number; vocabulary: number };

const limitsOf = ({ family, config }: Model): Omit<Limits, 'width'> => ({
  context: family.context(config),
  vocabulary: family.vocabulary(config),
});

/**
 * Token ids of texts, cut to `most` tokens, or as many as the model's context has, within the special
 * tokens around them; a text without any becomes one token, the first of the vocabulary.
 */
export function tokenize(
  model: Model,
  texts: readonly string[],
  { most = limitsOf(model).context }: { most?: number | undefined } = {},
): number[][] {
  const tokenizer = tokenizerOf(model);
  return texts.map((text) => {
    const ids = tokenizer.encode(text, { most });
    return ids.length > 0 ? ids : [0];
  });
}

/** The model's tokenizer. Errors: `models/no-tokenizer`. */
export function tokenizerOf({ tokenizer, name }: Model): TextTokenizer {
  if (!tokenizer) {
    throw new AnyformerError('models/no-tokenizer', {
      what: `'${name}' has no tokenizer`,
      expected: 'tokenizer.json beside config.json',
      found: 'none',
      hint: 'give token ids instead of texts',
    });
  }
  return tokenizer;
}

/** Rows of one batch: places in the caller's list, all of nearly one length. */
export function batches(lengths: readonly number[], limit = BATCH_TOKENS): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const out: number[][] = [];
  let open: number[] = [];
  for (const at of order) {
    const longest = lengths[open[0] ?? at];
    const full = (open.length + 1) * longest > limit;
    const wasteful = lengths[at] < 0.85 * longest && open.length >= 16;
    if (open.length > 0 && (full || wasteful)) {
      out.push(open);
      open = [];
    }
    open.push(at);
  }
  if (open.length > 0) out.push(open);
  return out;
}

async function encodeAll(
  program: Program,
  ids: readonly (readonly number[])[],
  { width, context, vocabulary }: Limits,
  { signal, progress }: EncodeOptions,
): Promise<NDArray> {
  for (const [i, text] of ids.entries()) checkIds(text, i, context, vocabulary);
  const out = new Float32Array(ids.length * width);
  const pending = new Set<Promise<void>>();
  let done = 0;
  for (const rows of batches(ids.map((text) => text.length))) {
    signal?.throwIfAborted();
    const run = program
      .run(feedsOf(rows, ids), { signal })
      .then(({ sentence_embedding: result }) => {
        const vectors = result.data as Float32Array;
        rows.forEach((at, i) => {
          out.set(vectors.subarray(i * width, (i + 1) * width), at * width);
        });
        done += rows.length;
        progress?.(done, ids.length);
      });
    const settled = run.finally(() => pending.delete(settled));
    settled.catch(() => undefined); // awaited below, by whoever comes first
    pending.add(settled);
    // One batch runs while the next is made ready.
    if (pending.size >= 2) await Promise.race(pending);
  }
  await Promise.all(pending);
  return ndarray('f32', [ids.length, width], out);
}

function checkIds(
  ids: readonly number[],
  index: number,
  context: number,
  vocabulary: number,
): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary);
  if (wrong !== undefined) {
    throw new AnyformerError('models/token', {
      what: `text ${index} holds the token ${wrong}`,
      expected: `whole numbers from 0 to ${vocabulary - 1}`,
      found: String(wrong),
      hint: 'check that the tokenizer belongs to the model',
    });
  }
  if (ids.length === 0 || ids.length > context) {
    throw new AnyformerError('models/length', {
      what: `text ${index} has ${ids.length} tokens`,
      expected: `1 to ${context} tokens`,
      found: String(ids.length),
    });
  }
}

/** input_ids and attention_mask [rows, longest], padded on the right. */
export function feedsOf(
  rows: readonly number[],
  ids: readonly (readonly number[])[],
): { input_ids: NDArray; attention_mask: NDArray } {
  const longest = rows.reduce((max, at) => Math.max(max, ids[at].length), 0);
  const tokens = new BigInt64Array(rows.length * longest);
  const mask = new BigInt64Array(rows.length * longest);
  rows.forEach((at, row) => {
    ids[at].forEach((id, k) => {
      tokens[row * longest + k] = BigInt(id);
      mask[row * longest + k] = 1n;
    });
  });
  const shape = [rows.length, longest];
  return {
    input_ids: ndarray('i64', shape, tokens),
    attention_mask: ndarray('i64', shape, mask),
  };
}
