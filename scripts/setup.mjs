// Makes a clone ready to run: installs packages when some are missing, builds when the sources
// changed. Nothing to do takes milliseconds, so commands may call it every time. Needs only Node
// and npm, no package's install script, and no registry once everything is there.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.mjs';
import { withLock } from './lock.mjs';
import { isMain, repository } from './tree.mjs';

const say = (line) => process.stderr.write(`${line}\n`);

/** Why packages must be installed, or undefined. */
export function missingPackages(root = repository) {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  let installed;
  try {
    installed = JSON.parse(
      readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8'),
    ).packages;
  } catch {
    return 'no packages are installed';
  }
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    // Optional packages are mostly other platforms' binaries.
    if (path === '' || optional) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (installed[path]?.version !== version) return `${name} ${version} is not installed`;
    if (!existsSync(join(root, path, 'package.json'))) return `${name} is incomplete`;
  }
  return undefined;
}

/** Whether every package is there; looks at each one only when something changed since last time. */
function isInstalled(root) {
  const note = join(root, '.cache', 'installed');
  let state;
  try {
    state = ['package-lock.json', 'node_modules', 'node_modules/.package-lock.json']
      .map((path) => statSync(join(root, path)).mtimeMs)
      .join(' ');
    if (readFileSync(note, 'utf8') === state) return true;
  } catch {
    // Something is not there: look closely.
  }
  if (missingPackages(root) !== undefined) return false;
  mkdirSync(join(root, '.cache'), { recursive: true });
  writeFileSync(note, state);
  return true;
}

function install(root) {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  // The CPU engine is inside onnxruntime-node; its install script would fetch CUDA libraries.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const flags = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && /npm-cli\.[cm]?js$/.test(npm);
  const options = { cwd: root, env, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' };
  const run = viaNode
    ? spawnSync(process.execPath, [npm, ...flags], { ...options, shell: false })
    : spawnSync('npm', flags, options);
  if (run.status === 0) return true;
  const reason = run.error === undefined ? `npm ci ended with ${run.status}` : run.error.message;
  say(`setup: could not install packages: ${reason}`);
  say('setup: check the connection to the npm registry, then run the command again');
  return false;
}

/** Returns `ready`, `failed`, or `type-errors`: runnable, but not as the types say. */
export function setup(root = repository) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    say(`setup: Node ${process.versions.node} is too old; 20.19 or later is needed`);
    return 'failed';
  }
  if (isInstalled(root) && isBuilt(root)) return 'ready';
  return withLock(join(root, '.cache', 'setup.lock'), () => {
    const missing = missingPackages(root);
    if (missing !== undefined) {
      const start = performance.now();
      say(`setup: installing packages (${missing})`);
      if (!install(root)) return 'failed';
      say(`setup: packages installed in ${seconds(start)} s`);
    }
    if (isBuilt(root)) return 'ready';
    const start = performance.now();
    const ok = build(root);
    say(`setup: built in ${seconds(start)} s${ok ? '' : ', with the type errors above'}`);
    return ok ? 'ready' : 'type-errors';
  });
}

const seconds = (start) => ((performance.now() - start) / 1000).toFixed(1);

if (isMain(import.meta.url)) process.exitCode = setup() === 'ready' ? 0 : 1;
