// The house rules that the compiler does not know:
// - a folder of src imports only from folders above it in `layers`;
// - no cycle of imports between files (type-only imports inside one folder do not count);
// - Node's modules and globals, and the native engine, stay where a page never looks;
// - packages that src imports are installed with the library; the platform is '#platform'.
// Test files are exempt from the order, the cycles and the Node rule, and may import tests/support.
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { importsOf, nodeGlobalsOf } from './imports.mjs';
import { filesUnder, isMain, repository } from './tree.mjs';

// Folders in one row know nothing of each other. 'index' stands for the files directly in src.
export const layers = [
  ['tensor'],
  ['onnx'],
  ['runtime'],
  ['nn'],
  ['mixers', 'channels'],
  ['models'],
  ['train', 'decode', 'compress', 'explain', 'programs', 'data'],
  ['optimize'],
  ['systems'],
  ['index'],
  ['cli'],
];
// Beside the order: everybody may import it, and it imports only this.
const platform = { folder: 'platform', may: 'src/tensor/error.ts' };
const nodeOnly = /^src\/(platform\/|runtime\/node-|cli\/)/;
const engines = /^onnxruntime-node$/;
const builtins = new Set(builtinModules);

const isTest = (file) => /\.test\.ts$/.test(file);
const folderOf = (file) => (file.split('/').length > 2 ? file.split('/')[1] : 'index');
const rankOf = (folder) => layers.findIndex((row) => row.includes(folder));
const packageOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Every violation under `root`, as `{ file, line, import, rule }`. */
export function checkLayers(root = repository) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const files = filesUnder(join(root, 'src'))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `src/${path}`);
  const violations = [];
  const edges = new Map();
  for (const file of files) {
    const source = readFileSync(join(root, file), 'utf8');
    const report = (line, specifier, rule) =>
      violations.push({ file, line, import: specifier, rule });
    const folder = folderOf(file);
    if (folder !== platform.folder && rankOf(folder) < 0) {
      report(1, '', `src/${folder} has no place in the layer order (scripts/check-layers.mjs)`);
      continue;
    }
    if (!isTest(file) && !nodeOnly.test(file)) {
      for (const { name, line } of nodeGlobalsOf(source)) {
        report(line, name, `the global ${name} exists in Node only: ask '#platform'`);
      }
    }
    const targets = [];
    for (const { specifier, typeOnly, line } of importsOf(source)) {
      const found = resolve(root, manifest, file, specifier);
      if (found.problem !== undefined) report(line, specifier, found.problem);
      if (found.node && !isTest(file) && !nodeOnly.test(file)) {
        report(
          line,
          specifier,
          'Node modules belong to src/platform, src/runtime/node-* and src/cli',
        );
      }
      if (found.engine && !isTest(file) && !/^src\/runtime\/node-/.test(file)) {
        report(line, specifier, 'the native engine belongs to src/runtime/node-*');
      }
      for (const target of found.files) {
        const rule = isTest(file) ? undefined : orderRule(file, target, specifier);
        if (rule !== undefined) report(line, specifier, rule);
        const counts = !typeOnly || folderOf(target) !== folder;
        if (counts && !isTest(file)) targets.push({ target, line, specifier });
      }
    }
    edges.set(file, targets);
  }
  return [...violations, ...cycles(edges)];
}

/** The files of ours that an import leads to, or what else it is. */
function resolve(root, manifest, file, specifier) {
  const none = { files: [] };
  if (specifier.startsWith('node:') || builtins.has(specifier)) return { ...none, node: true };
  if (specifier.startsWith('.')) {
    const path = posix.normalize(posix.join(dirname(file), specifier));
    if (!path.endsWith('.js')) return { ...none, problem: 'relative imports end in .js' };
    const target = path.replace(/\.js$/, '.ts');
    if (isTest(file) && target.startsWith('tests/support/')) return none;
    if (!target.startsWith('src/')) return { ...none, problem: 'leads out of src' };
    return existsSync(join(root, target))
      ? { files: [target] }
      : { ...none, problem: 'no such file' };
  }
  if (specifier.startsWith('#')) {
    const entry = manifest.imports?.[specifier];
    if (entry === undefined) return { ...none, problem: 'not in the imports of package.json' };
    const built = typeof entry === 'string' ? [entry] : Object.values(entry);
    const sources = built
      .filter((path) => typeof path === 'string' && path.startsWith('./dist/'))
      .map((path) => path.replace('./dist/', 'src/').replace(/(\.d\.ts|\.js)$/, '.ts'));
    return { files: [...new Set(sources)] };
  }
  const name = packageOf(specifier);
  const shipped = {
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.peerDependencies,
  };
  const known = name in shipped || (isTest(file) && name in (manifest.devDependencies ?? {}));
  const problem = known ? undefined : `${name} is not among the dependencies of package.json`;
  return { ...none, engine: engines.test(name), problem };
}

/** The rule that `file` breaks by importing `target`, or undefined. */
function orderRule(file, target, specifier) {
  const [from, to] = [folderOf(file), folderOf(target)];
  if (isTest(target)) return 'a test file is imported by nobody';
  if (from === to) return undefined;
  if (from === platform.folder) {
    return target === platform.may ? undefined : `src/platform imports only ${platform.may}`;
  }
  if (to === platform.folder) {
    return specifier === '#platform' ? undefined : "the platform is imported as '#platform'";
  }
  if (rankOf(to) < rankOf(from)) return undefined;
  return rankOf(to) === rankOf(from)
    ? `src/${from} and src/${to} know nothing of each other`
    : `src/${from} comes before src/${to}: a folder imports only from folders above it`;
}

/** One violation a cycle, by Tarjan's strongly connected components. */
function cycles(edges) {
  const found = [];
  const state = new Map();
  const stack = [];
  const visit = (file) => {
    const own = { index: state.size, low: state.size, open: true };
    state.set(file, own);
    stack.push(file);
    for (const { target } of edges.get(file) ?? []) {
      if (!state.has(target)) own.low = Math.min(own.low, visit(target).low);
      else if (state.get(target).open) own.low = Math.min(own.low, state.get(target).index);
    }
    if (own.low === own.index) {
      const members = stack.splice(stack.indexOf(file));
      for (const member of members) state.get(member).open = false;
      const selfish = (edges.get(file) ?? []).some(({ target }) => target === file);
      if (members.length > 1 || selfish) found.push(cycleViolation(members, edges));
    }
    return own;
  };
  for (const file of edges.keys()) if (!state.has(file)) visit(file);
  return found;
}

/** A shortest way round from the first member back to itself. */
function cycleViolation(members, edges) {
  const start = [...members].sort()[0];
  const queue = [[start]];
  const seen = new Set();
  for (const path of queue) {
    for (const { target, line, specifier } of edges.get(path.at(-1)) ?? []) {
      if (target === start) {
        const first = edges.get(start).find((edge) => edge.target === (path[1] ?? start));
        const rule = `import cycle: ${[...path, start].join(' -> ')}`;
        return {
          file: start,
          line: first?.line ?? line,
          import: first?.specifier ?? specifier,
          rule,
        };
      }
      if (members.includes(target) && !seen.has(target)) {
        seen.add(target);
        queue.push([...path, target]);
      }
    }
  }
  return { file: start, line: 1, import: '', rule: `import cycle among ${members.join(', ')}` };
}

if (isMain(import.meta.url)) {
  const violations = checkLayers();
  for (const { file, line, import: specifier, rule } of violations) {
    console.error(`${file}:${line}  ${specifier}  ${rule}`);
  }
  console.error(
    violations.length === 0 ? 'layers: in order' : `layers: ${violations.length} violations`,
  );
  process.exitCode = violations.length === 0 ? 0 : 1;
}
