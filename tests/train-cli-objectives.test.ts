// `anyformer train` with objectives beside the next token: hidden words, pairs, a teacher; and what each
// refuses. Then the page that shows a run.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MetricsLine, renderTrainReport } from '../src/cli/train-page.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { cli } from './support/cli.js';
import { smallEncoder } from './support/small-models.js';

let all: string;
let place: string;
beforeAll(async () => {
  all = await mkdtemp(join(tmpdir(), 'objectives-'));
});
afterAll(() => rm(all, { recursive: true }));
beforeEach(async () => {
  place = await mkdtemp(join(all, 'run-'));
  const rows = Array.from({ length: 120 }, (_, i) => `the row ${i} of ${i % 9} words.`);
  await file('texts.txt', rows);
});

async function file(name: string, content: readonly string[]): Promise<string> {
  const path = join(place, name);
  await writeFile(path, content.join('\n'));
  return path;
}

const decoder = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};
const encoder = {
  model_type: 'use-lite',
  embedding_size: 32,
  hidden_size: 64,
  layers: [{ width: 64, num_attention_heads: 2, head_dim: 16, intermediate_size: 96 }],
  max_position_embeddings: 64,
  layer_norm_eps: 1e-6,
};
const base = {
  model: decoder,
  tokenizer: { type: 'bytes' },
  data: { train: 'texts.txt', heldOut: 0.2 },
  optimizer: { type: 'adamw', rate: 0.01 },
  schedule: { type: 'constant' },
  steps: 6,
  batch: 8,
  sequence: 16,
  out: 'out',
};
const train = async (changes: object) => {
  const path = await file('config.json', [JSON.stringify({ ...base, ...changes })]);
  const ended = await cli('train', path, '--json', '--quiet');
  const events = ended.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return { ...ended, events };
};
const written = async () => (await readdir(join(place, 'out', 'model'))).sort();

describe('objectives', () => {
  it('hidden words: the tokenizer has a token for them, and the head is kept', async () => {
    const objective = { type: 'masked-lm', share: 0.3 };
    const { code, events } = await train({ model: encoder, objective, steps: 40 });
    expect(code).toBe(0);
    const losses = events.filter(({ type }) => type === 'step').map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(0.75 * losses[0]);
    const found = events.find(({ type }) => type === 'evaluation');
    expect(found.metrics.accuracy).toBeGreaterThan(0);
    expect(found).not.toHaveProperty('bitsPerByte');
    expect(await written()).toContain('head.safetensors');
    const path = join(place, 'out', 'model', 'tokenizer_config.json');
    expect(JSON.parse(await readFile(path, 'utf8')).mask_token).toBe('<|mask|>');
    const again = { model: 'out/model', tokenizer: undefined, objective, out: 'more', steps: 2 };
    expect(await train(again)).toMatchObject({ code: 0 });
  });

  it('pairs: the right partner becomes the nearest', async () => {
    const rows = Array.from(
      { length: 60 },
      (_, i) => `the letter ${'abcdefghij'[i % 10]} ${i}\t${'abcdefghij'[i % 10].repeat(5)} ${i}`,
    );
    await file('pairs.tsv', rows);
    const { code, events } = await train({
      model: encoder,
      objective: { type: 'contrastive', temperature: 0.1 },
      data: { train: 'pairs.tsv', heldOut: 0.2 },
      steps: 40,
    });
    expect(code).toBe(0);
    const losses = events.filter(({ type }) => type === 'step').map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]);
    expect(events.find(({ type }) => type === 'evaluation').weight).toBe(12);
    expect(await written()).not.toContain('head.safetensors');
  });

  it('a teacher: it does not learn, gives its tokenizer, and is not written', async () => {
    await train({ out: 'big', steps: 4 });
    const teacher = join(place, 'big', 'model');
    const before = await readFile(join(teacher, 'model.safetensors'));
    const objective = {
      type: 'distillation',
      teacher: 'big/model',
      hidden: [['model.layers.0', 'model.layers.0']],
    };
    const model = { ...decoder, hidden_size: 16, intermediate_size: 32 };
    const run = { model, tokenizer: undefined, objective, steps: 12 };
    const { code, events, stderr } = await train(run);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const steps = events.filter(({ type }) => type === 'step');
    expect(Object.keys(steps[0].metrics).sort()).toEqual(['cross_entropy', 'hidden', 'kl']);
    expect(steps.at(-1).loss).toBeLessThan(steps[0].loss);
    expect(await readFile(join(teacher, 'model.safetensors'))).toEqual(before);
    await using student = await loadModelFolder(join(place, 'out', 'model'));
    const names = [...student.weights.names()];
    expect(names.filter((name) => /^(teacher|distill)\./.test(name))).toEqual([]);
    expect(student.weights.type('model.embed_tokens.weight').shape).toEqual([257, 16]);
    const told = await cli('generate', join(place, 'out', 'model'), 'the', '--quiet');
    expect(told.code).toBe(0);
  });
});

describe('refusals', () => {
  it.each<[string, object, string]>([
    ['hidden words for a decoder', { objective: { type: 'masked-lm' } }, 'models/kind'],
    ['pairs for a decoder', { objective: { type: 'contrastive' } }, 'models/kind'],
    ['the next token for an encoder', { model: encoder }, 'models/kind'],
    [
      'hidden words without a token for them',
      { model: 'encoder', tokenizer: undefined, objective: { type: 'masked-lm' } },
      'config/tokenizer',
    ],
    [
      'a teacher that is not there',
      { objective: { type: 'distillation', teacher: 'nowhere' } },
      'models/not-found',
    ],
    ['no teacher', { objective: { type: 'distillation' } }, 'key objective.teacher'],
    [
      'a teacher that is no decoder',
      { tokenizer: undefined, objective: { type: 'distillation', teacher: 'encoder' } },
      'models/kind',
    ],
    [
      'a teacher with other tokens',
      { objective: { type: 'distillation', teacher: 'encoder' } },
      'config/tokenizer',
    ],
    [
      'a row that is no pair',
      { model: encoder, objective: { type: 'contrastive' }, data: { train: 'texts.txt' } },
      'data/pair',
    ],
    [
      'a data set of texts where rows belong',
      { model: encoder, objective: { type: 'contrastive' }, data: { train: { dataset: 'sotu' } } },
      'config/data',
    ],
    ['an unknown objective', { objective: { type: 'next-word' } }, 'key objective.type'],
  ])('%s', async (_, changes, says) => {
    await saveModel(smallEncoder(), join(place, 'encoder'));
    const ended = await train(changes);
    expect(ended.stderr).toContain(says);
    expect(ended).toMatchObject({ stdout: '' });
    expect(ended.code).not.toBe(0);
    expect(await readdir(place)).not.toContain('out');
  });
});

describe('the page of a run', () => {
  const page = (lines: MetricsLine[], state: 'running' | 'steps' = 'running') =>
    renderTrainReport({
      ...{ name: '<b>run', config: { note: '</script><svg' }, notes: ['read & kept'] },
      ...{ state, step: lines.length, steps: 9000, parameters: 12_345, lines },
    });

  it('shows thousands of steps in a curve that a reader can take in, and escapes names', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => ({
      ...{ step: i + 1, loss: 5 / (1 + i / 500), norm: 1, rate: 1e-3, tokens: 100, seconds: 0.1 },
    }));
    const evaluation = { step: 5000, loss: 0.75, evaluation: true };
    const text = await page([...lines, evaluation]);
    expect(text.length).toBeLessThan(100_000);
    expect(text).toContain('held out 0.750');
    expect(text).toContain('1,000 tokens/s');
    expect(text).toContain('Training: &lt;b&gt;run');
    expect(text).toContain('&lt;/script&gt;&lt;svg');
    expect(text).toContain('http-equiv="refresh"');
    expect(await page(lines, 'steps')).not.toContain('http-equiv="refresh"');
  });

  it('stands with one step, and with a loss that is no number', async () => {
    expect(await page([])).toContain('not done yet');
    const odd = [
      { step: 1, loss: 2 },
      { step: 2, loss: null },
    ];
    expect(await page(odd)).toContain('<svg');
  });
});
