// Bundles everything that must run in a page and fails when a Node module or the native engine gets
// in, naming the import. Prints what the bundle weighs.
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { filesUnder, isMain, repository } from './tree.mjs';

const notForPages = /^(platform\/node|runtime\/node-|cli\/)|\.test\.ts$|\.d\.ts$/;
const native = /^onnxruntime-node($|\/)/;

/** `{ problems, files, bytes, compressed }`: problems are sentences, sizes are of the minified code. */
export async function checkPage(root = repository) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const files = filesUnder(join(root, 'src')).filter(
    (path) => path.endsWith('.ts') && !notForPages.test(path),
  );
  const problems = [];
  const builtins = new RegExp(`^(node:.*|${builtinModules.join('|')})$`);
  const guard = {
    name: 'page',
    setup({ onResolve }) {
      const refuse = ({ path, importer }) => {
        problems.push(`${importer.replace(root, '')} imports ${path}, which a page does not have`);
        return { path, external: true };
      };
      onResolve({ filter: builtins }, refuse);
      onResolve({ filter: native }, refuse);
      // Its `browser` field names another build, which this bundler passes over beside `exports`.
      onResolve({ filter: /^@huggingface\/hub$/ }, () => ({
        path: join(root, 'node_modules/@huggingface/hub/dist/browser/index.mjs'),
      }));
      // What a browser's bundler finds under `default`, in src instead of dist.
      onResolve({ filter: /^#/ }, ({ path, importer }) => {
        const entry = manifest.imports?.[path];
        const built = typeof entry === 'string' ? entry : (entry?.browser ?? entry?.default);
        if (!importer.startsWith(join(root, 'src'))) return undefined;
        if (built === undefined || built === null) {
          problems.push(`${importer.replace(root, '')} imports ${path}, which pages do not get`);
          return { path, external: true };
        }
        return { path: join(root, built.replace('./dist/', 'src/').replace(/\.js$/, '.ts')) };
      });
    },
  };
  const result = await build({
    stdin: {
      contents: files.map((path, i) => `export * as m${i} from './src/${path}';`).join('\n'),
      resolveDir: root,
      loader: 'ts',
    },
    absWorkingDir: root,
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['default'],
    target: 'es2023',
    logLevel: 'silent',
    outdir: 'out',
    plugins: [guard],
  }).catch((error) => {
    for (const { text, location } of error.errors ?? [{ text: String(error) }]) {
      problems.push(`${location?.file ?? 'src'}:${location?.line ?? 0} ${text}`);
    }
    return { outputFiles: [] };
  });
  const code = Buffer.concat(result.outputFiles.map(({ contents }) => contents));
  return { problems, files: files.length, bytes: code.length, compressed: gzipSync(code).length };
}

if (isMain(import.meta.url)) {
  const { problems, files, bytes, compressed } = await checkPage();
  for (const problem of problems) console.error(problem);
  const kilobytes = (count) => `${(count / 1000).toFixed(0)} kB`;
  console.error(
    problems.length === 0
      ? `page: ${files} files bundle to ${kilobytes(bytes)}, ${kilobytes(compressed)} compressed`
      : `page: ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
}
