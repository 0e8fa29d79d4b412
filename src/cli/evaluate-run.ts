// Evaluating a language model on the terminal, beside baselines that learn from the same texts.
import { vocabularySize } from '../data/byte-level.js';
import { readCorpus } from '../data/corpus.js';
import { streamLoss, trainKneserNey } from '../data/kneser-ney.js';
import { isDecoder, wrongKind } from '../models/model.js';
import type { TextTokenizer } from '../models/tokenizer.js';
import { cpuDevice } from '../runtime/node-cpu.js';
import { AnyformerError } from '../tensor/error.js';
import type { Cli } from './cli.js';
import { columns } from './columns.js';
import type { EvaluateOptions } from './commands/evaluate.js';
import { addedBytes, compressors } from './compressors.js';
import { modelLoss, readStreams, type Streams } from './evaluate-score.js';
import { type EvaluationTexts, evaluationTexts } from './evaluate-texts.js';
import { openModel } from './open-model.js';
import { openTerminal, type Terminal } from './terminal.js';

export type Result = {
  name: string;
  bitsPerByte: number;
  /** Of a token; null for what has none. */
  perplexity: number | null;
  seconds: number;
  how: string;
};

const count = (n: number): string => n.toLocaleString('en-US');

export async function runEvaluate(cli: Cli, name: string, options: EvaluateOptions): Promise<void> {
  const terminal = openTerminal(cli, options);
  const texts = await evaluationTexts(name, options);
  await using opened = await openModel(name);
  const { model } = opened;
  if (!isDecoder(model)) throw wrongKind(model, 'language model');
  const { tokenizer } = model;
  if (!tokenizer) {
    throw new AnyformerError('models/no-tokenizer', {
      what: `'${model.name}' has no tokenizer`,
      expected: 'tokenizer.json beside config.json',
      found: 'none',
    });
  }
  const context = model.family.context(model.config);
  const stride = options.stride ?? Math.max(1, Math.floor(context / 2));
  const held = await readStreams(texts.held(), tokenizer);
  const { streams, bytes, tokens } = held;
  terminal.note(
    `${texts.says}: ${count(streams.length)} documents, ${count(bytes)} bytes, ${count(tokens)} tokens`,
  );
  const results: Result[] = [];
  const missing: string[] = [];
  const add = async (
    label: string,
    how: string,
    measure: () => Promise<{ nats?: number; bytes?: number } | undefined>,
  ) => {
    const start = performance.now();
    const found = await measure();
    if (!found) return void missing.push(label);
    const nats = found.nats ?? 8 * Math.LN2 * (found.bytes ?? 0);
    results.push({
      name: label,
      bitsPerByte: nats / Math.LN2 / bytes,
      perplexity: found.bytes === undefined ? Math.exp(nats / tokens) : null,
      seconds: (performance.now() - start) / 1000,
      how,
    });
  };
  {
    await using device = await cpuDevice({ threads: options.threads, signal: cli.signal });
    await add(name, `context ${context}, stride ${stride}`, async () => ({
      nats: await modelLoss(model, held, device, {
        stride,
        signal: cli.signal,
        progress: (done, total) =>
          terminal.progress({ stage: 'evaluate', done, total, what: 'windows' }),
      }),
    }));
  }
  if (texts.train) await baselines(cli, terminal, tokenizer, held, texts, add);
  terminal.clear();
  const facts = { model: name, documents: streams.length, bytes, tokens, context, stride };
  if (options.json) {
    terminal.print(`${JSON.stringify({ ...facts, results, missing }, null, 2)}\n`);
    return;
  }
  terminal.print(tableOf(results));
  if (missing.length > 0) terminal.note(`not on this machine, left out: ${missing.join(', ')}`);
}

type Add = (
  label: string,
  how: string,
  measure: () => Promise<{ nats?: number; bytes?: number } | undefined>,
) => Promise<void>;

async function baselines(
  { signal }: Cli,
  terminal: Terminal,
  tokenizer: TextTokenizer,
  { streams }: Streams,
  { train, held }: EvaluationTexts,
  add: Add,
): Promise<void> {
  if (!train) return;
  const all = compressors.length + 1;
  const stage = (done: number, what: string) => {
    signal.throwIfAborted();
    terminal.progress({ stage: 'baselines', done, total: all, what });
  };
  stage(0, '5-gram Kneser-Ney');
  const { tokens } = await readCorpus(train(), tokenizer, { signal });
  await add('5-gram Kneser-Ney', `the same tokens, ${count(tokens.length)} counted`, async () => {
    const model = trainKneserNey(tokens, { vocabulary: vocabularySize(tokenizer), signal });
    return { nats: streams.reduce((sum, stream) => sum + streamLoss(model, stream), 0) };
  });
  const [before, text] = [await joined(train()), await joined(held())];
  for (const [i, compressor] of compressors.entries()) {
    stage(1 + i, compressor.name);
    await add(compressor.name, 'what the texts add to the training texts', async () => {
      const bytes = await addedBytes(compressor, before, text, signal);
      return bytes === undefined ? undefined : { bytes };
    });
  }
}

/** Documents as bytes, each with a line end. */
async function joined(documents: AsyncIterable<string>): Promise<Uint8Array> {
  const parts: string[] = [];
  for await (const document of documents) parts.push(document, '\n');
  return new TextEncoder().encode(parts.join(''));
}

function tableOf(results: readonly Result[]): string {
  const rows = results.map(({ name, bitsPerByte, perplexity, how }) => [
    name,
    bitsPerByte.toFixed(4),
    perplexity === null ? '' : perplexity.toFixed(2),
    how,
  ]);
  return columns(
    [['', 'bits a byte', 'perplexity', ''], ...rows],
    ['left', 'right', 'right', 'left'],
  );
}
