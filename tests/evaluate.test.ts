// `anyformer evaluate`: its figures against sums taken another way, its baselines, what it finds by
// itself, what it refuses. And the training data that configurations name: folders, data sets.
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { modelLoss, readStreams } from '../src/cli/evaluate-score.js';
import { byteTokenizer } from '../src/data/byte-level.js';
import { streamLoss, trainKneserNey } from '../src/data/kneser-ney.js';
import { saveModel } from '../src/models/folder.js';
import { initialModel } from '../src/models/initial.js';
import { fullDecoderProgram } from '../src/models/model.js';
import { parameterValues } from '../src/models/parameters.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { fromNumbers, toNumbers } from '../src/tensor/index.js';
import { cli } from './support/cli.js';
import { smallEncoder } from './support/small-models.js';

let all: string;
let place: string;
beforeAll(async () => {
  all = await mkdtemp(join(tmpdir(), 'evaluate-'));
});
afterAll(() => rm(all, { recursive: true }));
beforeEach(async () => {
  place = await mkdtemp(join(all, 'case-'));
});
afterEach(() => vi.unstubAllEnvs());

async function file(name: string, content: string): Promise<string> {
  const path = join(place, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
}

const CONTEXT = 12;
const small = () =>
  initialModel(
    {
      name: 'small',
      tokenizer: byteTokenizer(),
      config: {
        model_type: 'llama',
        vocab_size: 257,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: CONTEXT,
      },
    },
    { seed: 4 },
  );

async function* given(...documents: string[]): AsyncGenerator<string> {
  yield* documents;
}

const documents = ['the quick brown fox jumps over the lazy dog', 'é', 'a whale'];

describe('scoring', () => {
  it('sums what one pass a token gives', async () => {
    const model = small();
    await using device = await cpuDevice({ threads: 1 });
    const streams = await readStreams(given(...documents), byteTokenizer());
    const bytes = new TextEncoder().encode(documents.join('')).length;
    expect(streams).toMatchObject({ bytes, tokens: bytes + documents.length });
    const built = fullDecoderProgram(model);
    const parameters = await parameterValues(model, built);
    const program = await device.compile(built.graph, { parameters });
    // The context of each token by the definition of strided windows, one pass for each.
    const wanted = async (stride: number) => {
      let nats = 0;
      for (const stream of streams.streams) {
        for (let i = 1; i < stream.length; i++) {
          const windows = i < CONTEXT ? 0 : Math.ceil((i + 1 - CONTEXT) / stride);
          const ids = [...stream.slice(windows * stride, i)];
          const { logits } = await program.run({
            input_ids: fromNumbers('i64', [1, ids.length], ids),
            attention_mask: fromNumbers('i64', [1, ids.length], Array(ids.length).fill(1)),
          });
          const row = toNumbers(logits).slice(-257);
          const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
          nats += Math.log(total) - row[stream[i]];
        }
      }
      return nats;
    };
    for (const stride of [1, 6, 11]) {
      const found = await modelLoss(model, streams, device, { stride });
      expect(found).toBeCloseTo(await wanted(stride), 3);
    }
    await program.dispose();
  });

  it('prints bits a byte and perplexity, as text and as JSON', async () => {
    const folder = join(place, 'model');
    await saveModel(small(), folder);
    const text = await file('held.txt', documents.join('\n'));
    const ended = await cli('evaluate', folder, '--data', text, '--json', '--quiet');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const { results, bytes, tokens, stride, documents: count } = JSON.parse(ended.stdout);
    expect({ count, stride, tokens }).toEqual({ count: 1, stride: 6, tokens: bytes + 1 });
    const [{ bitsPerByte, perplexity }] = results;
    expect(bitsPerByte * bytes).toBeCloseTo(Math.log2(perplexity) * tokens, 6);
    // An untrained model knows next to nothing of 257 tokens.
    expect(perplexity).toBeGreaterThan(200);
    const lines = await cli('evaluate', folder, '--data', text, '--documents', 'line');
    expect(lines.stderr).toContain('3 documents');
    expect(lines.stdout).toMatch(/bits a byte +perplexity\n.*\d\.\d{4} +\d+\.\d\d/);
  });
});

describe('what training held out', () => {
  const config = (data: object) => ({
    model: {
      model_type: 'llama',
      hidden_size: 32,
      intermediate_size: 48,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 16,
    },
    tokenizer: { type: 'bytes' },
    data,
    optimizer: { type: 'adamw', rate: 0.01 },
    schedule: { type: 'constant' },
    steps: 3,
    batch: 4,
    sequence: 16,
    out: 'out',
  });
  const lines = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => `row ${from + i} of many words`).join('\n');

  it('is found by itself, with baselines that learn from the rest', async () => {
    for (let i = 0; i < 6; i++) await file(`texts/${i}.txt`, lines(100 * i, 40));
    await file('texts/notes.md', 'no text of the folder');
    const data = { train: 'texts', heldOut: ['texts/4.txt'], documents: 'file' };
    const trained = await cli('train', await file('c.json', JSON.stringify(config(data))));
    expect(trained).toMatchObject({ code: 0 });
    expect(trained.stderr).toContain('data: 5 documents');
    expect(trained.stderr).toContain('held out: 1 documents');
    const model = join(place, 'out', 'model');
    const ended = await cli(
      'evaluate',
      model,
      '--baselines',
      '--json',
      '--quiet',
      '--stride',
      '15',
    );
    expect(ended).toMatchObject({ code: 0 });
    const { results, missing, bytes } = JSON.parse(ended.stdout);
    expect(bytes).toBe(new TextEncoder().encode(lines(400, 40)).length);
    expect([...results, ...missing.map((name: string) => ({ name }))].map((r) => r.name)).toEqual(
      expect.arrayContaining([model, '5-gram Kneser-Ney', 'brotli -q 11', 'xz -9', 'bzip2 -9']),
    );
    const of = (name: string) => results.find((one: { name: string }) => one.name === name);
    // The baseline by hand: the other files, each with its end, in their order.
    const tokenizer = byteTokenizer();
    const others = [0, 1, 2, 3, 5].map((i) => lines(100 * i, 40));
    const counted = others.flatMap((text) => [...tokenizer.encode(text), 0]);
    const grams = trainKneserNey(counted, { vocabulary: 257 });
    const stream = Uint16Array.from([0, ...tokenizer.encode(lines(400, 40)), 0]);
    const bits = streamLoss(grams, stream) / Math.LN2 / bytes;
    expect(of('5-gram Kneser-Ney').bitsPerByte).toBeCloseTo(bits, 10);
    expect(bits).toBeLessThan(of(model).bitsPerByte);
    // The texts are almost those that came before.
    expect(of('brotli -q 11').bitsPerByte).toBeGreaterThan(0);
    expect(of('brotli -q 11').bitsPerByte).toBeLessThan(2);
    expect(of('brotli -q 11').perplexity).toBeNull();
  });

  it('is found for a share of documents, too', async () => {
    await file('rows.txt', lines(0, 80));
    const data = { train: 'rows.txt', heldOut: 0.25 };
    const trained = await cli('train', await file('c.json', JSON.stringify(config(data))));
    const [, count] = /held out: (\d+) documents/.exec(trained.stderr) ?? [];
    const ended = await cli('evaluate', join(place, 'out', 'model'), '--json', '--quiet');
    expect(JSON.parse(ended.stdout).documents).toBe(Number(count));
  });

  it('may be documents of a data set, in training and after', async () => {
    const cache = join(place, 'cache');
    vi.stubEnv('ANYFORMER_CACHE', cache);
    for (const name of ['epilogue', 'etymology', 'extracts']) {
      await file(`cache/data/moby-dick/${name}.txt`, lines(name.length, 9));
    }
    for (let i = 1; i <= 135; i++) {
      await file(`cache/data/moby-dick/chapter_${i}.txt`, lines(i, 3));
    }
    const data = {
      train: [{ dataset: 'moby-dick' }],
      heldOut: { dataset: 'moby-dick', last: 3 },
      documents: 'file',
    };
    const trained = await cli('train', await file('c.json', JSON.stringify(config(data))));
    expect(trained.stderr).toContain('data: 135 documents');
    expect(trained.stderr).toContain('held out: 3 documents');
    // The model and its training file are all that is needed elsewhere.
    const moved = join(place, 'elsewhere');
    await mkdir(moved);
    for (const name of [
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]) {
      await copyFile(join(place, 'out', 'model', name), join(moved, name));
    }
    await copyFile(join(place, 'out', 'training.json'), join(moved, 'training.json'));
    const ended = await cli('evaluate', moved, '--json', '--quiet');
    expect(JSON.parse(ended.stdout)).toMatchObject({ documents: 3 });
    vi.stubEnv('ANYFORMER_CACHE', join(place, 'none'));
    const without = await cli('evaluate', moved);
    expect(without).toMatchObject({ code: 2 });
    expect(without.stderr).toContain('anyformer data fetch moby-dick');
  });

  it.each<[string, object, string]>([
    ['a file in both', { train: ['a.txt'], heldOut: ['a.txt'] }, 'config/data'],
    ['nothing but what is held out', { train: 'folder', heldOut: ['folder'] }, 'data/held-out'],
    ['a folder without texts', { train: 'empty' }, 'data/no-rows'],
    ['an unknown data set', { train: { dataset: 'satu' } }, "did you mean 'sotu'"],
    ['a data set without texts', { train: { dataset: 'fashion-mnist' } }, 'data/no-texts'],
    ['a misspelt key', { train: { dataset: 'sotu', lst: 1 } }, 'config/value'],
  ])('refuses %s', async (_, data, says) => {
    await file('a.txt', lines(0, 9));
    await file('folder/a.txt', lines(0, 9));
    await file('empty/a.md', 'x');
    const ended = await cli('train', await file('c.json', JSON.stringify(config(data))));
    expect(ended.stderr).toContain(says);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('refusals', () => {
  it('an encoder, no texts, no training texts, a wrong stride', async () => {
    const encoder = join(place, 'encoder');
    await saveModel(smallEncoder(), encoder);
    const text = await file('t.txt', 'some text');
    expect((await cli('evaluate', encoder, '--data', text)).stderr).toContain('models/kind');
    const folder = join(place, 'model');
    await saveModel(small(), folder);
    const none = await cli('evaluate', folder);
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toContain('usage/data');
    const baselines = await cli('evaluate', folder, '--data', text, '--baselines');
    expect(baselines.stderr).toContain('usage/baselines');
    const stride = await cli('evaluate', folder, '--data', text, '--stride', '12');
    expect(stride).toMatchObject({ code: 2 });
    expect(stride.stderr).toContain('data/stride');
    const gone = await cli('evaluate', folder, '--data', join(place, 'gone.txt'));
    expect(gone.stderr).toContain('file/not-found');
    const both = await cli('evaluate', folder, '--data', text, '--baselines', text);
    expect(both.stderr).toContain('config/data');
  });
});
