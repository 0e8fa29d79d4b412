// Tokenisations that llama.cpp keeps for its vocabularies, made by their authors' own tokenizers, against
// ours. The files are in a git bundle inside the npm package node-llama-cpp; where that is not in .cache
// (`npm pack node-llama-cpp@3.22.1` there), the suite is skipped.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { repository } from '../scripts/tree.mjs';
import { openGguf } from '../src/models/gguf/read.js';
import { ggufVocabulary } from '../src/models/import/gguf-vocabulary.js';
import { createTokenizer, type TextTokenizer } from '../src/models/tokenizer.js';

const run = promisify(execFile);
const cache = join(repository, '.cache');
const tarball = join(cache, 'node-llama-cpp-3.22.1.tgz');
const clone = join(cache, 'llama-vocab', 'repo');
const there = existsSync(clone) || existsSync(tarball);

/** All that have golden tokenisations. */
const names = [
  'bert-bge',
  'command-r',
  'deepseek-coder',
  'deepseek-llm',
  'falcon',
  'gemma-4',
  'gpt-2',
  'llama-bpe',
  'llama-spm',
  'mpt',
  'phi-3',
  'qwen2',
  'qwen35',
  'refact',
  'starcoder',
];
/** Whose tokens stand for bytes: every text comes back as it was. */
const lossless = ['deepseek-coder', 'falcon', 'gpt-2', 'llama-bpe', 'mpt', 'starcoder'];

async function unpack(): Promise<void> {
  if (existsSync(clone)) return;
  const place = mkdtempSync(join(cache, '.llama-vocab-'));
  const bundle = 'package/llama/gitRelease.bundle';
  await run('tar', ['xzf', tarball, bundle], { cwd: place });
  await run('git', ['clone', '-q', '--no-checkout', bundle, 'repo'], { cwd: place });
  await rm(join(place, 'package'), { recursive: true });
  renameSync(place, join(cache, 'llama-vocab'));
}

async function fileOf(name: string): Promise<Buffer> {
  const { stdout } = await run('git', ['show', `HEAD:models/ggml-vocab-${name}`], {
    cwd: clone,
    encoding: 'buffer',
    maxBuffer: 1 << 26,
  });
  return stdout;
}

async function tokenizerOf(name: string): Promise<TextTokenizer> {
  const path = join(cache, 'llama-vocab', `ggml-vocab-${name}.gguf`);
  if (!existsSync(path)) await writeFile(path, await fileOf(`${name}.gguf`));
  await using file = await openGguf(path);
  return createTokenizer(ggufVocabulary(file.metadata, name), name);
}

describe.skipIf(!there)('golden tokenisations (skipped without .cache/node-llama-cpp)', () => {
  beforeAll(unpack, 120_000);

  test.each(names)('%s', { timeout: 120_000 }, async (name) => {
    const tokenizer = await tokenizerOf(name);
    const texts = (await fileOf(`${name}.gguf.inp`)).toString().split('\n__ggml_vocab_test__\n');
    const lines = (await fileOf(`${name}.gguf.out`)).toString().split('\n');
    expect(texts.length).toBeGreaterThan(45);
    for (const [i, text] of texts.entries()) {
      const ids = tokenizer.encode(text, { special: false });
      expect(`${JSON.stringify(text)} ${ids.join(' ')}`).toBe(
        `${JSON.stringify(text)} ${lines[i].trim()}`,
      );
      if (lossless.includes(name)) expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  test('a rule that is not known is refused, with the nearest', async () => {
    await using file = await openGguf(join(cache, 'llama-vocab', 'ggml-vocab-gpt-2.gguf'));
    const other = { type: 'string', value: 'gpt-22' } as const;
    const metadata = new Map(file.metadata).set('tokenizer.ggml.pre', other);
    expect(() => ggufVocabulary(metadata, 'x')).toThrow(/nearest: gpt-2/);
    expect(() => ggufVocabulary(new Map(), 'x')).toThrow(/tokens/);
  });
});
