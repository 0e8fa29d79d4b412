// Every command on small input: what it prints, what it writes, and how it ends.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { START_BUDGET } from '../src/cli/commands/start.js';
import { memoryProbe } from '../src/cli/memory.js';
import { shellLine } from '../src/cli/shell.js';
import { linesOf } from '../src/cli/stream-lines.js';
import { optionNames, passes } from '../src/compress/registry.js';
import { readTexts } from '../src/data/lines.js';
import { openEncoder } from '../src/models/encoder.js';
import { loadModelFolder, saveModel } from '../src/models/folder.js';
import { parseBudget } from '../src/optimize/budget.js';
import { measureQuality } from '../src/optimize/quality.js';
import { cpuDevice } from '../src/runtime/node-cpu.js';
import { cli, start } from './support/cli.js';
import { sampleTexts, smallDecoder, smallEncoder } from './support/small-models.js';
import { hasTinyStories, tinyStoriesBytes } from './support/tinystories-file.js';

let place: string;
let model: string;
let decoder: string;
let texts: string;
let labelled: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'commands-'));
  model = join(place, 'model');
  decoder = join(place, 'decoder');
  texts = join(place, 'texts.txt');
  labelled = join(place, 'labelled.tsv');
  await saveModel(smallEncoder(), model);
  await saveModel(smallDecoder(), decoder);
  const many = Array.from({ length: 6 }, (_, i) =>
    sampleTexts.map((text) => `${text} ${'abc'.slice(0, i % 4)}${i}`),
  ).flat();
  await writeFile(texts, many.join('\n'));
  await writeFile(labelled, many.map((text, i) => `${i % 2 ? 'odd' : 'even'}\t${text}`).join('\n'));
});
afterAll(() => rm(place, { recursive: true }));

let count = 0;
const fresh = () => join(place, `out${count++}`);

describe('help', () => {
  it.each(['start', 'optimize', 'compress', 'embed', 'generate', 'inspect', 'export'])(
    'of %s tells what it does, and shows how',
    async (command) => {
      const { code, stdout, stderr } = await cli(command, '--help');
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^Usage: anyformer ${command} `));
      if (command !== 'start') expect(stdout).toContain(`$ anyformer ${command}`);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
      expect((await cli('--help')).stdout).toContain(`  ${command} `);
    },
  );

  it('names every exit code, every pass and options that they have', async () => {
    const { stdout } = await cli('--help');
    for (const code of ['0 ', '1 ', '2 ', '3 ', '130 ', '143']) expect(stdout).toContain(code);
    const help = (await cli('optimize', '--help')).stdout;
    for (const pass of passes.values()) {
      const line = help.split('\n').find((text) => text.startsWith(`  ${pass.name} `)) ?? '';
      const [, options = ''] = /:\s.*?:(.*)$/.exec(line) ?? [];
      const named = [...options.matchAll(/(\w+)=/g)].map(([, name]) => name);
      expect(named.length).toBeGreaterThan(0);
      for (const name of named) expect(optionNames(pass)).toContain(name);
    }
  });

  it('loads little: neither engine, nor protobuf, nor schemas, nor plots', async () => {
    const hook = `import { writeSync } from 'node:fs';
      export async function load(url, context, next) {
        writeSync(2, url + '\\n');
        return next(url, context);
      }`;
    const data = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
    const register = `import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`;
    const env = { NODE_OPTIONS: `--import ${data(register)}` };
    const { stderr, stdout } = await start(['optimize', '--help'], { env }).ended;
    expect(stdout).toContain('Usage: anyformer optimize');
    const loaded = stderr.split('\n').filter((line) => line.startsWith('file:'));
    expect(loaded.length).toBeGreaterThan(15);
    expect(loaded.length).toBeLessThan(45);
    const packages = new Set(
      loaded.map((url) => /node_modules\/((@[^/]+\/)?[^/]+)/.exec(url)?.[1]),
    );
    packages.delete(undefined);
    packages.delete('typescript'); // the build of a clone whose sources have changed
    expect([...packages]).toEqual(['commander']);
  });

  it('examples and the budget of start can be read', () => {
    expect(parseBudget(START_BUDGET).constraints).toHaveLength(3);
  });
});

describe('embed', () => {
  it('a line of numbers a text, in order, as the library has them', async () => {
    const { code, stdout, stderr } = await cli('embed', model, ...sampleTexts);
    expect([code, stderr]).toEqual([0, '']);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t').map(Number));
    await using device = await cpuDevice();
    await using loaded = await loadModelFolder(model);
    await using encoder = await openEncoder(loaded, device);
    const { data, shape } = await encoder.encode(sampleTexts);
    expect([rows.length, rows[0].length]).toEqual(shape);
    // Nine digits give every float32 back.
    expect(new Float32Array(rows.flat())).toEqual(data);
  });

  it('from a file and from standard input the same, blank lines too', async () => {
    const input = join(place, 'input.txt');
    const content = 'the whale\r\n\nrain.\r\nno end';
    await writeFile(input, content);
    const fromFile = await cli('embed', model, '--file', input, '--quiet');
    expect(fromFile.stdout.trimEnd().split('\n')).toHaveLength(4);
    for (const argv of [
      ['embed', model],
      ['embed', model, '--file', '-'],
    ]) {
      const piped = await start(argv, { stdin: content }).ended;
      expect(piped.code).toBe(0);
      expect(piped.stdout).toBe(fromFile.stdout);
    }
    const direct = await cli('embed', model, 'the whale', '', 'rain.', 'no end');
    const numbers = (text: string) => text.trim().split(/\s/).map(Number);
    const [a, b] = [numbers(direct.stdout), numbers(fromFile.stdout)];
    expect(Math.max(...a.map((x, i) => Math.abs(x - b[i])))).toBeLessThan(1e-5);
  });

  it('--json is one document', async () => {
    const { stdout } = await cli('embed', model, 'a', 'b', '--json');
    const { width, count: rows, vectors } = JSON.parse(stdout);
    expect([width, rows, vectors.length, vectors[0].length]).toEqual([64, 2, 2, 64]);
  });

  it('nothing, and bytes that are not UTF-8', async () => {
    const empty = await start(['embed', model]).ended;
    expect([empty.code, empty.stdout]).toEqual([2, '']);
    expect(empty.stderr).toContain('data/no-rows');
    const bad = await start(['embed', model], { stdin: Uint8Array.of(0x61, 10, 0xff, 10) }).ended;
    expect([bad.code, bad.stdout]).toEqual([2, '']);
    expect(bad.stderr).toContain('data/utf8');
  });

  it('lines of a stream, wherever its chunks end', async () => {
    const bytes = new TextEncoder().encode('äöü 漢字\r\n\n🙂 end');
    for (let size = 1; size < bytes.length; size++) {
      async function* chunks() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      const lines: string[] = [];
      for await (const line of linesOf(chunks(), 'test')) lines.push(line);
      expect(lines).toEqual(['äöü 漢字', '', '🙂 end']);
    }
  });
});

describe('generate', () => {
  it('prints the prompt and what follows; the same with the same seed', async () => {
    const argv = ['generate', decoder, 'the whale', '--max-new-tokens', '12'];
    const greedy = await cli(...argv);
    expect(greedy.code).toBe(0);
    expect(greedy.stdout).toMatch(/^the whale/);
    expect(greedy.stderr).toContain('12 tokens');
    expect((await cli(...argv, '--quiet')).stderr).toBe('');
    const drawn = ['--temperature', '3', '--top-k', '20', '--seed'];
    const one = await cli(...argv, ...drawn, '5');
    expect((await cli(...argv, ...drawn, '5')).stdout).toBe(one.stdout);
    expect((await cli(...argv, ...drawn, '6')).stdout).not.toBe(one.stdout);
    const json = JSON.parse((await cli(...argv, '--json')).stdout);
    expect(json.tokens).toHaveLength(12);
    expect(`${json.prompt}${json.text}\n`).toBe(greedy.stdout);
    expect(json.finish).toBe('length');
  });

  it.skipIf(!hasTinyStories)('tells the story of TinyStories-260K', async () => {
    const file = join(place, 'stories260K.bin');
    await writeFile(file, tinyStoriesBytes());
    const { stdout } = await cli('generate', file, '', '--max-new-tokens', '24');
    expect(stdout).toContain('Once upon a time, there was a little girl');
  });
});

describe('inspect', () => {
  it('prints the sums and the parts', async () => {
    const { code, stdout, stderr } = await cli('inspect', model, '--depth', '2', '--batch', '4');
    expect([code, stderr]).toEqual([0, '']);
    const { parameters } = JSON.parse((await cli('inspect', model, '--json')).stdout);
    expect(stdout).toContain(parameters.toLocaleString('en-US'));
    expect(stdout).toMatch(/^ {4}1 /m);
    expect(stdout).not.toContain('attn');
    expect((await cli('inspect', decoder)).stdout).toContain('512 B a token');
  });
});

describe('export', () => {
  it('writes the folder and says what', async () => {
    const out = fresh();
    const { code, stdout } = await cli('export', model, '--to', 'onnx', '--out', out, '--json');
    expect(code).toBe(0);
    const { files } = JSON.parse(stdout);
    expect(files.map(({ name }: { name: string }) => name)).toContain('onnx/model.onnx');
    expect(await readdir(join(out, 'onnx'))).toEqual(['model.onnx']);
    expect(
      (await cli('export', model, '--to', 'onnx', '--out', out, '--overwrite')).stdout,
    ).toContain('onnx/model.onnx');
  });

  it('in fewer bits too, measured', { timeout: 120_000 }, async () => {
    const out = fresh();
    const argv = ['export', model, '--to', 'onnx', '--type', 'q8,q4', '--data', texts, '--json'];
    const { code, stdout } = await cli(...argv, '--out', out);
    expect(code).toBe(0);
    const graphs = ['model.onnx', 'model_q4.onnx', 'model_quantized.onnx'];
    expect((await readdir(join(out, 'onnx'))).sort()).toEqual(graphs);
    const { quality } = JSON.parse(stdout);
    expect(quality.q8.metrics.cosine.after).toBeGreaterThan(quality.q4.metrics.cosine.after);
    expect(JSON.parse(await readFile(join(out, 'quality_q4.json'), 'utf8'))).toEqual(quality.q4);
    const floor = await cli(...argv, '--floor', 'cosine=0.999999', '--out', fresh());
    expect(floor.stderr).toContain('models/quality-floor');
  });

  it.skipIf(!hasTinyStories)('a GGUF file, replaced when told', async () => {
    const bin = join(place, 'stories.bin');
    await writeFile(bin, tinyStoriesBytes());
    const out = `${fresh()}.gguf`;
    const argv = ['export', bin, '--format', 'gguf', '--type', 'q8_0', '--out', out];
    const { code, stdout } = await cli(...argv, '--json');
    expect(code).toBe(0);
    const { files, types } = JSON.parse(stdout);
    expect(types).toEqual(['q8_0']);
    expect(files).toMatchObject([{ name: out, bytes: (await readFile(out)).length }]);
    expect((await cli(...argv)).stderr).toContain('file/exists');
    expect((await cli(...argv, '--overwrite')).stdout).toContain('written:   ');
  });

  it('plain safetensors in several files, which load again', async () => {
    const out = fresh();
    const argv = ['export', decoder, '--to', 'safetensors', '--type', 'bf16', '--shard', '20KB'];
    expect((await cli(...argv, '--out', out)).code).toBe(0);
    await using again = await loadModelFolder(out);
    for (const name of again.weights.names()) expect(again.weights.type(name).dtype).toBe('bf16');
  });
});

describe('compress', { timeout: 120_000 }, () => {
  it('writes a model that loads and has the quality that its record says', async () => {
    const out = fresh();
    const argv = ['compress', model, '--pass', 'low-rank:ratio=0.5', '--pass', 'int8:block=16'];
    const done = await cli(...argv, '--data', labelled, '--floor', 'cosine=0.1', '--out', out);
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('low-rank:ratio=0.5+int8:block=16');
    await using made = await loadModelFolder(out);
    expect(made.quantization?.passes.map(({ name }) => name)).toEqual(['low-rank', 'int8']);
    expect(made.quality?.metrics).toHaveProperty('accuracy');
    // Texts that calibrated are not among those that judge.
    expect(made.quality?.data.examples).toBeLessThan(48 + 48);
  });

  it('without data: on the sentences that come along, and says so', async () => {
    const out = fresh();
    const done = await cli('compress', model, '--pass', 'int8', '--out', out, '--json');
    expect(done.code).toBe(0);
    expect(done.stderr).toContain('sentences.txt');
    expect(done.stderr).toContain('--data');
    const { quality, bytes, passes: chain } = JSON.parse(done.stdout);
    expect(chain).toBe('int8');
    expect(bytes.after).toBeLessThan(bytes.before);
    const path = (name: string) => fileURLToPath(new URL(`../data/${name}`, import.meta.url));
    const sentences = await readTexts(path('sentences.txt'));
    await using device = await cpuDevice();
    const data = { name: '', sha256: '', texts: sentences };
    await using before = await loadModelFolder(model);
    await using after = await loadModelFolder(out);
    const again = await measureQuality(before, after, data, device, { version: '0' });
    expect(again.record.metrics.cosine).toEqual(quality.metrics.cosine);
    expect(again.record.metrics.recall).toEqual(quality.metrics.recall);
  });

  it('a decoder', async () => {
    const out = fresh();
    const done = await cli(
      'compress',
      decoder,
      '--pass',
      'int8',
      '--data',
      texts,
      '--out',
      out,
      '--quiet',
    );
    expect([done.code, done.stderr]).toEqual([0, '']);
    await using written = await loadModelFolder(out);
    expect(written.quality?.metrics).toHaveProperty('perplexity');
  });
});

describe('optimize', { timeout: 120_000 }, () => {
  const passesOf = ['--pass', 'int8:block=16', '--pass', 'four-bit:element=int4,group=16'];

  it('chooses, writes the model, its ONNX file and the report; ends with the verdict', async () => {
    const out = fresh();
    const argv = [
      'optimize',
      model,
      '--data',
      labelled,
      '--budget',
      'size<=0.5x, cosine>=0.9',
      ...passesOf,
    ];
    const done = await cli(...argv, '--out', out, '--threads', '1');
    expect(done.stderr).toContain('labelled.tsv');
    expect(done.code).toBe(0);
    const lines = done.stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^chosen: \S+ {2}size 0\.\d+x {2}latency \S+ {2}quality 0\.9\d+/);
    await using made = await loadModelFolder(join(out, 'model'));
    expect(made.quality?.metrics.cosine.after).toBeGreaterThan(0.9);
    expect(await readdir(join(out, 'model', 'onnx'))).toEqual(['model.onnx']);
    const report = await readFile(join(out, 'report.html'), 'utf8');
    expect(report).toContain('anyformer optimize');
    expect((await readdir(out)).sort()).toEqual(['model', 'report.html']);
    const again = await cli(...argv, '--out', out, '--overwrite', '--json', '--quiet');
    expect(again.stderr).toBe('');
    const json = JSON.parse(again.stdout);
    expect(json.candidates).toHaveLength(3);
    expect(json.candidates[0].metrics.memory.value).toBeGreaterThan(1e7);
    expect(json.written.model).toBe(`${out}/model`);
  });

  it('refuses with numbers and exit code 3, and still writes the report', async () => {
    const out = fresh();
    const argv = ['optimize', decoder, '--data', texts, '--budget', 'size<=0.01x', ...passesOf];
    const done = await cli(...argv, '--out', out, '--quiet');
    expect([done.code, done.stderr]).toEqual([3, '']);
    expect(done.stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^nothing meets the budget: size<=0.01x; nearest is/,
    );
    expect(await readdir(out)).toEqual(['report.html']);
  });

  it('memory is that of a process of its own, whatever this one holds', async () => {
    await using probe = await memoryProbe(sampleTexts, 1);
    const alone = await probe.of(smallEncoder());
    const held = Buffer.alloc(500e6, 1);
    const beside = await probe.of(smallEncoder());
    expect(held.length).toBe(500e6);
    expect(alone).toBeGreaterThan(30e6);
    expect(Math.abs(beside - alone)).toBeLessThan(100e6);
  });

  it('a command line that does it again is one that a shell reads as typed', () => {
    const line = shellLine(
      ['optimize', "it's"],
      [
        ['--budget', 'size<=0.3x, a'],
        ['--data', undefined],
        ['--seed', 0],
      ],
    );
    expect(line).toBe(`anyformer optimize 'it'\\''s' --budget 'size<=0.3x, a' --seed 0`);
  });
});

describe('the real program', () => {
  it('ends quietly when its reader has had enough', async () => {
    const { child, ended } = start(['embed', model, '--file', texts]);
    child.stdout?.destroy();
    const { stderr } = await ended;
    expect(stderr).not.toContain('EPIPE');
  });

  it('ends quietly when help was not read to its end', async () => {
    for (let i = 0; i < 3; i++) {
      const { child, ended } = start(['train', '--help']);
      child.stdout?.destroy();
      const { stderr, code } = await ended;
      expect(stderr).not.toContain('EPIPE');
      expect(code).toBe(0);
    }
  });

  it('shows where an error comes from when asked', async () => {
    const { code, stderr } = await start(['inspect', 'nothing'], { env: { ANYFORMER_DEBUG: '1' } })
      .ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\s+at /m);
  });

  it('works from any folder', async () => {
    const cwd = join(place, 'elsewhere');
    await mkdir(cwd);
    const { code } = await start(['inspect', '../model'], { cwd }).ended;
    expect(code).toBe(0);
  });
});
