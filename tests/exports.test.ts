// The package's entry points, imported by name as users do, from what is built.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { repository } from '../scripts/tree.mjs';

const run = promisify(execFile);
const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'));

async function namesOf(entry: string): Promise<string[]> {
  const name = entry.replace('.', 'anyformer');
  const code = `console.log(JSON.stringify(Object.keys(await import('${name}'))))`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], {
    cwd: repository,
  });
  return JSON.parse(stdout);
}

/** Names that somebody who follows the README imports. */
const promised: Record<string, string[]> = {
  '.': [
    'resolveModel',
    'optimize',
    'parseBudget',
    'openEncoder',
    'generate',
    'saveModel',
    'exportOnnx',
    'AnyformerError',
    'VERSION',
  ],
  './tensor': ['graph', 'input', 'parameter', 'rearrange', 'einsum', 'tap', 'patch', 'cost'],
  './nn': ['Scope', 'linear', 'block', 'formats'],
  './models': ['createModel', 'loadModelFolder', 'encoderFamily', 'inspectModel'],
  './compress': ['compressPass', 'applyChain', 'calibrate', 'passes'],
  './decode': ['generate', 'openDecoder'],
  './train': ['train', 'openTraining', 'causalLm', 'adamw', 'cosine', 'latestCheckpoint'],
  './data': ['trainBpe', 'packedBatches', 'readLabelled'],
  './optimize': ['optimize', 'assess', 'METRICS', 'renderReport'],
  './runtime': ['cpuDevice', 'checkUpdates'],
};

describe('entry points', () => {
  it('are those that are promised', () =>
    expect(entries.sort()).toEqual(Object.keys(promised).sort()));

  it.each(Object.entries(promised))('%s', async (entry, names) => {
    expect(await namesOf(entry)).toEqual(expect.arrayContaining(names));
  });

  it('pages get a runtime without the device of Node', async () => {
    const { node, default: page } = manifest.exports['./runtime'];
    expect(node.default).not.toBe(page.default);
    expect(await readFile(join(repository, page.default), 'utf8')).not.toContain('node-cpu');
  });
});
