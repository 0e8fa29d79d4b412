// What is not marked as Node's bundles for a page, and the check sees what would not.
import { expect, test } from 'vitest';
import { checkPage } from '../scripts/check-page.mjs';
import { fixture } from './fixture.js';

const sound = {
  'package.json': JSON.stringify({
    sideEffects: false,
    imports: {
      '#platform': { node: './dist/platform/node.js', default: './dist/platform/web.js' },
      '#worker': { node: './dist/runtime/node-worker.js', default: null },
    },
  }),
  'src/platform/node.ts': "import fs from 'node:fs';\nexport const read = fs.readFileSync;",
  'src/platform/web.ts': "export const read = 'fetched by the page';",
  'src/nn/a.ts': "import { read } from '#platform';\nexport const a = read;",
  'src/runtime/node-cpu.ts': "import 'node:os';",
  'src/cli/main.ts': "import 'node:os';",
};

async function problemsOf(files: Record<string, string>) {
  await using house = await fixture({ ...sound, ...files });
  return (await checkPage(house.root)).problems;
}

test('this repository bundles for a page', async () => {
  const { problems, files, bytes } = await checkPage();
  expect(problems).toEqual([]);
  expect(files).toBeGreaterThan(5);
  expect(bytes).toBeGreaterThan(5000);
});

test('a sound house bundles, with the web twin inside', async () => {
  await using house = await fixture(sound);
  const { problems, bytes } = await checkPage(house.root);
  expect(problems).toEqual([]);
  expect(bytes).toBeGreaterThan('fetched by the page'.length);
});

test.each([
  ['a Node module', "import fs from 'node:fs';\nexport const x = fs;", 'node:fs'],
  ['a Node module, old name', "import fs from 'fs/promises';\nexport const x = fs;", 'fs/promises'],
  ['a Node module at run time', "export const x = import('node:os');", 'node:os'],
  [
    'the native engine',
    "import ort from 'onnxruntime-node';\nexport const x = ort;",
    'onnxruntime-node',
  ],
  ['a file for Node', "export * from '../platform/node.js';", 'node:fs'],
  ['an alias without a page twin', "export * from '#worker';", '#worker'],
  ['a package that is not there', "export * from 'not-installed';", 'not-installed'],
  ['a syntax error', 'export const = 1;', 'src/nn/x.ts:1'],
])('sees %s', async (_, text, named) => {
  const problems = await problemsOf({ 'src/nn/x.ts': text });
  expect(problems.join('\n')).toContain(named);
});
