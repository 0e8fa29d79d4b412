// `anyformer train`: runs, resumes, labels, JSON lines, and what it refuses.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sparkline } from '../src/cli/sparkline.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { cli, start } from './support/cli.js';
import { smallEncoder } from './support/small-models.js';

let all: string;
let place: string;
beforeAll(async () => {
  all = await mkdtemp(join(tmpdir(), 'train-cli-'));
});
afterAll(() => rm(all, { recursive: true }));
beforeEach(async () => {
  place = await mkdtemp(join(all, 'run-'));
  await file(
    'texts.txt',
    Array.from({ length: 60 }, (_, i) => `the row ${i} of ${i % 9} words.`),
  );
});

async function file(name: string, content: readonly string[] | string): Promise<string> {
  const path = join(place, name);
  await writeFile(path, typeof content === 'string' ? content : content.join('\n'));
  return path;
}

const base = {
  model: {
    model_type: 'llama',
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  },
  tokenizer: { type: 'bytes' },
  data: { train: 'texts.txt', heldOut: 0.2 },
  optimizer: { type: 'adamw', rate: 0.01 },
  schedule: { type: 'constant' },
  steps: 6,
  batch: 4,
  sequence: 16,
  checkpoint: { every: 2 },
  out: 'out',
};
const config = (changes: object = {}): Promise<string> =>
  file('config.json', JSON.stringify({ ...base, ...changes }));

describe('a run', () => {
  it('writes a model that the other commands take, and says how it went', async () => {
    const ended = await cli('train', await config());
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toMatch(/step 6, held out: loss \d.*, \d\.\d{4} bits a byte/);
    expect(ended.stdout).toMatch(/^loss \d.*[▁▂▃▄▅▆▇█]{6}/m);
    const model = join(place, 'out', 'model');
    expect(ended.stdout).toContain(`written: ${model}/`);
    const told = await cli('generate', model, 'the row', '--max-new-tokens', '4', '--quiet');
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect((await readdir(join(place, 'out'))).sort()).toEqual([
      'checkpoints',
      'metrics.jsonl',
      'model',
      'report.html',
      'training.json',
    ]);
    const report = await readFile(join(place, 'out', 'report.html'), 'utf8');
    expect(report).toContain('finished, step 6 of 6');
    expect(report).toMatch(/<svg[\s\S]*Loss by step/);
    expect(report).not.toMatch(/<script|http-equiv="refresh"/);
  });

  it('gives events as lines of JSON, bits a byte among them', async () => {
    const { stdout } = await cli('train', await config({ save: 'bf16' }), '--json', '--quiet');
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ type }) => type)).toEqual([
      'start',
      ...['step', 'step', 'checkpoint', 'step', 'step', 'checkpoint', 'step', 'step'],
      ...['evaluation', 'checkpoint', 'done'],
    ]);
    const { loss, weight, bitsPerByte } = events.find(({ type }) => type === 'evaluation');
    const held = (loss * weight) / Math.LN2 / bitsPerByte;
    expect(held).toBeCloseTo(Math.round(held), 6);
    await using model = await loadModelFolder(join(place, 'out', 'model'));
    expect(model.weights.type('model.norm.weight').dtype).toBe('bf16');
  });

  it('refuses a folder with checkpoints, resumes it, and names the key that has changed', async () => {
    const path = await config();
    await cli('train', path);
    expect((await cli('train', path)).stderr).toContain('train/exists');
    // The rate is constant, so a longer run is the same run.
    await config({ steps: 8 });
    const more = await cli('train', path, '--resume');
    expect(more).toMatchObject({ code: 0 });
    expect(more.stderr).toContain('goes on from');
    await config({ optimizer: { type: 'adamw', rate: 0.02 } });
    const changed = await cli('train', path, '--resume');
    expect(changed).toMatchObject({ code: 2 });
    expect(changed.stderr).toMatch(/config\/changed: the key optimizer\.rate/);
    await config();
    await file(
      'texts.txt',
      Array.from({ length: 60 }, (_, i) => `another row ${i}.`),
    );
    expect((await cli('train', path, '--resume')).stderr).toContain('the key tokens');
  });

  it('learns classes from labelled rows, on a given encoder', async () => {
    await saveModel(smallEncoder(), join(place, 'encoder'));
    const rows = Array.from({ length: 40 }, (_, i) =>
      i % 2 ? `b\tbees buzz ${i}` : `a\tcats ${i}`,
    );
    await file('rows.tsv', rows);
    const path = await config({
      model: 'encoder',
      tokenizer: undefined,
      data: { train: 'rows.tsv', heldOut: 0.25 },
      objective: { type: 'classification' },
      steps: 60,
    });
    const ended = await cli('train', path);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('accuracy 1.0000');
    const names = await readdir(join(place, 'out', 'model'));
    expect(names).toEqual(expect.arrayContaining(['head.safetensors', 'classes.json']));
    await file('other.tsv', ['c\tdogs', 'a\tcats']);
    const other = { train: 'rows.tsv', heldOut: 'other.tsv' };
    const refused = await config({
      model: 'encoder',
      tokenizer: undefined,
      data: other,
      objective: { type: 'classification' },
      out: 'other',
    });
    expect((await cli('train', refused)).stderr).toContain('data/label');
  });

  it('finishes the step on SIGINT, keeps a checkpoint, and goes on', async () => {
    const path = await config({ steps: 5000, checkpoint: { every: 5000 } });
    const { child, ended, says } = start(['train', path]);
    await says('parameters,');
    await new Promise((done) => setTimeout(done, 500));
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    const [, step] = /stopped after step (\d+); go on with --resume/.exec(stderr) ?? [];
    const [kept] = await readdir(join(place, 'out', 'checkpoints'));
    expect(kept).toBe(`step-${step.padStart(6, '0')}`);
    expect(await readdir(join(place, 'out'))).not.toContain('model');
    await config({ steps: Number(step) + 2 });
    const rest = await cli('train', path, '--resume', '--json', '--quiet');
    expect(JSON.parse(rest.stdout.split('\n')[0])).toMatchObject({ step: Number(step) });
    expect(rest.code).toBe(0);
  });
});

describe('refusals', () => {
  it.each<[string, object, string]>([
    ['an unknown key', { stpes: 3 }, 'config/value'],
    ['a wrong type', { batch: 'many' }, 'key batch'],
    ['an unknown optimiser', { optimizer: { type: 'adam', rate: 1 } }, 'key optimizer.type'],
    ['no rate', { optimizer: { type: 'adamw' } }, 'key optimizer.rate'],
    ['an unknown family', { model: { model_type: 'mamba' } }, 'models/unknown-family'],
    [
      'a vocabulary larger than the embedding',
      { model: { ...base.model, vocab_size: 200 } },
      'config/vocabulary',
    ],
    [
      'a sequence longer than the context',
      { model: { ...base.model, max_position_embeddings: 8 } },
      'config/sequence',
    ],
    [
      'a vocabulary without the bytes',
      { tokenizer: { type: 'bpe', vocabulary: 100 } },
      'data/vocab',
    ],
    ['no tokenizer', { tokenizer: undefined }, 'config/tokenizer'],
    ['data shorter than a sequence', { sequence: 4000 }, 'data/too-short'],
    ['nothing to learn from', { data: { train: 'texts.txt', heldOut: 1 } }, 'data/held-out'],
    ['nothing held out', { data: { train: 'texts.txt', heldOut: 1e-9 } }, 'data/held-out'],
  ])('%s', async (_, changes, says) => {
    const ended = await cli('train', await config(changes));
    expect(ended.stderr).toContain(says);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect((await readdir(place)).sort()).toEqual(['config.json', 'texts.txt']);
  });

  it('no file, no JSON, no data', async () => {
    expect((await cli('train', join(place, 'no.json'))).stderr).toContain('file/not-found');
    expect((await cli('train', await file('bad.json', '{'))).code).toBe(2);
    const gone = await config({ data: { train: 'gone.txt' } });
    expect((await cli('train', gone)).stderr).toContain('file/not-found');
    const empty = await file('empty.txt', '\n \n');
    const none = await cli('train', await config({ data: { train: empty } }));
    expect(none.stderr).toContain('data/no-rows');
    const latin = await file('latin.txt', '');
    await writeFile(latin, Uint8Array.of(0x66, 0xfc, 0x72, 10));
    const bytes = await cli('train', await config({ data: { train: latin } }));
    expect(bytes.stderr).toContain('data/utf8');
  });

  it('numbers that overflow end the run with the place and the way back', async () => {
    const path = await config({
      optimizer: { type: 'sgd', rate: 1e30, clip: 1e30 },
      checkpoint: { every: 1 },
    });
    const ended = await cli('train', path);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('train/not-finite');
    expect(ended.stderr).toMatch(/first in the/);
    expect(await readFile(join(place, 'out', 'metrics.jsonl'), 'utf8')).toContain('"step":1');
  });
});

it('a sparkline has a height for each stretch', () => {
  expect(sparkline([8, 7, 6, 5, 4, 3, 2, 1], 8)).toBe('█▇▆▅▄▃▂▁');
  expect(sparkline([0, 0, 1, 1], 2)).toBe('▁█');
  expect(sparkline([5, 5], 9)).toBe('▁▁');
  expect(sparkline([1, Number.NaN, 2], 3)).toBe('▁!█');
  expect(sparkline([], 3)).toBe('');
});
