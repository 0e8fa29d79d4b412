// Bad input at the command line: each ends with its code, the documented exit code, nothing on
// standard output and nothing written.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { saveModel } from '../src/models/folder.js';
import { cli } from './support/cli.js';
import { sampleTexts, smallDecoder, smallEncoder } from './support/small-models.js';

let place: string;
let model: string;
let decoder: string;
let texts: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'refusals-'));
  model = join(place, 'model');
  decoder = join(place, 'decoder');
  texts = join(place, 'texts.txt');
  await saveModel(smallEncoder(), model);
  await saveModel(smallDecoder(), decoder);
  await writeFile(texts, sampleTexts.join('\n'));
});
afterAll(() => rm(place, { recursive: true }));

/** Runs a command that must be refused; `code` is of the error, or text of commander's. */
async function refused(argv: string[], code: string, exit: number): Promise<string> {
  const before = (await readdir(place, { recursive: true })).sort();
  const ended = await cli(...argv);
  expect(ended.stderr).toContain(code);
  expect(ended).toMatchObject({ code: exit, stdout: '' });
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  expect((await readdir(place, { recursive: true })).sort()).toEqual(before);
  return ended.stderr;
}

const out = () => join(place, 'out');

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(place, name);
  await writeFile(path, content);
  return path;
}

describe('usage', () => {
  it.each([
    [['optimise'], "unknown command 'optimise'"],
    [['optimize', 'use-lite', '--bugdet', 'x'], 'Did you mean --budget?'],
    [['optimize'], "missing required argument 'model'"],
    [['compress', 'use-lite', '--out', 'x'], '--pass'],
    [['export', 'use-lite', '--to', 'ggml', '--out', 'x'], 'Allowed choices are onnx, gguf'],
    [['export', 'use-lite', '--to', 'safetensors', '--shard', 'x', '--out', 'x'], '5GB or 200MB'],
    [['embed', 'use-lite', 'a', '--threads', '0'], 'from 1 to 1024'],
    [['optimize', 'use-lite', '--seed', '1.5'], 'whole number'],
    [['optimize', 'use-lite', '--prefer', 'latncy'], "did you mean 'latency'"],
    [['compress', 'use-lite', '--pass', 'int8', '--out', 'x', '--floor', 'cosine'], 'METRIC=VALUE'],
    [['compress', 'use-lite', '--pass', 'int8', '--out', 'x', '--floor', 'cos=1'], 'did you mean'],
    [['generate', 'x.bin', 'a', '--top-p', '1.5'], 'from 0 to 1'],
    [['generate', 'x.bin', 'a', '--strategy', 'beam'], 'greedy, sample'],
    [['inspect', 'use-lite', '--batch', '-1'], 'whole number'],
    [['inspect', 'use-lite', 'too-much'], 'too many arguments'],
  ])('%j', async (argv, says) => {
    expect(await refused(argv, says, 2)).toContain('--help');
  });

  it('what contradicts itself', async () => {
    await refused(['embed', model, 'a', '--file', texts], 'usage/texts', 2);
    await refused(
      ['generate', decoder, 'a', '--strategy', 'greedy', '--top-k', '3'],
      'usage/strategy',
      2,
    );
    await refused(['inspect', model, '--seq', '65'], 'usage/seq', 2);
  });
});

describe('budgets', () => {
  it.each([
    ['latncy<=3ms', 'budget/unknown-metric'],
    ['size<=3parsecs', 'budget/unit'],
    ['size>=3MB', 'budget/direction'],
    ['', 'budget/empty'],
    ['size<=1MB, size<=2MB', 'budget/duplicate'],
  ])('%j', async (budget, code) => {
    await refused(
      ['optimize', model, '--data', texts, '--budget', budget, '--out', out()],
      code,
      2,
    );
  });

  it('what this run cannot measure is told before measuring', async () => {
    const budget = ['--budget', 'accuracy>=0.9'];
    await refused(
      ['optimize', model, '--data', texts, ...budget, '--out', out()],
      'budget/unmeasured',
      2,
    );
  });
});

describe('data', () => {
  const ham = (label: (i: number) => string) =>
    Array.from({ length: 20 }, (_, i) => `${label(i)}\ttext ${i}\n`).join('');
  it.each<[string, string, string | Uint8Array, string]>([
    ['no rows', 'none.txt', ' \n\n', 'data/no-rows'],
    ['a heading alone', 'none.tsv', 'label\ttext\n', 'data/no-rows'],
    ['one class', 'one.tsv', ham(() => 'ham'), 'data/one-class'],
    ['bytes that are not UTF-8', 'latin1.txt', Uint8Array.of(0x66, 0xfc, 0x72, 10), 'data/utf8'],
    [
      'such bytes among labelled rows',
      'latin1.tsv',
      Buffer.concat([Buffer.from(ham((i) => `${i % 2}`)), Uint8Array.of(0x31, 9, 0xfc, 10)]),
      'data/utf8',
    ],
    ['no labels', 'plain.tsv', 'a text\nanother\n', 'data/no-tab'],
    ['another format', 'texts.csv', 'label,text\na,b\n', 'data/format'],
  ])('%s', async (_, name, content, code) => {
    const data = await file(name, content);
    const said = await refused(['optimize', model, '--data', data, '--out', out()], code, 2);
    expect(said).toContain(data);
    await refused(['compress', model, '--pass', 'int8', '--data', data, '--out', out()], code, 2);
  });

  it('a file that is not there, a folder', async () => {
    const at = (path: string) => [
      'compress',
      model,
      '--pass',
      'int8',
      '--data',
      path,
      '--out',
      out(),
    ];
    await refused(at(join(place, 'nowhere.txt')), 'data/not-found', 2);
    await refused(at(place), 'data/kind', 2);
    await refused(['embed', model, '--file', join(place, 'nowhere.txt')], 'file/not-found', 1);
  });
});

describe('passes', () => {
  it.each([
    ['int9', 'compress/unknown-pass'],
    ['int8:blok=64', 'compress/option'],
    ['int8:block=65', 'compress/option'],
    ['int8:block', 'compress/chain'],
    ['int8+low-rank', 'compress/order'],
    ['int8+four-bit', 'compress/order'],
  ])('%s', async (chain, code) => {
    await refused(['compress', model, '--pass', chain, '--data', texts, '--out', out()], code, 2);
    await refused(['optimize', model, '--pass', chain, '--data', texts, '--out', out()], code, 2);
  });

  it('chains that are joined are held to the order too', async () => {
    const two = ['--pass', 'int8', '--pass', 'low-rank'];
    await refused(['compress', model, ...two, '--out', out()], 'compress/order', 2);
  });
});

describe('models', () => {
  it('names that stand for nothing', async () => {
    expect(await refused(['inspect', 'bert-base'], 'models/not-found', 1)).toContain('use-lite');
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    vi.stubEnv('HF_HUB_CACHE', join(place, 'no-cache'));
    await refused(['inspect', 'google/gemma-7b'], 'hub/offline', 1);
    vi.unstubAllEnvs();
    await refused(['inspect', ''], 'models/not-found', 1);
    await refused(['inspect', texts], 'models/not-a-model', 1);
    await refused(['inspect', join(model, 'model.safetensors')], 'models/not-a-model', 1);
    const empty = join(place, 'empty');
    await mkdir(empty, { recursive: true });
    await refused(['inspect', empty], 'models/not-a-model', 1);
  });

  async function altered(name: string, change: (config: Record<string, unknown>) => object) {
    const folder = join(place, name);
    await saveModel(smallEncoder(), folder);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    await writeFile(join(folder, 'config.json'), JSON.stringify(change(config)));
    return folder;
  }

  it('an unknown family, a negative width', async () => {
    const unknown = await altered('unknown', (config) => ({ ...config, model_type: 'mamba' }));
    await refused(['inspect', unknown], 'models/unknown-family', 2);
    const negative = await altered('negative', (config) => ({ ...config, hidden_size: -64 }));
    const said = await refused(['embed', negative, 'a'], 'config/value', 2);
    expect(said).toContain('hidden_size');
    const other = await altered('other', (config) => ({ ...config, hidden_size: 32 }));
    await refused(['embed', other, 'a'], 'nn/shape', 1);
  });

  it('pickles, whatever their name', async () => {
    const pickle = Uint8Array.of(0x80, 2, 0x7d, 0x71, 0, 0x2e, 0, 0, 0, 0);
    const zip = Uint8Array.of(0x50, 0x4b, 3, 4, ...new Array(60).fill(0));
    const folder = join(place, 'pickled');
    await saveModel(smallEncoder(), folder);
    for (const bytes of [pickle, zip]) {
      await writeFile(join(folder, 'model.safetensors'), bytes);
      await refused(['embed', folder, 'a'], 'safetensors/pickle', 1);
      await refused(['inspect', join(folder, 'model.safetensors')], 'safetensors/pickle', 1);
    }
    const bin = await file('pytorch_model.bin', zip);
    await refused(['generate', bin, 'a'], 'safetensors/pickle', 1);
    await refused(
      ['generate', await file('short.bin', Uint8Array.of(1)), 'a'],
      'file/truncated',
      1,
    );
  });

  it('the wrong kind', async () => {
    await refused(['generate', model, 'a'], 'models/kind', 1);
    await refused(['embed', decoder, 'a'], 'models/kind', 1);
  });
});

describe('export', () => {
  it.each([
    [['onnx', '--type', 'q9'], 'did you mean q8'],
    [['gguf', '--type', 'q8_0,q4_0'], 'gguf takes one type'],
    [['gguf', '--type', 'q4_k'], 'f32, f16, bf16, q8_0, q4_0'],
    [['safetensors', '--type', 'q8'], 'f32, f16, bf16'],
  ])('types that the format lacks: %s', async ([format, ...types], message) => {
    const argv = ['export', decoder, '--to', format, ...types, '--out', out()];
    expect(await refused(argv, 'export/type', 1)).toContain(message);
  });

  it('models that gguf does not take, by naming those it takes', async () => {
    const argv = (from: string) => ['export', from, '--format', 'gguf', '--out', `${out()}.gguf`];
    expect(await refused(argv(model), 'export/family', 1)).toContain('llama, mistral, qwen2');
    await refused(argv(decoder), 'export/vocabulary', 1);
  });

  it('names that are no file of gguf, and files that are there', async () => {
    const argv = (path: string) => ['export', decoder, '--to', 'gguf', '--out', path];
    expect(await refused(argv(out()), 'export/out', 1)).toContain('out.gguf');
    const notes = await file('notes.gguf', 'mine');
    await refused(argv(notes), 'file/exists', 1);
    await refused([...argv(notes), '--overwrite'], 'file/protected', 1);
    expect(await readFile(notes, 'utf8')).toBe('mine');
  });
});

describe('output folders', () => {
  const commands = (folder: string) => [
    ['optimize', model, '--data', texts, '--out', folder],
    ['compress', model, '--pass', 'int8', '--data', texts, '--out', folder],
    ['export', model, '--to', 'onnx', '--out', folder],
  ];

  it('that hold something', async () => {
    const folder = join(place, 'occupied');
    await mkdir(folder);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    for (const argv of commands(folder)) {
      await refused(argv, 'file/exists', 1);
      // Not written by this program, so not replaced by it.
      await refused([...argv, '--overwrite'], 'file/protected', 1);
    }
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('that are a file, or lie in one', async () => {
    for (const argv of commands(texts)) await refused(argv, 'file/kind', 1);
    for (const argv of commands(join(texts, 'below'))) {
      const { code } = await cli(...argv);
      expect(code).toBe(1);
    }
  });

  it('a model under the floor is not written', async () => {
    const floor = ['--floor', 'cosine=0.9999999'];
    const chain = ['--pass', 'four-bit:element=int4,embedding=4'];
    await refused(
      ['compress', model, ...chain, ...floor, '--data', texts, '--out', out()],
      'models/quality-floor',
      1,
    );
    const wrong = ['--pass', 'int8', '--floor', 'accuracy=0.5'];
    await refused(
      ['compress', model, ...wrong, '--data', texts, '--out', out()],
      'models/quality-floor',
      1,
    );
  });
});
