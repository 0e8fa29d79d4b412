// The rules of the house hold for this repository, and the checker sees every way to break them.
import { expect, test } from 'vitest';
import { checkLayers } from '../scripts/check-layers.mjs';
import { importsOf, nodeGlobalsOf, tokens } from '../scripts/imports.mjs';
import { fixture } from './fixture.js';

const sound = {
  'package.json': JSON.stringify({
    imports: {
      '#platform': {
        types: './dist/platform/node.d.ts',
        node: './dist/platform/node.js',
        default: './dist/platform/web.js',
      },
    },
    dependencies: { zod: '4', 'onnxruntime-node': '1' },
    devDependencies: { vitest: '4' },
  }),
  'src/index.ts': "export * from './nn/block.js';",
  'src/tensor/error.ts': 'export class AnyformerError extends Error {}',
  'src/tensor/a.ts': "import type { B } from './b.js';\nexport type A = B;",
  'src/tensor/b.ts': "import type { A } from './a.js';\nexport type B = A;",
  'src/platform/node.ts': "import 'node:fs';\nimport '../tensor/error.js';",
  'src/platform/web.ts': "import '../tensor/error.js';",
  'src/runtime/device.ts': "import '#platform';",
  'src/runtime/node-cpu.ts': "import ort from 'onnxruntime-node';\nimport os from 'os';",
  'src/nn/block.ts': "import { z } from 'zod';\nimport '../tensor/a.js';\nimport '#platform';",
  'src/nn/block.test.ts': "import 'vitest';\nimport 'node:fs';\nimport '../models/m.js';",
  'src/mixers/m.ts': "import '../nn/block.js';",
  'src/channels/c.ts': "import '../nn/block.js';",
  'src/models/m.ts': "import '../mixers/m.js';\nimport '../channels/c.js';",
  'src/cli/main.ts': "import '../index.js';\nprocess.exit(0);",
};

async function violationsOf(files: Record<string, string>) {
  await using house = await fixture({ ...sound, ...files });
  return checkLayers(house.root);
}

test('this repository is in order', () => {
  expect(checkLayers()).toEqual([]);
});

test('a sound house has no violations', async () => {
  expect(await violationsOf({})).toEqual([]);
});

test.each([
  ['upwards', 'src/nn/x.ts', "\nimport '../models/m.js';", '../models/m.js', 'comes before'],
  [
    'upwards by type',
    'src/nn/x.ts',
    "import type { M } from '../models/m.js';",
    '../models/m.js',
    'comes before',
  ],
  [
    'upwards by re-export',
    'src/nn/x.ts',
    "export * as m from '../models/m.js';",
    '../models/m.js',
    'comes before',
  ],
  [
    'upwards at run time',
    'src/nn/x.ts',
    "const m = await import('../models/m.js');",
    '../models/m.js',
    'comes before',
  ],
  [
    'upwards in a type',
    'src/nn/x.ts',
    "type M = import('../models/m.js').M;",
    '../models/m.js',
    'comes before',
  ],
  [
    'into the command line',
    'src/tensor/x.ts',
    "import '../cli/main.js';",
    '../cli/main.js',
    'comes before',
  ],
  ['into the index', 'src/nn/x.ts', "import '../index.js';", '../index.js', 'comes before'],
  [
    'to a neighbour',
    'src/mixers/x.ts',
    "import '../channels/c.js';",
    '../channels/c.js',
    'know nothing',
  ],
  [
    'the platform by path',
    'src/nn/x.ts',
    "import '../platform/node.js';",
    '../platform/node.js',
    "'#platform'",
  ],
  [
    'from the platform',
    'src/platform/x.ts',
    "import '../tensor/a.js';",
    '../tensor/a.js',
    'imports only',
  ],
  [
    'a Node module',
    'src/nn/x.ts',
    "import { readFile } from 'node:fs/promises';",
    'node:fs/promises',
    'Node modules',
  ],
  ['a Node module, old name', 'src/nn/x.ts', "import fs from 'fs';", 'fs', 'Node modules'],
  [
    'a Node module by type',
    'src/nn/x.ts',
    "import type { Stats } from 'node:fs';",
    'node:fs',
    'Node modules',
  ],
  [
    'the native engine',
    'src/nn/x.ts',
    "import 'onnxruntime-node';",
    'onnxruntime-node',
    'native engine',
  ],
  [
    'the engine in the command line',
    'src/cli/x.ts',
    "import 'onnxruntime-node';",
    'onnxruntime-node',
    'native engine',
  ],
  ['a Node global', 'src/nn/x.ts', 'export const pid = process.pid;', 'process', 'Node only'],
  ['a Node buffer', 'src/nn/x.ts', "export const b = Buffer.from('x');", 'Buffer', 'Node only'],
  ['a package of the workshop', 'src/nn/x.ts', "import 'vitest';", 'vitest', 'dependencies'],
  [
    'an unknown package',
    'src/nn/x.ts',
    "import '@scope/name/deep';",
    '@scope/name/deep',
    'dependencies',
  ],
  [
    'an unknown alias',
    'src/nn/x.ts',
    "import '#elsewhere';",
    '#elsewhere',
    'imports of package.json',
  ],
  ['no extension', 'src/nn/x.ts', "import './block';", './block', 'end in .js'],
  ['no such file', 'src/nn/x.ts', "import './absent.js';", './absent.js', 'no such file'],
  ['out of src', 'src/nn/x.ts', "import '../../bench/x.js';", '../../bench/x.js', 'leads out'],
  ['a test file', 'src/nn/x.ts', "import './block.test.js';", './block.test.js', 'by nobody'],
  ['itself', 'src/nn/x.ts', "import './x.js';", './x.js', 'cycle: src/nn/x.ts -> src/nn/x.ts'],
  ['a folder without a place', 'src/utils/x.ts', '', '', 'no place in the layer order'],
])('sees %s', async (_, file, text, specifier, rule) => {
  const violations = await violationsOf({ [file]: text });
  expect(violations).toEqual([
    {
      file,
      line: text.startsWith('\n') ? 2 : 1,
      import: specifier,
      rule: expect.stringContaining(rule),
    },
  ]);
});

test('sees a cycle and names the way round, but lets types of one folder go in circles', async () => {
  const ring = {
    'src/nn/one.ts': "\nexport { two } from './two.js';",
    'src/nn/two.ts': "import { three } from './deep/three.js';",
    'src/nn/deep/three.ts': "import { one } from '../one.js';",
  };
  expect(await violationsOf(ring)).toEqual([
    {
      file: 'src/nn/deep/three.ts',
      line: 1,
      import: '../one.js',
      rule: 'import cycle: src/nn/deep/three.ts -> src/nn/one.ts -> src/nn/two.ts -> src/nn/deep/three.ts',
    },
  ]);
  const typed = { ...ring, 'src/nn/two.ts': "import type { Three } from './deep/three.js';" };
  expect(await violationsOf(typed)).toEqual([]);
  // An inline `type` keeps the import at run time.
  const inline = { ...ring, 'src/nn/two.ts': "import { type Three } from './deep/three.js';" };
  expect(await violationsOf(inline)).toHaveLength(1);
});

test('imports are read past everything that looks like one', () => {
  const source = [
    "// import 'comment';",
    "/* import 'block'; */",
    "const a = \"import 'string'\", b = `import 'template' ${`${\"}\"} from 'nested'`} x`;",
    "const c = /['\"`]import 'regex'/g.test(a) ? 1 / 2 / 3 : [/[/]'/];",
    "object.import('method'); import.meta.url; const from = 'x';",
    "export const d = 1; export function from() { return 'y'; } export type T = { from: 'z' };",
    "export default 3; export { d }; const g = { import: 'q' };",
    'import one, { two as three, type Four } from \'first\'; import * as five from "second";',
    "import type Six from 'third'; import type from 'fourth'; import type, { x } from 'fifth';",
    'import {\n  type seven,\n} from "sixth"; export * from \'seventh\'',
    "export type { Eight } from 'eighth'; export type * from 'ninth'; await import('tenth');",
    "import json from 'eleventh' with { type: 'json' };",
  ].join('\n');
  expect(
    importsOf(source).map(({ specifier, typeOnly, line }) => [specifier, typeOnly, line]),
  ).toEqual([
    ['first', false, 8],
    ['second', false, 8],
    ['third', true, 9],
    ['fourth', false, 9],
    ['fifth', false, 9],
    ['sixth', false, 10],
    ['seventh', false, 12],
    ['eighth', true, 13],
    ['ninth', true, 13],
    ['tenth', false, 13],
    ['eleventh', false, 14],
  ]);
});

test('globals are told from properties and strings', () => {
  const found = nodeGlobalsOf(
    "a.process.b; 'process.x'; const process1 = 2;\nprocess.env; Buffer?.x",
  );
  expect(found).toEqual([
    { name: 'process', line: 2 },
    { name: 'Buffer', line: 2 },
  ]);
});

test('the tokeniser survives any text', () => {
  for (const text of [
    '`',
    '`${',
    '`${`',
    "'",
    '/',
    '/*',
    '}',
    '\\',
    '${}',
    '`\\',
    '',
    'é 🂡 #x @y',
  ]) {
    expect(tokens(text).every(({ line }) => line >= 1)).toBe(true);
  }
});
