// Builds dist from src with the TypeScript compiler, incrementally. Beyond compiling: removes what
// has no source any more, copies what is not TypeScript, and notes what it built from, so that the
// next build knows in milliseconds whether there is anything to do.
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { filesUnder, isMain, repository } from './tree.mjs';

const own = new Set(['.tsbuildinfo', '.built']);
const isTest = (path) => /\.test\.ts$/.test(path);
const isSource = (path) => path.endsWith('.ts') && !isTest(path);

/** Names, sizes and times of everything the build reads. */
function inputsOf(root) {
  const inputs = filesUnder(join(root, 'src')).filter((path) => !isTest(path));
  return [...inputs.map((path) => `src/${path}`), 'tsconfig.json', 'tsconfig.build.json']
    .map((path) => {
      const { size, mtimeMs } = statSync(join(root, path));
      return `${path} ${size} ${mtimeMs}\n`;
    })
    .join('');
}

export function isBuilt(root = repository) {
  try {
    return readFileSync(join(root, 'dist', '.built'), 'utf8') === inputsOf(root);
  } catch {
    return false;
  }
}

function compile(root) {
  // Loaded when needed only: commands of a clone ask `isBuilt` at every start.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const run = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: root,
    // What the compiler says is progress, not a result: standard output stays clean.
    stdio: ['ignore', 2, 2],
  });
  return run.status === 0;
}

/** The source that a built file came from, relative to src; undefined for a copied file. */
const sourceOf = (built) =>
  /\.(js|d\.ts)(\.map)?$/.test(built) ? built.replace(/\.(js|d\.ts)(\.map)?$/, '.ts') : undefined;

/** Returns false when the sources have type errors; dist is written all the same. */
export function build(root = repository) {
  return withLock(join(root, '.cache', 'setup.lock'), () => {
    if (isBuilt(root)) return true;
    const [src, dist] = [join(root, 'src'), join(root, 'dist')];
    const before = inputsOf(root);
    let ok = compile(root);
    const inputs = filesUnder(src);
    const emitted = (path) => existsSync(join(dist, path.replace(/\.ts$/, '.js')));
    if (!inputs.filter(isSource).every(emitted)) {
      // Somebody removed files from dist; the compiler's notes say that they are there.
      rmSync(join(dist, '.tsbuildinfo'), { force: true });
      ok = compile(root);
    }
    const known = new Set(inputs);
    for (const built of filesUnder(dist)) {
      const source = sourceOf(built);
      const stale = source === undefined ? !known.has(built) : !known.has(source) || isTest(source);
      if (stale && !own.has(built)) rmSync(join(dist, built));
    }
    for (const path of inputs) if (!path.endsWith('.ts')) cpSync(join(src, path), join(dist, path));
    if (ok) writeFileSync(join(dist, '.built'), before);
    return ok;
  });
}

if (isMain(import.meta.url)) process.exitCode = build() ? 0 : 1;
