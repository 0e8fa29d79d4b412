// Peers are not dependencies: a bench, or a test of what the library exports, fetches the exact
// versions it compares with into `.cache/`. Run by itself (`node bench/peers.mjs`) it fetches those
// that tests use; tests without their peer are skipped.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../.cache/peers', import.meta.url));

const { platform, arch } = process;
const machine = `${platform}-${arch}`;

/** Packages with a prebuilt binary for this machine; optional ones, GPU builds among them, stay out. */
const sharpBinaries = {
  [`@img/sharp-${machine}`]: '0.35.5',
  ...(platform === 'win32' ? {} : { [`@img/sharp-libvips-${machine}`]: '1.3.4' }),
};
const llamaBinary = {
  darwin: `mac-${arch}${arch === 'arm64' ? '-metal' : ''}`,
  win32: `win-${arch}`,
};

/** The programs that exported files are for. */
export const consumers = {
  llamaCpp: {
    'node-llama-cpp': '3.22.1',
    [`@node-llama-cpp/${llamaBinary[platform] ?? machine}`]: '3.22.1',
  },
  transformers: { '@huggingface/transformers': '4.3.1', ...sharpBinaries },
};

const installed = (name, version) => {
  const manifest = join(folder, 'node_modules', name, 'package.json');
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
};

/** A `require` that finds the given packages ({ name: version }), installing what is missing. */
export function peers(packages) {
  mkdirSync(folder, { recursive: true });
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  const missing = Object.entries(packages).filter(([name, version]) => !installed(name, version));
  if (missing.length > 0) {
    const wanted = missing.map(([name, version]) => `${name}@${version}`);
    console.error(`installing ${wanted.join(' ')} for comparison`);
    const { status } = spawnSync(
      'npm',
      [
        'install',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--omit=optional',
        '--save-exact',
        ...wanted,
      ],
      { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
    );
    if (status !== 0) throw new Error(`the peers could not be installed: ${wanted.join(' ')}`);
  }
  return createRequire(manifest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  peers({ ...consumers.llamaCpp, ...consumers.transformers });
}
